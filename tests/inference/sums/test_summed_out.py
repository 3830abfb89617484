"""Latents that are summed out beside drawn ones, in the model and in the guide."""

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import TraceEnum_ELBO
from pyro.ops.indexing import Vindex
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.importance_weighted import IWAE, VIMCO
from hardpp.inference.ovis import OVIS
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.wake_sleep import ReweightedWakeSleep

CLOSE = {"rtol": 0, "atol": 1e-9}
GENERATOR = torch.Generator().manual_seed(3)
SUM = {"enumerate": "parallel"}


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64).requires_grad_()


def rloo(K: int, **options: Any) -> ScoreFunctionELBO:
    return ScoreFunctionELBO(K, baseline="leave-one-out", **options)


# --- in the model: chains whose kind is a global latent that is drawn -------------------------------------

KIND, MOVES, SAYS, GUESS = normal(3), normal(3, 2, 2), normal(2, 4), normal(3)
SYMBOLS = torch.tensor([[0, 2, 1], [3, 1, 0]])
TABLES = [KIND, MOVES, SAYS, GUESS]


def chains(infer: dict[str, str] | None) -> Callable[[], None]:
    def run() -> None:
        kind = pyro.sample("kind", dist.Categorical(logits=KIND))
        with pyro.plate("data", 2, dim=-1):
            z = torch.zeros(2, dtype=torch.int64)
            for t in pyro.markov(range(3)):
                z = pyro.sample(f"z_{t}", dist.Categorical(logits=Vindex(MOVES)[kind, z]), infer=infer)
                pyro.sample(f"y_{t}", dist.Categorical(logits=SAYS[z]), obs=SYMBOLS[:, t])

    return run


def kind_guide() -> None:
    pyro.sample("kind", dist.Categorical(logits=GUESS))


def log_joint() -> Tensor:
    """log p(y, kind) of every kind, (3,)."""
    exact = ExactMarginal()
    return torch.stack(
        [
            exact.estimate(
                poutine.condition(chains(None), data={"kind": torch.tensor(k)}), kind_guide
            ).surrogate
            for k in range(3)
        ]
    )


def expected(make: Callable[[], Any], K: int, model: Callable[[], None]) -> tuple[Tensor, Tensor]:
    """Value and gradient, over all K-tuples of kinds."""
    log_q = GUESS.detach().log_softmax(-1)
    value = gradient = torch.zeros(())
    for kinds in itertools.product(range(3), repeat=K):
        drawn = torch.tensor(kinds).reshape(K, 1) if K > 1 else torch.tensor(kinds[0])
        with oracles.Force({"kind": drawn}), pyro.validation_enabled(not any(kinds)):
            estimate = make().estimate(model, kind_guide)
        weight = log_q[list(kinds)].sum().exp()
        value = value + weight * estimate.bound.sum()
        gradient = gradient + weight * oracles.flat_gradient(estimate.surrogate, TABLES)
    return value, gradient


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(
    ("make", "K"),
    [
        (ScoreFunctionELBO, 1),
        (rloo, 2),
        (IWAE, 2),
        (VIMCO, 2),
        (lambda K, **kw: OVIS(K, gamma=0.0, **kw), 2),
    ],
)
@pytest.mark.filterwarnings("ignore:site 'kind'")
def test_the_expectation_is_that_of_the_marginal(make: Callable[..., Any], K: int, named: bool) -> None:
    names = [f"z_{t}" for t in range(3)] if named else []
    model = chains(None if named else SUM)
    log_p, log_q = log_joint(), GUESS.log_softmax(-1)
    tuples = torch.tensor(list(itertools.product(range(3), repeat=K)))
    log_w = (log_p - log_q)[tuples]
    each = log_w.mean(-1) if make in (ScoreFunctionELBO, rloo) else log_w.logsumexp(-1) - math.log(K)
    exact = (log_q[tuples].sum(-1).exp() * each).sum()
    value, gradient = expected(lambda: make(K, enumerate=names), K, model)
    torch.testing.assert_close(value, exact.detach(), **CLOSE)
    torch.testing.assert_close(gradient, oracles.flat_gradient(exact, TABLES), **CLOSE)


