"""Sums over paths in blocks of steps against the sums of all steps at once."""

import pytest
import torch

from hardpp.ops.lattice import arc_probabilities, log_total
from hardpp.ops.lattice_blocks import blocked_log_total, blocked_marginals


@pytest.mark.parametrize("steps", [1, 2, 7, 30])
@pytest.mark.parametrize("transitions", [2, 3])
def test_blocks_are_the_whole(steps: int, transitions: int) -> None:
    generator = torch.Generator().manual_seed(steps)
    arcs = 5 * torch.randn(steps, 9, transitions, generator=generator, dtype=torch.float64)
    arcs[torch.rand(arcs.shape, generator=generator) < 0.1] = -torch.inf
    end = torch.randn(9, generator=generator, dtype=torch.float64)
    made: list[tuple[int, int]] = []

    def arcs_of(first: int, last: int) -> torch.Tensor:
        made.append((first, last))
        return arcs[first:last]

    torch.testing.assert_close(blocked_log_total(arcs_of, steps, end), log_total(arcs, end))
    found = torch.zeros_like(arcs)
    for first, probabilities in blocked_marginals(arcs_of, steps, end):
        found[first : first + len(probabilities)] = probabilities
    torch.testing.assert_close(found, arc_probabilities(arcs, end), rtol=0, atol=1e-12)
    assert max(last - first for first, last in made) <= steps**0.5 + 1e-9  # never much of it at once


def test_no_step_at_all() -> None:
    end = torch.tensor([0.5, -torch.inf])
    assert blocked_log_total(lambda first, last: torch.zeros(0, 2, 2), 0, end) == 0.5
    assert list(blocked_marginals(lambda first, last: torch.zeros(0, 2, 2), 0, end)) == []


def test_many_steps_of_single_precision_do_not_drift() -> None:
    arcs = torch.log_softmax(torch.randn(4000, 50, 2, generator=torch.Generator().manual_seed(0)), -1)
    arcs[:, -1, 1] = -torch.inf
    end = torch.zeros(50)
    exact = arc_probabilities(arcs.double(), end.double())
    for first, found in blocked_marginals(lambda first, last: arcs[first:last], 4000, end):
        torch.testing.assert_close(found.double(), exact[first : first + len(found)], rtol=0, atol=1e-4)
