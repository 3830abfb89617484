"""Particles that are run one by one, for programs that take no dim of them."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.disarm import DisARM
from hardpp.inference.importance_weighted import IWAE, VIMCO
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.wake_sleep import ReweightedWakeSleep

GENERATOR = torch.Generator().manual_seed(2)
STOP, SAYS, GUESS = (
    torch.randn(*shape, generator=GENERATOR, dtype=torch.float64).requires_grad_()
    for shape in ((3, 2), (4, 3), (3, 2))
)
TABLES = [STOP, SAYS, GUESS]
CLOSE = {"rtol": 0, "atol": 1e-9}


def steps(tables: Tensor) -> int:
    """How many steps are drawn before the first stop, at most 3; Python branches on every draw."""
    for t in range(3):
        if pyro.sample(f"stop_{t}", dist.Categorical(logits=tables[t])).item():
            return t
    return 3


def model() -> None:
    pyro.sample("y", dist.Categorical(logits=SAYS[steps(STOP)]), obs=torch.tensor(1))


def guide() -> None:
    steps(GUESS)


def joint(n: int) -> tuple[Tensor, Tensor]:
    """log p(y, z) and log q(z) of the draws that stop after n steps."""
    choices = [0] * n + [1] * (n < 3)
    p, q = (
        sum((table.log_softmax(-1)[t, c] for t, c in enumerate(choices)), torch.zeros(()))
        for table in (STOP, GUESS)
    )
    return p + SAYS[n].log_softmax(-1)[1], q


def expectation(make: Callable[[], Any], K: int) -> tuple[Tensor, Tensor]:
    value = gradient = torch.zeros(())
    for lengths in itertools.product(range(4), repeat=K):
        drawn = iter([c for n in lengths for c in [0] * n + [1] * (n < 3)])
        force = oracles.Force(
            {f"stop_{t}": lambda fn, drawn=drawn: torch.tensor(next(drawn)) for t in range(3)}
        )
        with force, pyro.validation_enabled(False):
            estimate = make().estimate(model, guide)
        weight = sum(joint(n)[1].detach() for n in lengths).exp()  # type: ignore[union-attr]
        value = value + weight * estimate.bound.sum()
        gradient = gradient + weight * oracles.flat_gradient(estimate.surrogate, TABLES)
    return value, gradient


@pytest.mark.parametrize(
    "make",
    [
        lambda **kw: ScoreFunctionELBO(2, baseline="leave-one-out", **kw),
        lambda **kw: ScoreFunctionELBO(2, credit="global", **kw),
        lambda **kw: ScoreFunctionELBO(2, baseline="average", **kw),
        lambda **kw: IWAE(2, **kw),
        lambda **kw: VIMCO(2, **kw),
        lambda **kw: VIMCO(2, control="geometric", **kw),
    ],
    ids=["leave-one-out", "global", "average", "iwae", "sequential", "geometric"],
)
def test_a_program_whose_length_is_drawn(make: Callable[..., Any]) -> None:
    """Over all pairs of draws; particles have different latents."""
    options = {"vectorize_particles": False, "max_plate_nesting": 0}
    value, gradient = expectation(lambda: make(**options), 2)
    log_p, log_q = (torch.stack(part) for part in zip(*(joint(n) for n in range(4)), strict=True))
    pairs = torch.tensor(list(itertools.product(range(4), repeat=2)))
    log_w = (log_p - log_q)[pairs]
    weighed = isinstance(make(), IWAE | VIMCO)
    each = log_w.logsumexp(-1) - math.log(2) if weighed else log_w.mean(-1)
    exact = (log_q[pairs].sum(-1).exp() * each).sum()
    torch.testing.assert_close(value, exact.detach(), **CLOSE)
    torch.testing.assert_close(gradient, oracles.flat_gradient(exact, TABLES), **CLOSE)


def test_it_learns_and_weighs_as_together() -> None:
    """Where particles may be run at once, the estimate at the same draws is the same."""
    logits = torch.randn(3, 4, generator=GENERATOR, dtype=torch.float64).requires_grad_()

    def both(observed: bool) -> None:
        with pyro.plate("data", 3, dim=-1):
            z = pyro.sample("z", dist.Categorical(logits=logits * (1 + observed)))
            if observed:
                pyro.sample("y", dist.Normal(z.double(), 1.0), obs=torch.ones(3, dtype=torch.float64))

    drawn = torch.tensor([[0, 1, 2], [3, 3, 0]])
    for kind in (VIMCO, ReweightedWakeSleep):
        with oracles.Force({"z": drawn}):
            together = kind(2).estimate(lambda: both(True), lambda: both(False))
        rows = iter(drawn)
        with oracles.Force({"z": lambda fn, rows=rows: next(rows)}):
            alone = kind(2, vectorize_particles=False, max_plate_nesting=1).estimate(
                lambda: both(True), lambda: both(False)
            )
        torch.testing.assert_close(alone.bound, together.bound)
        torch.testing.assert_close(alone.log_weights, together.log_weights)
        ours, theirs = (oracles.flat_gradient(e.surrogate, [logits]) for e in (alone, together))
        torch.testing.assert_close(ours, theirs)


def test_what_is_drawn_together_cannot_be_run_one_by_one() -> None:
    with pytest.raises(
        UsageError, match="disarm draws its particles together: it wants vectorize_particles=T"
    ):
        DisARM(2, vectorize_particles=False)