def test_a_mixture_with_drawn_parameters_is_that_of_pyro_at_the_same_draw() -> None:
    x, where = torch.tensor([-1.0, 0.3, 2.0, 0.7]), torch.tensor([0.1, 0.5], requires_grad=True)

    def model() -> None:
        share = pyro.sample("share", dist.Dirichlet(torch.ones(2)))
        with pyro.plate("components", 2):
            mean = pyro.sample("mean", dist.Normal(0.0, 2.0))
        with pyro.plate("data", 4):
            z = pyro.sample("z", dist.Categorical(share), infer=SUM)
            pyro.sample("x", dist.Normal(Vindex(mean.unsqueeze(-2))[..., z], 1.0), obs=x)

    def guide() -> None:
        pyro.sample("share", dist.Dirichlet(torch.tensor([1.5, 2.0])))
        with pyro.plate("components", 2):
            pyro.sample("mean", dist.Normal(where, 0.3))

    for seed in range(3):
        pyro.set_rng_seed(seed)
        estimate = ScoreFunctionELBO().estimate(model, guide)
        pyro.set_rng_seed(seed)
        loss = TraceEnum_ELBO(max_plate_nesting=1).differentiable_loss(model, guide)
        torch.testing.assert_close(estimate.bound.sum(), -loss.detach())
        ours, theirs = (oracles.flat_gradient(v, [where]) for v in (estimate.surrogate, -loss))
        torch.testing.assert_close(ours, theirs)
    for objective in (VIMCO(4), ReweightedWakeSleep(4)):
        with pytest.warns(UserWarning, match="plate 'components': all data are weighed together"):
            assert objective.estimate(model, guide).bound.isfinite().all()


ENDS, MIDDLE, PATH = (normal(2), normal(2, 2)), normal(3, 2, 2), normal(2, 4)


def path_model() -> None:
    with pyro.plate("data", 2, dim=-1):
        z = torch.zeros(2, dtype=torch.int64)
        for t in range(3):
            z = pyro.sample(f"z_{t}", dist.Categorical(logits=MIDDLE[t][z]), infer=SUM if t == 1 else {})
            pyro.sample(f"y_{t}", dist.Categorical(logits=PATH[z]), obs=SYMBOLS[:, t])


def ends_guide() -> None:
    with pyro.plate("data", 2, dim=-1):
        first = pyro.sample("z_0", dist.Categorical(logits=ENDS[0]))
        pyro.sample("z_2", dist.Categorical(logits=ENDS[1][first]))


@pytest.mark.parametrize(("make", "K"), [(ScoreFunctionELBO, 1), (rloo, 2)])
def test_a_chain_whose_middle_is_summed_between_drawn_neighbours(make: Callable[..., Any], K: int) -> None:
    """A drawn latent whose own term is within the sum is credited with the sum all the same."""
    move, says = MIDDLE.log_softmax(-1), PATH.log_softmax(-1)

    def gain(d: int, a: int, c: int) -> tuple[Tensor, Tensor]:
        y = SYMBOLS[d]
        through = move[1][a] + says[:, y[1]] + move[2][:, c]
        log_p = move[0][0, a] + says[a, y[0]] + through.logsumexp(0) + says[c, y[2]]
        return log_p, ENDS[0].log_softmax(-1)[a] + ENDS[1].log_softmax(-1)[a, c]

    pairs = list(itertools.product(range(2), repeat=2))
    exact = torch.zeros(())
    for d, pair in itertools.product(range(2), pairs):
        log_p, log_q = gain(d, *pair)
        exact = exact + log_q.exp() * (log_p - log_q)
    value = gradient = torch.zeros(())
    tables = [*ENDS, MIDDLE, PATH]
    for drawn in itertools.product(pairs, repeat=2 * K):
        values = torch.tensor(drawn).reshape(K, 2, 2) if K > 1 else torch.tensor(drawn)
        weight = sum(gain(0, *pair)[1].detach() for pair in drawn).exp()  # type: ignore[union-attr]
        with oracles.Force({"z_0": values[..., 0], "z_2": values[..., 1]}), pyro.validation_enabled(False):
            estimate = make(K, max_plate_nesting=1).estimate(path_model, ends_guide)
        value = value + weight * estimate.bound.sum()
        gradient = gradient + weight * oracles.flat_gradient(estimate.surrogate, tables)
    torch.testing.assert_close(value, exact.detach(), **CLOSE)
    torch.testing.assert_close(gradient, oracles.flat_gradient(exact, tables), **CLOSE)


def test_an_unmarked_latent_is_refused_still() -> None:
    with pytest.raises(UsageError, match="the model's latent site 'z_0' is missing in the guide"):
        ScoreFunctionELBO().estimate(chains(None), kind_guide)


# --- in the guide: a class that is summed beside a code that is drawn -------------------------------------

