from collections.abc import Iterator

import pytest
import torch

from hardpp.diagnostics.seeds import seeded, seeded_steps

CPU = torch.device("cpu")


def draws() -> Iterator[float]:
    for _ in range(3):
        yield float(torch.rand(()))


def test_steps_go_on_from_a_seed_whatever_is_drawn_between() -> None:
    with seeded(3, CPU):
        together = list(draws())
    steps, found = seeded_steps(draws(), 3, CPU), []
    torch.manual_seed(5)
    mine = []
    for step in steps:
        found.append(step)
        mine.append(float(torch.rand(())))
    torch.manual_seed(5)
    assert found == together
    assert mine == [float(torch.rand(())) for _ in range(3)]


def test_a_step_that_fails_leaves_the_random_state_alone() -> None:
    def failing() -> Iterator[float]:
        yield float(torch.rand(()))
        raise ValueError

    state = torch.get_rng_state()
    with pytest.raises(ValueError):  # noqa: PT011, it says nothing
        list(seeded_steps(failing(), 0, CPU))
    assert torch.equal(torch.get_rng_state(), state)
