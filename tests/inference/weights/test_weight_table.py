"""The weight table: stages, instances, scales, and what it refuses."""

from collections.abc import Callable

import cases
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.gumbel import GumbelSoftmax
from hardpp.inference.importance_weighted import VIMCO
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.tracegraph import TraceGraph
from hardpp.inference.wake_sleep import ReweightedWakeSleep

COIN = torch.tensor([0.3, -0.2], dtype=torch.float64)
SAYS = torch.tensor([[0.1, 0.7], [-1.0, 0.4]], dtype=torch.float64)
SAMPLED = [
    ScoreFunctionELBO(),
    ScoreFunctionELBO(2, baseline="leave-one-out"),
    ScoreFunctionELBO(baseline="soft-attention"),
    TraceGraph(),
]
COMPARES_PROGRAMS = [*SAMPLED[:3], EnumeratedELBO()]


def named(objectives: list[SurrogateObjective]) -> list[str]:
    return [f"{o.name}-{getattr(o, 'baseline', None)}" for o in objectives]


def program(
    sites: tuple[str, ...] = ("z",), data: int = 2, dim: int = -1, plate: str = "data", observed: bool = False
) -> Callable[[], None]:
    def run() -> None:
        with pyro.plate(plate, data, dim=dim):
            for name in sites:
                z = pyro.sample(name, dist.Categorical(logits=COIN))
            if observed:
                weights = z if z.is_floating_point() else torch.nn.functional.one_hot(z, 2).double()
                pyro.sample(
                    "y", dist.Categorical(logits=weights @ SAYS), obs=torch.ones(1, dtype=torch.int64)
                )

    return run


@pytest.mark.parametrize("objective", COMPARES_PROGRAMS, ids=named(COMPARES_PROGRAMS))
def test_a_latent_missing_in_the_guide(objective: SurrogateObjective) -> None:
    with pytest.raises(UsageError, match="'w' is missing in the guide"):
        objective.estimate(program(("w", "z"), observed=True), program(("z",)))


@pytest.mark.parametrize("objective", COMPARES_PROGRAMS, ids=named(COMPARES_PROGRAMS))
def test_a_latent_missing_in_the_model(objective: SurrogateObjective) -> None:
    with pytest.raises(UsageError, match="'w' is missing in the model"):
        objective.estimate(program(("z",), observed=True), program(("w", "z")))


@pytest.mark.parametrize("sizes", [(2, 1), (1, 2), (2, 3)])
@pytest.mark.parametrize("objective", [ScoreFunctionELBO(), ScoreFunctionELBO(2), EnumeratedELBO()])
def test_plates_of_different_sizes(objective: SurrogateObjective, sizes: tuple[int, int]) -> None:
    pattern = (
        rf"'z' has shape \({sizes[0]},\) in the model's plates \('data',\) but \({sizes[1]},\) in the guide's"
    )
    with pytest.raises(UsageError, match=pattern):
        objective.estimate(program(data=sizes[0]), program(data=sizes[1]))


@pytest.mark.parametrize("objective", [ScoreFunctionELBO(), EnumeratedELBO()], ids=["elbo", "enum"])
def test_plates_at_different_dims(objective: SurrogateObjective) -> None:
    with pytest.raises(UsageError, match="'z' has shape"):
        objective.estimate(program(dim=-2), program(dim=-1))


@pytest.mark.parametrize("objective", COMPARES_PROGRAMS, ids=named(COMPARES_PROGRAMS))
def test_plates_of_different_names(objective: SurrogateObjective) -> None:
    with pytest.raises(
        UsageError, match=r"'z' is in the plates \('data',\) of the model but \('batch',\) of"
    ):
        objective.estimate(program(observed=True), program(plate="batch"))


@pytest.mark.parametrize("objective", COMPARES_PROGRAMS, ids=named(COMPARES_PROGRAMS))
def test_a_guide_that_observes(objective: SurrogateObjective) -> None:
    with pytest.raises(UsageError, match="the guide observes site 'y'"):
        objective.estimate(program(observed=True), program(observed=True))