CLASS, CODE, PIXEL, Q_CLASS, Q_CODE = normal(3), normal(3, 2), normal(3, 2, 4), normal(2, 3), normal(3, 2)
ALL = [CLASS, CODE, PIXEL, Q_CLASS, Q_CODE]


def autoencoder(data: int) -> None:
    with pyro.plate("data", data, dim=-1):
        y = pyro.sample("y", dist.Categorical(logits=CLASS))
        z = pyro.sample("z", dist.Categorical(logits=CODE[y]))
        pyro.sample("x", dist.Categorical(logits=Vindex(PIXEL)[y, z]), obs=torch.tensor([0, 3])[:data])


def encoder(data: int, infer: dict[str, str] | None = None) -> None:
    with pyro.plate("data", data, dim=-1):
        y = pyro.sample("y", dist.Categorical(logits=Q_CLASS[:data]), infer=infer)
        pyro.sample("z", dist.Categorical(logits=Q_CODE[y]))


@pytest.mark.parametrize("credit", ["causal", "global"])
@pytest.mark.parametrize(("K", "data", "baseline"), [(1, 2, None), (2, 1, "leave-one-out")])
def test_a_class_is_summed_and_its_code_drawn(K: int, data: int, baseline: Any, credit: Any) -> None:
    exact = EnumeratedELBO().estimate(autoencoder, encoder, data)
    log_q, shape = Q_CODE.detach().log_softmax(-1), (3, K, data) if K > 1 else (3, data)
    value = gradient = torch.zeros(())
    objective = ScoreFunctionELBO(K, baseline=baseline, credit=credit, max_plate_nesting=1)
    guide = partial(encoder, infer=SUM)
    objective.estimate(autoencoder, guide, data)  # now it knows that the guide sums
    for bits in itertools.product(range(2), repeat=math.prod(shape)):
        z = torch.tensor(bits).reshape(shape)
        weight = torch.stack([log_q[y][z[y]] for y in range(3)]).sum().exp()
        with oracles.Force({"z": z}):
            estimate = objective.estimate(autoencoder, guide, data)
        value = value + weight * estimate.bound
        gradient = gradient + weight * oracles.flat_gradient(estimate.surrogate, ALL)
    torch.testing.assert_close(value, exact.bound, **CLOSE)
    torch.testing.assert_close(gradient, oracles.flat_gradient(exact.surrogate, ALL), **CLOSE)


def test_a_reparameterised_code_is_that_of_pyro_at_the_same_draw() -> None:
    mean, slope = normal(2, 3), normal(3)
    x = torch.tensor([0.3, 1.2], dtype=torch.float64)

    def model() -> None:
        with pyro.plate("data", 2, dim=-1):
            y = pyro.sample("y", dist.Categorical(logits=CLASS))
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(slope[y] * z, 0.7), obs=x)

    def guide() -> None:
        with pyro.plate("data", 2, dim=-1):
            y = pyro.sample("y", dist.Categorical(logits=Q_CLASS), infer=SUM)
            pyro.sample("z", dist.Normal(mean[torch.arange(2), y], 0.6))

    objective = ScoreFunctionELBO(max_plate_nesting=1)
    objective.estimate(model, guide)
    for seed in range(3):
        pyro.set_rng_seed(seed)
        estimate = objective.estimate(model, guide)
        pyro.set_rng_seed(seed)
        loss = TraceEnum_ELBO(max_plate_nesting=1).differentiable_loss(model, guide)
        torch.testing.assert_close(estimate.bound.sum(), -loss.detach())
        parameters = [CLASS, Q_CLASS, mean, slope]
        ours, theirs = (oracles.flat_gradient(v, parameters) for v in (estimate.surrogate, -loss))
        torch.testing.assert_close(ours, theirs)


def test_an_objective_that_has_summed_takes_a_guide_that_does_not_and_gives_a_loss() -> None:
    """The mean loss within five standard errors: fails by chance less than once in 10^6 runs."""
    objective = ScoreFunctionELBO(2, baseline="leave-one-out", max_plate_nesting=1)
    guide = partial(encoder, infer=SUM)
    objective.estimate(autoencoder, guide, 2)
    exact = EnumeratedELBO().estimate(autoencoder, encoder, 2).bound.sum().item()
    losses = [objective.loss(autoencoder, guide, 2) for _ in range(200)]  # without gradients
    assert sum(losses) / 200 == pytest.approx(-exact, abs=0.3)
    assert objective.estimate(autoencoder, encoder, 2).log_weights is not None
