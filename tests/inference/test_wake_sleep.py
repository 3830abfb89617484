"""Reweighted wake-sleep against Pyro's own, against exact gradients, and what each of its terms reaches."""

import itertools
from collections.abc import Callable
from functools import partial
from math import log
from typing import Any, NamedTuple

import cases
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import Case
from oracles import Twin
from torch import Tensor, nn

from hardpp.errors import UsageError
from hardpp.guides.prior import Prior
from hardpp.inference.wake_sleep import ReweightedWakeSleep, wake_phi, wake_theta
from hardpp.inference.weights.proposals import Proposal

CLOSE = {"rtol": 0, "atol": 1e-9}
EQUAL = {"rtol": 0, "atol": 1e-12}


class Colours(nn.Module):
    """z ~ p, y | z; the guide reads y."""

    def __init__(self, S: int = 3, V: int = 2):
        super().__init__()
        self.prior, self.emission = cases.normal(S, seed=1), cases.normal(S, V, seed=2)

    def forward(self, y: Tensor) -> None:
        with pyro.plate("data", len(y), dim=-1):
            z = pyro.sample("z", dist.Categorical(logits=self.prior))
            pyro.sample("y", dist.Categorical(logits=self.emission[z]), obs=y)


class ColoursGuide(nn.Module):
    def __init__(self, S: int = 3, V: int = 2):
        super().__init__()
        self.table = cases.normal(V, S, seed=3)

    def forward(self, y: Tensor, observations: Any = None) -> None:
        if observations is not None:  # how Pyro's own objective shows a dream to a guide
            y = observations["y"]
        with pyro.plate("data", len(y), dim=-1):
            pyro.sample("z", dist.Categorical(logits=self.table[y]))


def gradient(value: Tensor, *programs: nn.Module) -> Tensor:
    return oracles.flat_gradient(value, [p for program in programs for p in program.parameters()])


# --- Pyro's own -------------------------------------------------------------------------------------


def awake_or_asleep(awake: Tensor, asleep: Tensor) -> Callable[[Any], Tensor]:
    """A draw of the wake phase has a row a particle, one of a dream has not: the shape tells."""
    return lambda fn: awake if len(fn.batch_shape) == 2 else asleep


@pytest.mark.parametrize("insomnia", [1.0, 0.5, 0.0])
def test_one_datum_equals_pyro_draw_by_draw(insomnia: float) -> None:
    model, guide, y = Colours(), ColoursGuide(), torch.tensor([1])
    ours = ReweightedWakeSleep(2, insomnia=insomnia, control_variates=False)
    theirs = pyro.infer.ReweightedWakeSleep(2, insomnia, num_sleep_particles=1, max_plate_nesting=1)
    for *awake, asleep, said in itertools.product(range(3), range(3), range(3), range(2)):
        z = awake_or_asleep(torch.tensor(awake).unsqueeze(-1), torch.tensor([asleep]))
        with oracles.Force({"z": z, "y": lambda fn, said=said: torch.tensor([said])}):
            estimate = ours.estimate(model, guide, y)
            theta, phi = theirs._loss(model, guide, (y,), {})
        torch.testing.assert_close(estimate.bound.sum(), -theta.detach(), **EQUAL)
        expected = gradient(-(theta + phi), model, guide)
        torch.testing.assert_close(gradient(estimate.surrogate, model, guide), expected, **EQUAL)