@pytest.mark.parametrize("objective", [VIMCO(2), ReweightedWakeSleep(2)])
def test_different_scales_where_terms_are_weighed(objective: SurrogateObjective) -> None:
    with pytest.raises(UsageError, match=r"site '[yz]' is scaled by [23]\.0 but site '[yz]' by [23]\.0"):
        objective.estimate(
            poutine.scale(program(observed=True), scale=2.0), poutine.scale(program(), scale=3.0)
        )


@pytest.mark.parametrize("objective", [ScoreFunctionELBO(3), VIMCO(3), ReweightedWakeSleep(3)])
def test_a_batch_without_latents_has_its_likelihood_for_a_bound(objective: SurrogateObjective) -> None:
    def observed() -> None:
        with pyro.plate("data", 2, dim=-1):
            pyro.sample("y", dist.Normal(0.0, 1.0), obs=torch.tensor([0.0, 1.0]))

    estimate = objective.estimate(observed, lambda: None)
    expected = dist.Normal(0.0, 1.0).log_prob(torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(estimate.bound, expected)


@pytest.mark.parametrize("kind", [ScoreFunctionELBO, GumbelSoftmax])
def test_no_particles(kind: type[ScoreFunctionELBO]) -> None:
    with pytest.raises(UsageError, match=f"{kind.name} needs at least 1 particle, got 0"):
        kind(0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"baseline": "leave-one-out"}, "at least 2, got 1"),
        ({"baseline": "median"}, "'median'"),
        ({"credit": "temporal"}, "'temporal'"),
    ],
)
def test_impossible_settings(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ScoreFunctionELBO(1, **arguments)


@pytest.mark.parametrize("objective", [ExactMarginal(), EnumeratedELBO()])
def test_continuous_latents_cannot_be_summed(objective: SurrogateObjective) -> None:
    model, guide, args = cases.mixed()
    with pytest.raises(UsageError, match="'x' is Normal"):
        objective.estimate(model, guide, *args)


# --- stages -----------------------------------------------------------------------------------------


def test_terms_stand_in_the_stage_of_the_last_latent_before_them() -> None:
    """A guide that draws in another order than the model: credit may only go back, never forward."""

    def model() -> None:
        with pyro.plate("data", 1, dim=-1):
            pyro.sample("before", dist.Categorical(logits=SAYS[0]), obs=torch.tensor([0]))
            pyro.sample("b", dist.Categorical(logits=COIN))
            pyro.sample("between", dist.Categorical(logits=SAYS[1]), obs=torch.tensor([1]))
            pyro.sample("a", dist.Categorical(logits=-COIN))

    table = ScoreFunctionELBO().weight_table(model, program(("a", "b"), data=1))
    assert table.log_p.shape == (1, 1, 3)
    assert table.log_p[0, 0, 1] == 0.0  # nothing between the guide's first latent and its second
    torch.testing.assert_close(table.log_p[0, 0, 0], SAYS[0].log_softmax(0)[0])
    assert table.log_q[0, 0, 0] == 0.0


@pytest.mark.parametrize("credit", ["causal", "global"])
@pytest.mark.parametrize("objective", ["none", "leave-one-out"])
def test_a_guide_in_another_order_than_its_model_is_unbiased(objective: str, credit: str) -> None:
    q = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    says = torch.randn(2, 2, 2, dtype=torch.float64)

    def model() -> None:
        with pyro.plate("data", 1, dim=-1):
            b = pyro.sample("b", dist.Categorical(logits=COIN))
            pyro.sample("x", dist.Categorical(logits=SAYS[b]), obs=torch.tensor([1]))
            a = pyro.sample("a", dist.Categorical(logits=SAYS[b]))
            pyro.sample("y", dist.Categorical(logits=says[a, b]), obs=torch.tensor([0]))

    def guide() -> None:
        with pyro.plate("data", 1, dim=-1):
            a = pyro.sample("a", dist.Categorical(logits=q[2]))
            pyro.sample("b", dist.Categorical(logits=q[a]))

    def joint(values: oracles.Values) -> tuple[Tensor, Tensor]:
        a, b = values["a"], values["b"]
        log_p = COIN.log_softmax(-1)[b] + SAYS.log_softmax(-1)[b, 1] + SAYS.log_softmax(-1)[b, a]
        log_q = q[2].log_softmax(-1)[a] + q.log_softmax(-1)[a, b]
        return log_p + says.log_softmax(-1)[a, b, 0], log_q

    one = oracles.Latent(2, torch.ones(1, dtype=torch.bool))
    twin = oracles.Twin({"a": one, "b": one}, joint)
    K = 1 if objective == "none" else 2
    elbo = ScoreFunctionELBO(K, credit=credit, baseline=None if K == 1 else "leave-one-out")
    (surrogate,) = oracles.expectation(twin, K, lambda: (elbo.estimate(model, guide).surrogate,))
    expected = oracles.flat_gradient(oracles.bound_per_datum(twin).sum(), [q])
    torch.testing.assert_close(oracles.flat_gradient(surrogate, [q]), expected, rtol=0, atol=1e-9)


def test_deterministic_sites_outside_the_plates_change_nothing() -> None:
    case = cases.two_supports(2)

    def model(symbols: Tensor) -> None:
        pyro.deterministic("table", case.model.emission)
        case.model(symbols)

    _, values = next(oracles.draws(case.twin, 1))
    for objective in SAMPLED[:1]:
        with oracles.Force(values):
            expected = objective.estimate(case.model, case.guide, *case.args)
            found = objective.estimate(model, case.guide, *case.args)
        assert found.bound.shape == (2,)
        torch.testing.assert_close(found.bound, expected.bound)


def test_a_plate_that_only_some_sites_share_is_summed_out() -> None:
    symbols = torch.tensor([[0, 1, 1], [1, 1, 0]])

    def model() -> None:
        with pyro.plate("data", 2, dim=-2):
            z = pyro.sample("z", dist.Categorical(logits=COIN))
            with pyro.plate("steps", 3, dim=-1):
                pyro.sample("y", dist.Categorical(logits=SAYS[z]), obs=symbols)

    def guide() -> None:
        with pyro.plate("data", 2, dim=-2):
            pyro.sample("z", dist.Categorical(logits=-COIN))

    z = torch.tensor([[1], [0]])
    with oracles.Force({"z": z}):
        bound = ScoreFunctionELBO().estimate(model, guide).bound
    log_p = COIN.log_softmax(0)[z[:, 0]] + SAYS.log_softmax(-1)[z, symbols].sum(-1)
    torch.testing.assert_close(bound, log_p - (-COIN).log_softmax(0)[z[:, 0]])


@pytest.mark.parametrize("how", ["poutine", "distribution", "both"])
def test_what_is_masked_is_not_live_however_it_is_masked(how: str) -> None:
    mask, more = torch.tensor([True, False, True]), torch.tensor([True, True, how != "both"])

    def program() -> None:
        with pyro.plate("data", 3, dim=-1):
            pyro.sample("a", dist.Categorical(logits=COIN))
            fn = dist.Categorical(logits=COIN)
            if how == "poutine":
                with poutine.mask(mask=mask):
                    pyro.sample("b", fn)
            else:
                with poutine.mask(mask=more):
                    pyro.sample("b", fn.expand((3,)).mask(mask))

    table = ScoreFunctionELBO().weight_table(program, program)
    live = table.live.expand(1, 3, 3)[0]
    assert live.T.tolist() == [[False] * 3, [True] * 3, (mask & more).tolist()]
    assert torch.equal(table.log_q[0] != 0, live)
