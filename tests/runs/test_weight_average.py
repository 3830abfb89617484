"""The average of weights: even over the first steps, decayed later, buffers the latest."""

import torch
from torch import nn

from hardpp.runs.weight_average import WeightAverage


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def become(self, value: float) -> None:
        self.weight.data.fill_(value)
        self.count += 1


def test_the_average_is_that_of_the_recursion() -> None:
    module = Counting()
    average, expected = WeightAverage(module, 0.9), 0.0
    for step in range(200):
        value = float(step % 7) + 1
        module.become(value)
        average.update()
        decay = min(0.9, (1 + step) / (10 + step)) if step else 0.0
        expected = decay * expected + (1 - decay) * value
        torch.testing.assert_close(average.module.weight.data, torch.full_like(module.weight, expected))
        assert average.module.count == module.count == average.steps == step + 1


def test_the_average_is_apart_from_what_is_trained() -> None:
    module = Counting()
    average = WeightAverage(module, 0.5)
    module.become(3.0)
    assert float(average.module.weight.detach()[0]) == 0
    average.update()
    module.become(5.0)
    assert float(average.module.weight.detach()[0]) == 3
    assert not average.module.weight.grad_fn