@pytest.mark.parametrize("insomnia", [1.0, 0.5])
def test_a_chain_of_one_datum_equals_pyro_draw_by_draw(insomnia: float) -> None:
    case, said = cases.chain((2,)), torch.tensor([[2, 1]])

    def dreamt(drawn: dict[str, Tensor], args: Any, kwargs: Any) -> Any:
        assert torch.equal(torch.stack([drawn["y_0"], drawn["y_1"]], 1), said)
        return (said, args[1]), kwargs

    def guide(symbols: Tensor, mask: Tensor, observations: Any = None) -> None:
        case.guide(symbols, mask)

    ours = ReweightedWakeSleep(2, insomnia=insomnia, control_variates=False, dreamt=dreamt)
    theirs = pyro.infer.ReweightedWakeSleep(2, insomnia, num_sleep_particles=1, max_plate_nesting=1)
    for drawn in itertools.product(range(2), repeat=6):
        z = torch.tensor(drawn).reshape(2, 3, 1)
        forced: dict[str, Any] = {f"z_{t}": awake_or_asleep(z[t, :2], z[t, 2]) for t in range(2)}
        forced |= {f"y_{t}": lambda fn, t=t: said[:, t] for t in range(2)}
        with oracles.Force(forced):
            estimate = ours.estimate(case.model, case.guide, *case.args)
            theta, phi = theirs._loss(case.model, guide, case.args, {})
        expected = gradient(-(theta + phi), case.model, case.guide)
        torch.testing.assert_close(gradient(estimate.surrogate, case.model, case.guide), expected, **EQUAL)


def test_reparameterised_draws_are_detached_as_pyros_are() -> None:
    model, guide, args = cases.mixed()
    theirs = pyro.infer.ReweightedWakeSleep(3, max_plate_nesting=1)
    values = {"z": torch.tensor([[0], [1], [1]]), "x": lambda fn: fn.loc + fn.scale * 0.7}
    with oracles.Force(values):
        estimate = ReweightedWakeSleep(3, control_variates=False).estimate(model, guide, *args)
        theta, phi = theirs._loss(model, guide, args, {})
    for loss, program in ((theta, model), (phi, guide)):
        expected = gradient(-loss, program)
        assert expected.abs().max() > 1e-2
        torch.testing.assert_close(gradient(estimate.surrogate, program), expected, **EQUAL)


