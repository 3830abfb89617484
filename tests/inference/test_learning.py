"""A LatentAlignment that learns to read backwards, and finds out where from."""

import cases
import pytest
import torch
from torch import Tensor, nn

from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.types import SequenceBatch

SYMBOLS, LENGTH, SIZE = 6, 3, 16


def reversals(n: int, generator: torch.Generator) -> SequenceBatch:
    """Sources of distinct symbols and the same symbols from back to front."""
    source = torch.stack([torch.randperm(SYMBOLS - 1, generator=generator)[:LENGTH] + 1 for _ in range(n)])
    every = torch.ones(n, LENGTH, dtype=torch.bool)
    return SequenceBatch(source, every, source.flip(-1), every)


def programs() -> tuple[nn.Module, nn.Module]:
    """The memory is the embedding and the place, unmixed: what a position holds is to be read there."""
    model = cases.latent_alignment(SYMBOLS, size=SIZE, dtype=torch.float32, spread=1.0)
    model.encoder = Places(SIZE)
    return model, cases.stepwise_alignment(model, size=SIZE, spread=1.0)


class Places(nn.Module):
    def __init__(self, size: int):
        super().__init__()
        self.place = nn.Embedding(LENGTH, size)

    def forward(self, embedded: Tensor, mask: Tensor) -> Tensor:
        where = self.place(torch.arange(mask.shape[1])).expand_as(embedded)
        return torch.cat([embedded, where], -1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "objective",
    [ScoreFunctionELBO(4, baseline="leave-one-out"), ScoreFunctionELBO(2, baseline="soft-attention")],
    ids=["leave-one-out", "soft-attention"],
)
def test_reading_backwards(objective: SurrogateObjective) -> None:
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(0)
    model, guide = programs()
    parameters = list({id(p): p for p in [*model.parameters(), *guide.parameters()]}.values())
    optimiser = torch.optim.Adam(parameters, lr=0.02)
    for _ in range(150):
        optimiser.zero_grad()
        (objective(model, guide)(reversals(32, generator)) / 32).backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step()
    held_out = reversals(64, generator)
    with torch.no_grad():
        exact = ExactMarginal().estimate(model, guide, held_out).bound.mean()
        bound = EnumeratedELBO().estimate(model, guide, held_out).bound.mean()
    posterior = ExactMarginal().posterior(model, guide, held_out)["alignment"]
    right = posterior.argmax(-1) == torch.arange(LENGTH).flip(0)
    assert exact > -0.1  # a guess costs log 5 + log 4 + log 3 = 4.1 nats
    assert exact - bound < 0.1
    assert right.float().mean() > 0.95
