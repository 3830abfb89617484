"""What OVIS expects: the gradient of the bound, and gamma times that of the wake phase."""

from collections.abc import Callable
from math import log

import cases
import oracles
import pytest
import torch
from cases import Case
from torch import Tensor
from torch.testing import assert_close

from hardpp.errors import UsageError
from hardpp.inference.importance_weighted import IWAE, VIMCO
from hardpp.inference.objective import SampledObjective
from hardpp.inference.ovis import OVIS
from hardpp.inference.weights.weight_table import WeightTable

CLOSE = {"rtol": 0, "atol": 1e-9}
EXACT = {"rtol": 0, "atol": 1e-12}
GAMMAS = [0.0, 0.4, 1.0]
CASES: dict[str, tuple[Callable[[], Case], int]] = {
    "chain": (cases.chain, 2),
    "chain-ragged": (lambda: cases.chain((2, 1)), 2),
    "history": (lambda: cases.history(2), 3),
    "two-supports": (cases.two_supports, 2),
}


@pytest.mark.parametrize("name", CASES)
def test_expectations(name: str) -> None:
    case, K = CASES[name][0](), CASES[name][1]
    objectives = [OVIS(K, gamma=gamma) for gamma in GAMMAS]

    def run() -> tuple[Tensor, ...]:
        table = IWAE(K, max_plate_nesting=1).weight_table(case.model, case.guide, *case.args)
        found = [objective.surrogate(table) for objective in objectives]
        shares = table.log_weights.softmax(0)
        wake = (shares * table.score.sum(-1)).sum()
        return (wake, table.layout.per_datum(found[0][0], 0), *(surrogate for _, surrogate in found))

    wake, bound, *surrogates = oracles.expectation(case.twin, K, run)
    exact = oracles.iw_bound_per_datum(case.twin, K)
    assert_close(bound, exact.detach(), **CLOSE)
    of_model, of_guide = (oracles.flat_gradient(exact.sum(), p) for p in (case.of_model, case.of_guide))
    wake_phase = oracles.flat_gradient(wake, case.of_guide)
    assert wake_phase.abs().max() > 1e-2
    for objective, surrogate in zip(objectives, surrogates, strict=True):
        assert_close(oracles.flat_gradient(surrogate, case.of_model), of_model, **CLOSE)
        expected = of_guide + objective.gamma * wake_phase
        assert_close(oracles.flat_gradient(surrogate, case.of_guide), expected, **CLOSE)
        assert objective.unbiased == (objective.gamma == 0)


def coefficients(objective: SampledObjective, log_weights: Tensor) -> Tensor:
    """What multiplies grad log q of each particle, (K, I), pathwise part and all."""
    log_q = torch.zeros(*log_weights.shape, 2, dtype=log_weights.dtype).requires_grad_()
    log_p = torch.stack([torch.zeros_like(log_weights), log_weights], -1)
    table = WeightTable(log_p, log_q, log_q, 1.0, (), cases.data_layout(log_weights.shape[1]))
    _, surrogate = objective.surrogate(table)
    return torch.autograd.grad(surrogate.sum(), [log_q])[0][..., 1]


@pytest.mark.parametrize("K", [2, 3, 8, 256])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_coefficients_are_those_of_equation_17(gamma: float, K: int) -> None:
    log_weights = 4 * torch.randn(K, 3, generator=torch.Generator().manual_seed(K), dtype=torch.float64)
    bound, share = log_weights.logsumexp(0) - log(K), log_weights.softmax(0)
    for k, found in enumerate(coefficients(OVIS(K, gamma=gamma), log_weights)):
        others = torch.cat([log_weights[:k], log_weights[k + 1 :]]).logsumexp(0) - log(K - 1)
        control = others - gamma * share[k] + (1 - gamma) * log(1 - 1 / K)
        assert_close(found, bound - share[k] - control, **EXACT)


def test_with_the_mean_in_place_of_the_weight_it_is_arithmetic_vimco() -> None:
    log_weights = torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    share = log_weights.softmax(0)
    vimco = coefficients(VIMCO(4, control="arithmetic"), log_weights)
    assert_close(coefficients(OVIS(4), log_weights), vimco + share - 1 / 4, **EXACT)


def test_equal_weights_leave_nothing() -> None:
    log_weights = torch.full((5, 2), -700.0, dtype=torch.float64)
    assert_close(coefficients(OVIS(5), log_weights), torch.zeros_like(log_weights), **EXACT)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_impossible_particles(gamma: float) -> None:
    never = -torch.inf
    log_weights = torch.tensor(
        [[0.0, never, never, -2.0], [never, -3.0, never, -1.0], [1.0, never, never, 0.0]]
    )
    found = coefficients(OVIS(3, gamma=gamma), log_weights)
    assert found.isfinite().all()
    assert (found[:, 2] == 0).all()
    assert (found[:, [0, 1, 3]] != 0).any(0).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OVIS(1), "ovis compares particles: it needs at least 2, got 1"),
        (lambda: OVIS(2, gamma=-0.1), "gamma is between 0 and 1, not -0.1"),
        (lambda: OVIS(2, gamma=float("nan")), "gamma is between 0 and 1, not nan"),
    ],
)
def test_options_that_do_not_go_together(make: Callable[[], OVIS], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()