def test_a_batch_is_a_sum_of_inferences_and_pyros_is_not() -> None:
    model, guide, y = Colours(), ColoursGuide(), torch.tensor([1, 0])
    z = torch.tensor([[0, 2], [1, 1]])

    def found(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        with oracles.Force({"z": z}):
            estimate = ReweightedWakeSleep(2, control_variates=False).estimate(model, guide, y)
            losses = pyro.infer.ReweightedWakeSleep(2, max_plate_nesting=1)._loss(model, guide, (y,), {})
        return gradient(estimate.surrogate, model, guide), gradient(-sum(losses), model, guide)

    ours, theirs = found(z, y)
    singly = [found(z[:, b : b + 1], y[b : b + 1]) for b in range(2)]
    torch.testing.assert_close(ours, singly[0][0] + singly[1][0], **EQUAL)
    assert (theirs - singly[0][1] - singly[1][1]).abs().max() > 1e-2


# --- exact expectations -----------------------------------------------------------------------------


def tempered_chain() -> tuple[Case, Twin]:
    """The chain, and a twin that draws from its guide at temperature 2."""
    case = cases.chain((2,))
    flat = case.guide.table.detach() / 2

    def joint(values: oracles.Values) -> tuple[Tensor, Tensor]:
        return oracles.chain(case.model.transition, case.model.emission, flat, *case.args, values)

    return case, case.twin._replace(joint=joint)


CASES: dict[str, Callable[[], Case]] = {
    "chain": cases.chain,
    "chain-ragged": lambda: cases.chain((2, 1)),
    "chain-buffer": lambda: cases.chain((2,), style="buffer"),
    "two-supports": cases.two_supports,
    "alignment": lambda: cases.alignment(batch=cases.alignment_batch((2, 2), (1, 1), padded=(1, 1))),
}


def exact_wake(case: Case, drawn: Twin, particles: int) -> tuple[Tensor, Tensor]:
    """E[sum_b log mean_k w] with q~ fixed, and E[sum_b,k wn log q] with the weights fixed."""
    values = oracles.tuples(case.twin.latents)
    log_p, log_q = case.twin.joint(values)  # (C, B)
    flat = drawn.joint(values)[1].detach()
    chosen = torch.tensor(list(itertools.product(range(len(flat)), repeat=particles)))  # (., K)
    log_w = (log_p - flat)[chosen]  # (., K, B)
    probability = flat.sum(-1).exp()[chosen].prod(-1)
    weights = log_w.detach().softmax(1)
    bound = (log_w.logsumexp(1) - log(particles)).sum(-1)
    return (probability * bound).sum(), (probability * (weights * log_q[chosen]).sum((1, 2))).sum()


@pytest.mark.parametrize("name", [*CASES, "tempered-chain"])
def test_expected_wake_gradients(name: str) -> None:
    if name == "tempered-chain":
        case, drawn = tempered_chain()
        objective = ReweightedWakeSleep(2, proposal=Proposal("temperature"), control_variates=False)
    else:
        case = CASES[name]()
        drawn, objective = case.twin, ReweightedWakeSleep(2, control_variates=False)

    def run() -> tuple[Tensor, ...]:
        table = objective.weight_table(case.model, case.guide, *case.args)
        bound, surrogate = objective.surrogate(table)
        return bound.sum(), surrogate, wake_phi(table, True)

    bound, surrogate, centred = oracles.expectation(drawn, 2, run, fill=1)
    theta, phi = exact_wake(case, drawn, 2)
    torch.testing.assert_close(bound, theta.detach(), **CLOSE)
    every = [*case.of_model, *case.of_guide]
    expected = oracles.flat_gradient(theta, case.of_model)
    assert expected.abs().max() > 1e-2
    shared = oracles.flat_gradient(phi, case.of_model)  # an embedding, in the alignment's guide
    found = oracles.flat_gradient(surrogate, case.of_model)
    torch.testing.assert_close(found, expected + shared, **CLOSE)
    expected = oracles.flat_gradient(phi, every)
    assert expected.abs().max() > 1e-2
    torch.testing.assert_close(oracles.flat_gradient(centred, every), expected, **CLOSE)
    torch.testing.assert_close(
        oracles.flat_gradient(surrogate, case.of_guide), oracles.flat_gradient(phi, case.of_guide), **CLOSE
    )


# --- control variates -------------------------------------------------------------------------------


class Moments(NamedTuple):
    bias: Tensor
    variance: Tensor


PRIOR = cases.normal(5, seed=4).detach()
LIKELIHOOD = (2 * cases.normal(5, seed=5).detach()).log_softmax(-1)  # of the one y there is
POSTERIOR = (PRIOR.log_softmax(-1) + LIKELIHOOD).log_softmax(-1)
GUIDES = {"prior": PRIOR, "uniform": torch.zeros_like(PRIOR), "posterior": POSTERIOR}


def moments(guide: str, K: int, term: Callable[[Any], Tensor], of: str, **options: Any) -> Moments:
    """Exact bias and variance over all draws: every K-tuple of values is a datum with leaves of its own."""
    values = torch.tensor(list(itertools.product(range(5), repeat=K)))  # (C, K)
    C = len(values)
    prior, q = (logits.expand(C, 5).clone().requires_grad_() for logits in (PRIOR, GUIDES[guide]))

    def model() -> None:
        with pyro.plate("data", C, dim=-1):
            z = pyro.sample("z", dist.Categorical(logits=prior))
            pyro.factor("y", LIKELIHOOD[z])

    def program() -> None:
        with pyro.plate("data", C, dim=-1):
            pyro.sample("z", dist.Categorical(logits=q))

    objective = ReweightedWakeSleep(K, max_plate_nesting=1, **options)
    with oracles.Force({"z": values.T}):
        table = objective.weight_table(model, program)
    (found,) = torch.autograd.grad(term(table).sum(), prior if of == "theta" else q)  # (C, 5)
    probability = table.log_q.sum(-1).exp().prod(0).unsqueeze(-1)  # (C, 1)
    torch.testing.assert_close(probability.sum(), torch.ones((), dtype=torch.float64), **EQUAL)
    mean = (probability * found).sum(0)
    if of == "theta":
        true = POSTERIOR.exp() - PRIOR.softmax(-1)
    else:
        true = POSTERIOR.exp() - GUIDES[guide].softmax(-1)
    return Moments((mean - true).norm(), (probability * (found - mean) ** 2).sum())


@pytest.mark.parametrize("guide", GUIDES)
def test_the_control_variate_of_wake_theta(guide: str) -> None:
    """It takes variance away and adds a bias; as the bias of the weights, it falls with K."""
    rows = {
        centred: [
            moments(guide, K, partial(wake_theta, control_variates=centred), "theta") for K in (2, 3, 5)
        ]
        for centred in (False, True)
    }
    for plain, centred in zip(rows[False], rows[True], strict=True):
        assert centred.variance < plain.variance
    for row in rows.values():
        if row[0].bias > 1e-12:
            assert row[0].bias > row[1].bias > row[2].bias


@pytest.mark.parametrize("guide", GUIDES)
def test_the_control_variate_of_wake_phi(guide: str) -> None:
    for K in (2, 3, 5):
        plain, centred = (
            moments(guide, K, partial(wake_phi, control_variates=on), "phi") for on in (False, True)
        )
        torch.testing.assert_close(centred.bias, plain.bias, **EQUAL)
        assert centred.variance < plain.variance
        if guide == "posterior":
            assert centred.variance < 1e-24


# --- dreams -----------------------------------------------------------------------------------------


def test_the_expected_dream_is_the_guides_mean_score_under_the_model() -> None:
    """E_p(z, y')[grad log q(z | y')], all of it in the guide; the real y plays no part."""
    model, guide, y = Colours(), ColoursGuide(), torch.tensor([1])
    objective = ReweightedWakeSleep(2, insomnia=0.0, control_variates=False)
    awake = torch.tensor([[0], [2]])
    joint = model.prior.log_softmax(-1).unsqueeze(-1) + model.emission.log_softmax(-1)  # (S, V)
    total = torch.zeros(())
    for z, said in itertools.product(range(3), range(2)):
        forced = {
            "z": awake_or_asleep(awake, torch.tensor([z])),
            "y": lambda fn, said=said: torch.tensor([said]),
        }
        with oracles.Force(forced):
            surrogate = objective.estimate(model, guide, y).surrogate
        total = total + joint[z, said].detach().exp() * surrogate
    exact = (joint.detach().exp() * guide.table.log_softmax(-1).T).sum()
    expected = gradient(exact, guide)
    assert expected.abs().max() > 1e-2
    torch.testing.assert_close(gradient(total, guide), expected, **EQUAL)

    with oracles.Force({"z": awake}):
        table = objective.weight_table(model, guide, y)
    torch.testing.assert_close(gradient(total, model), gradient(wake_theta(table), model), **EQUAL)


def test_dreams_are_had_only_where_they_are_used() -> None:
    class Nightmare(Exception):
        pass

    def dreamer(*_: Any) -> Any:
        raise Nightmare

    model, guide, y = Colours(), ColoursGuide(), torch.tensor([1, 0])
    with pytest.raises(Nightmare):
        ReweightedWakeSleep(2, insomnia=0.9, dream=dreamer).estimate(model, guide, y)
    ReweightedWakeSleep(2, insomnia=1.0, dream=dreamer).estimate(model, guide, y)
    ReweightedWakeSleep(2, insomnia=0.9, train_guide=False, dream=dreamer).estimate(model, guide, y)
    ReweightedWakeSleep(2, insomnia=0.9, dream=dreamer).loss(model, guide, y)  # no gradient, no dream


# --- which term reaches what ------------------------------------------------------------------------


@pytest.mark.parametrize("control_variates", [False, True])
@pytest.mark.parametrize("proposal", [Proposal(), Proposal("temperature"), Proposal("mixture")], ids=str)
def test_each_term_trains_its_own_program(proposal: Any, control_variates: bool) -> None:
    """The alignment's guide shares an embedding with the model, which gets the terms of both."""
    case = cases.alignment(batch=cases.alignment_batch((3, 2), (2, 3)))
    objective = ReweightedWakeSleep(3, proposal=proposal, control_variates=control_variates)
    table = objective.weight_table(case.model, case.guide, *case.args)
    embedding = case.model.embedding.weight
    of_model = [p for p in case.model.parameters() if p is not embedding]
    theta, phi = wake_theta(table, control_variates), wake_phi(table, control_variates)
    _, both = objective.surrogate(table)
    for term, mine, others in ((theta, of_model, case.of_guide), (phi, case.of_guide, of_model)):
        for parameter in mine:
            assert oracles.flat_gradient(term, [parameter]).abs().max() > 0
        assert (oracles.flat_gradient(term, others) == 0).all()
        assert oracles.flat_gradient(term, [embedding]).abs().max() > 0
    for parameters in (of_model, case.of_guide, [embedding]):
        total = oracles.flat_gradient(theta, parameters) + oracles.flat_gradient(phi, parameters)
        torch.testing.assert_close(oracles.flat_gradient(both, parameters), total, **EQUAL)


@pytest.mark.parametrize("insomnia", [1.0, 0.0])
def test_the_prior_as_guide_needs_no_training_as_a_guide(insomnia: float) -> None:
    """WS-RAM without an inference network: wake-theta alone, whose control variate is 1/K."""
    model, y = Colours(), torch.tensor([1, 0])
    guide, z = Prior(model), torch.tensor([[0, 2], [1, 1], [2, 1]])
    with oracles.Force({"z": z}):
        alone = ReweightedWakeSleep(3, insomnia=insomnia, train_guide=False).estimate(model, guide, y)
        awake = ReweightedWakeSleep(3).estimate(model, guide, y)
    says = model.emission.log_softmax(-1)[z, y]
    weights = says.detach().softmax(0)
    prior = model.prior.log_softmax(-1)[z]
    theta = (weights * says).sum() + ((weights - 1 / 3) * prior).sum()
    torch.testing.assert_close(gradient(alone.surrogate, model), gradient(theta, model), **EQUAL)
    torch.testing.assert_close(alone.bound, says.detach().logsumexp(0) - log(3), **EQUAL)
    phi = ((weights - 1 / 3) * prior).sum()  # what training the guide too would count once more
    torch.testing.assert_close(gradient(awake.surrogate, model), gradient(theta + phi, model), **EQUAL)
    assert gradient(phi, model).abs().max() > 1e-2


@pytest.mark.parametrize("control_variates", [False, True])
def test_a_draw_that_the_model_excludes_adds_nothing(control_variates: bool) -> None:
    """Its weight is 0, and so is what it adds to every gradient: not 0 times minus infinity."""
    model, guide, y = Colours(), ColoursGuide(), torch.tensor([1])
    with torch.no_grad():
        model.prior[2] = -torch.inf
    objective = ReweightedWakeSleep(3, control_variates=control_variates)

    def found(*rows: int) -> list[Tensor]:
        with oracles.Force({"z": torch.tensor(rows).unsqueeze(-1)}):
            table = objective.weight_table(model, guide, y)
        terms = [term(table, control_variates) for term in (wake_theta, wake_phi)]
        return [*terms, *(gradient(term, model, guide) for term in terms)]

    values = found(0, 1, 2)
    assert all(value.isfinite().all() for value in values)
    objective.num_particles = 2
    theta = found(0, 1)[2]
    assert theta.abs().max() > 1e-2
    torch.testing.assert_close(values[2], theta, **EQUAL)


@pytest.mark.parametrize(
    ("particles", "arguments", "message"),
    [
        (1, {}, "rws compares particles: it needs at least 2, got 1"),
        (2, {"insomnia": 1.5}, "between 0 and 1, not 1.5"),
        (2, {"insomnia": float("nan")}, "between 0 and 1, not nan"),
        (2, {"dream": print, "dreamt": print}, "either dream or dreamt"),
    ],
)
def test_impossible_settings(particles: int, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ReweightedWakeSleep(particles, **arguments)
