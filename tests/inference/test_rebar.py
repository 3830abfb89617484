"""REBAR against its formula written out with autograd, draw by draw, and against the exact gradient."""

from functools import partial
from typing import Any

import cases
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import Case
from inference import relaxed_cases
from pyro.infer import SVI
from pyro.optim import Adam
from torch import Tensor, nn

from hardpp.errors import UsageError
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.rebar import REBAR
from hardpp.inference.score_function import ScoreFunctionELBO

CLOSE = {"rtol": 1e-11, "atol": 1e-11}
rloo = partial(ScoreFunctionELBO, baseline="leave-one-out")


def evaluate(objective: SurrogateObjective, case: Case, seed: int = 4) -> tuple[Tensor, Tensor]:
    """Bounds (B,) and the gradient of all parameters at fixed noise."""
    with relaxed_cases.fixed(relaxed_cases.uniforms(case, objective.num_particles, seed)):
        estimate = objective.estimate(case.model, case.guide, *case.args)
    return estimate.bound, oracles.flat_gradient(estimate.surrogate, relaxed_cases.parameters(case))


CASES = {
    "chain": lambda: cases.chain_under_independent_steps((3, 2), 3),
    "alignment-variational": lambda: cases.alignment("variational"),
    "alignment-prior": lambda: cases.alignment("prior"),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("K", [2, 3])
def test_without_the_control_it_is_leave_one_out(name: str, K: int) -> None:
    case = CASES[name]()
    bound, gradient = evaluate(REBAR(K, scale=0.0, learned=None), case)
    same, expected = evaluate(rloo(K), case)
    torch.testing.assert_close(bound, same, **CLOSE)
    torch.testing.assert_close(gradient, expected, **CLOSE)
    _, other = evaluate(REBAR(K), case)
    assert (other - expected).abs().max() > 1e-4


# --- the formula ------------------------------------------------------------------------------------


def relaxed_twice(log_q: Tensor, u: Tensor) -> tuple[Tensor, Tensor, int]:
    """zeta, and zeta again as a function of log q given z, which is the last: for a latent, (S,) each."""
    zeta = log_q + relaxed_cases.gumbel(u)
    z, fixed = int(zeta.argmax()), zeta.detach()
    noise = -(torch.exp(-fixed) - torch.exp(-fixed.max())).log() - log_q.detach()  # of the others
    given_z = -torch.logaddexp(-(log_q + noise), -fixed.max())
    given_z = torch.stack([fixed.max() if s == z else given_z[s] for s in range(len(u))])
    torch.testing.assert_close(given_z.detach(), fixed, **CLOSE)
    return zeta, given_z, z


def terms(case: Case, b: int, weights: list[Tensor]) -> Tensor:
    """What each step of a chain adds to log p - log q at weights, (T,); they alone have a gradient."""
    transition, emission = case.model.transition.detach(), case.model.emission.detach()
    out, row = [], transition[-1]
    for t, w in enumerate(weights):
        log_q = case.guide.table[t, b].log_softmax(-1).detach()
        said = (w @ emission).log_softmax(-1)[case.args[0][b, t]]
        out.append(w @ (row.log_softmax(-1) - log_q) + said)
        row = w @ transition[:-1]
    return torch.stack(out)


def by_hand(case: Case, us: dict[str, Tensor], scale: float, temperature: float) -> Tensor:
    """The gradient of the guide's table, particle by particle and datum by datum."""
    K, (B, _), table = len(us["z_0"]), case.args[0].shape, case.guide.table
    total = torch.zeros((), dtype=torch.float64)
    for b in range(B):
        signals, scores, path = [], [], []
        for k in range(K):
            steps = range(int(case.args[1][b].sum()))
            log_q = [table[t, b].log_softmax(-1) for t in steps]
            drawn = [relaxed_twice(log_q[t], us[f"z_{t}"][k, b]) for t in steps]
            free = terms(case, b, [(zeta / temperature).softmax(-1) for zeta, _, _ in drawn])
            given = terms(case, b, [(zeta / temperature).softmax(-1) for _, zeta, _ in drawn])
            one_hot = [torch.eye(len(zeta), dtype=zeta.dtype)[z] for zeta, _, z in drawn]
            hard = terms(case, b, one_hot)
            signals.append((hard - scale * given).detach().flip(0).cumsum(0).flip(0))
            scores.append(torch.stack([q[z] for q, (_, _, z) in zip(log_q, drawn, strict=True)]))
            path.append(scale * (free - given).sum())
        every = torch.stack(signals)
        compared = (every - every.mean(0)) * K / (K - 1)
        total = total + ((torch.stack(scores) * compared).sum() + sum(path)) / K
    return oracles.flat_gradient(total, [table])


@pytest.mark.parametrize(("K", "scale", "temperature"), [(2, 1.0, 0.5), (3, -0.7, 2.0)])
def test_it_is_the_published_formula_draw_by_draw(K: int, scale: float, temperature: float) -> None:
    case = CASES["chain"]()
    objective = REBAR(K, scale=scale, temperature=temperature, learned=None)
    _, gradient = evaluate(objective, case)
    expected = by_hand(case, relaxed_cases.uniforms(case, K), scale, temperature)
    torch.testing.assert_close(gradient[-len(expected) :], expected, rtol=1e-6, atol=1e-9)


# --- many draws -------------------------------------------------------------------------------------


class Many:
    """Copies of a datum, each with its own parameters of the guide: as many independent gradients at once."""

    def __init__(self, copies: int):
        self.case = cases.chain_under_independent_steps((2,), 3)
        bound = oracles.bound_per_datum(self.case.twin)
        self.exact = oracles.flat_gradient(bound, self.case.of_guide).reshape(2, 3)
        table = self.case.guide.table.detach().expand(2, copies, 3)
        self.case.guide.table = nn.Parameter(table.clone())
        self.args = tuple(part.expand(copies, -1) for part in self.case.args)

    def gradients(self, objective: SurrogateObjective) -> Tensor:
        """(2, copies, 3)."""
        surrogate = objective.estimate(self.case.model, self.case.guide, *self.args).surrogate
        return torch.autograd.grad(surrogate, self.case.guide.table)[0]

    def variance(self, objective: SurrogateObjective) -> float:
        return float(self.gradients(objective).var(1).sum())


@pytest.mark.parametrize(("scale", "temperature"), [(1.0, 0.5), (0.8, 1.5), (-0.7, 0.2)])
def test_the_mean_is_the_exact_gradient(scale: float, temperature: float) -> None:
    """Six components of 10^5 draws each; one beyond 4.5 standard errors by chance: 4 in 10^5."""
    torch.manual_seed(0)
    many = Many(100_000)
    gradients = many.gradients(REBAR(2, scale=scale, temperature=temperature, learned=None))
    error = gradients.std(1) / gradients.shape[1] ** 0.5
    assert ((gradients.mean(1) - many.exact) / error).abs().max() < 4.5
    assert error.max() < 0.02 < many.exact.abs().max() / 5  # a bias would be seen


def test_variance_is_half_of_that_of_leave_one_out() -> None:
    torch.manual_seed(0)
    many = Many(20_000)
    assert many.variance(REBAR(2)) < 0.55 * many.variance(rloo(2))


# --- what is learnt ---------------------------------------------------------------------------------


def test_what_is_learnt_lowers_the_variance() -> None:
    torch.manual_seed(0)
    many = Many(2000)
    objective = REBAR(2, scale=0.0, temperature=3.0, learned="both")
    module = objective(many.case.model, many.case.guide)
    assert {"learnt.scale", "learnt.log_temperature"} <= set(dict(module.named_parameters()))
    optimiser = torch.optim.Adam(objective.learnt.parameters(), 0.05)
    for _ in range(80):
        optimiser.zero_grad()
        module(*many.args).backward()
        optimiser.step()
    scale, temperature = float(objective.scale.detach()), float(objective.temperature.detach())
    many = Many(20_000)
    found = many.variance(objective)
    assert found < 0.55 * many.variance(rloo(2))
    for factor in (0.5, 1.5):
        for other in ((scale * factor, temperature), (scale, temperature * factor**2)):
            assert found < many.variance(REBAR(2, scale=other[0], temperature=other[1], learned=None))


def test_learning_changes_no_gradient_of_the_programs() -> None:
    case = CASES["alignment-variational"]()
    found = [evaluate(REBAR(3, learned=learned), case)[1] for learned in (None, "scale", "both")]
    for gradient in found[1:]:
        torch.testing.assert_close(gradient, found[0], **CLOSE)


def test_svi_learns_the_scale() -> None:
    case, objective = CASES["chain"](), REBAR(2, scale=0.2)
    torch.manual_seed(0)
    svi = SVI(case.model, case.guide, Adam({"lr": 0.05}), loss=objective)
    with pyro.settings.context(module_local_params=False):
        for _ in range(20):
            svi.step(*case.args)
    assert float(objective.scale.detach()) > 0.4


# --- refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("rebar compares particles: it needs at least 2, got 1", {"num_particles": 1}),
        ("a temperature is positive, got 0", {"temperature": 0}),
        ("learned is 'scale', 'both' or None, not 'all'", {"learned": "all"}),
    ],
)
def test_options_that_make_no_sense_are_refused(words: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=words):
        REBAR(**arguments)


def test_latents_that_depend_on_draws_are_refused() -> None:
    case = cases.chain()
    with pytest.raises(UsageError, match="logits depend on no draw, as those of site 'z_1' do"):
        REBAR().estimate(case.model, case.guide, *case.args)


def test_latents_without_values_are_refused() -> None:
    def program(data: Tensor, observed: bool) -> None:
        with pyro.plate("data", len(data), dim=-1):
            x = pyro.sample("x", dist.Normal(0.0, 1.0))
            if observed:
                pyro.sample("y", dist.Normal(x, 1.0), obs=data)

    with pytest.raises(UsageError, match="site 'x' is Normal: only a Categorical"):
        REBAR().estimate(partial(program, observed=True), partial(program, observed=False), torch.zeros(1))


def test_a_value_without_gradients() -> None:
    case = CASES["chain"]()
    assert REBAR().loss(case.model, case.guide, *case.args) > 0
