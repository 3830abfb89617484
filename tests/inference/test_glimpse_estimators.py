"""Estimators over glimpses: every sequence of places, every K-tuple of sequences, no Monte Carlo.

Two glimpses at four places are 16 sequences, so a pair of particles has 256 draws.
Shapes: C sequences, B data, K particles, T glimpses.
"""

import itertools
from collections.abc import Callable
from math import log
from typing import Any

import glimpses
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from glimpses import classifier, guide_of, images, informed, twin
from objective_settings import nvil, reinforce, rloo
from pyro import poutine
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.categorical import Categorical
from hardpp.distributions.location_spaces import ContinuousSpace, GridSpace
from hardpp.errors import UsageError
from hardpp.guides.prior import Prior
from hardpp.inference.hybrid import Hybrid
from hardpp.inference.importance_weighted import VIMCO
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.wake_sleep import ReweightedWakeSleep, wake_phi, wake_theta
from hardpp.inference.weights.dreams import dream, sleep_phi
from hardpp.inference.weights.proposals import Proposal

CLOSE = {"rtol": 0, "atol": 1e-9}


def parameters_of(*programs: nn.Module) -> list[nn.Parameter]:
    return list(dict.fromkeys(p for program in programs for p in program.parameters()))


SCORE_FUNCTION: dict[str, Callable[[], Any]] = {
    "reinforce": reinforce,
    "causal": ScoreFunctionELBO,
    "average": lambda: reinforce(baseline="average"),
    "learned": lambda: nvil(normalize=False),
    "rloo": lambda: rloo(2),
}


@pytest.mark.parametrize("options", [{}, {"every_glimpse": True, "context": True}])
@pytest.mark.parametrize("guide", ["informed", "prior"])
@pytest.mark.parametrize("name", SCORE_FUNCTION)
def test_score_function_estimators_are_unbiased(name: str, guide: str, options: dict[str, bool]) -> None:
    """With the prior as guide this is the variational baseline, VAR, of the paper."""
    batch, model = images(1), classifier(**options)
    q, objective = guide_of(guide, model), SCORE_FUNCTION[name]()
    of, parameters = twin(model, q, batch), parameters_of(model, q)
    if name in ("average", "learned"):
        objective.baseline.eval()  # what it remembers is then the same for all draws

    def run() -> tuple[Tensor, Tensor]:
        estimate = objective.estimate(model, q, batch)
        return estimate.bound, estimate.surrogate

    bound, surrogate = glimpses.expectation(of, objective.num_particles, run)
    exact = oracles.bound_per_datum(of)
    torch.testing.assert_close(bound, exact.detach(), **CLOSE)
    expected = oracles.flat_gradient(exact.sum(), parameters)
    assert expected.abs().max() > 1e-2
    torch.testing.assert_close(oracles.flat_gradient(surrogate, parameters), expected, **CLOSE)


@pytest.mark.parametrize("control", ["geometric", "sequential"])
@pytest.mark.parametrize("guide", ["informed", "prior"])
def test_vimco_is_unbiased(guide: str, control: Any) -> None:
    batch, model = images(1), classifier()
    q, objective = guide_of(guide, model), VIMCO(2, control=control)
    of, parameters = twin(model, q, batch), parameters_of(model, q)

    def run() -> tuple[Tensor, Tensor]:
        estimate = objective.estimate(model, q, batch)
        return estimate.bound, estimate.surrogate

    bound, surrogate = glimpses.expectation(of, 2, run)
    exact = oracles.iw_bound_per_datum(of, 2)
    torch.testing.assert_close(bound, exact.detach(), **CLOSE)
    expected = oracles.flat_gradient(exact.sum(), parameters)
    assert expected.abs().max() > 1e-2
    torch.testing.assert_close(oracles.flat_gradient(surrogate, parameters), expected, **CLOSE)


@pytest.mark.parametrize("data", [1, 2])
def test_a_batch_is_a_sum_of_inferences(data: int) -> None:
    """Bounds and gradients of rws do not know which other images there are."""
    batch, model = images(3), classifier()
    guide = informed(model)
    torch.manual_seed(0)
    places, objective = model.sample_locations(batch.source, 3), ReweightedWakeSleep(3)
    chosen = torch.arange(data, 3)
    part = batch._replace(source=batch.source[chosen], target=batch.target[chosen])

    def found(b: Any, value: Tensor) -> tuple[Tensor, Tensor]:
        with oracles.Force({sites.LOCATION: lambda fn: value}):
            estimate = objective.estimate(model, guide, b)
        return estimate.bound, oracles.flat_gradient(estimate.surrogate, parameters_of(model, guide))

    bound, gradient = found(part, places[:, chosen])
    singly = [found(b, places[:, n : n + 1]) for n in chosen.tolist() for b in [_only(batch, n)]]
    torch.testing.assert_close(bound, torch.cat([one for one, _ in singly]), **CLOSE)
    torch.testing.assert_close(gradient, sum(one for _, one in singly), **CLOSE)


def _only(batch: Any, n: int) -> Any:
    return batch._replace(source=batch.source[n : n + 1], target=batch.target[n : n + 1])


# --- rws against exact ------------------------------------------------------------------------------


def flat_joint(of: oracles.Twin, flatten: Callable[[Tensor], Tensor], guide: Any, batch: Any) -> Tensor:
    """log q~ of all sequences, (C, B), by flattening every glimpse's own probabilities."""
    values = oracles.tuples(of.latents)[sites.LOCATION]  # (C, B, T)
    probabilities = {}  # of the next place, by datum and the places before
    for b, t in itertools.product(range(batch.size), range(values.shape[-1])):
        for before in itertools.product(range(guide.space.actions), repeat=t):
            every = [torch.tensor([*before, last]) for last in range(guide.space.actions)]
            own = torch.stack([glimpses.by_hand(guide, batch, b, places)[0][t] for places in every])
            probabilities[b, before] = flatten(own.detach()).log_softmax(-1)
    rows = [
        [sum(probabilities[b, tuple(row[:t])][row[t]] for t in range(len(row))) for b, row in enumerate(rows)]
        for rows in values.tolist()
    ]
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("proposal", [Proposal(), Proposal("temperature"), Proposal("mixture")], ids=str)
@pytest.mark.parametrize("guide", ["informed", "prior"])
def test_expected_wake_gradients(guide: str, proposal: Any) -> None:
    """Wake-theta is the gradient of the bound, wake-phi the weighted score, whatever draws the places."""
    batch, model = images(1), classifier()
    q = informed(model) if guide == "informed" else Prior(model)
    of = twin(model, q, batch)
    by_hand_guide = model if guide == "prior" else q
    flat = flat_joint(of, proposal, by_hand_guide, batch)
    drawn = of._replace(joint=lambda _: (flat, flat))  # asked for all sequences only, in this order
    objective = ReweightedWakeSleep(2, proposal=proposal, control_variates=False)

    def run() -> tuple[Tensor, ...]:
        table = objective.weight_table(model, q, batch)
        bound, _ = objective.surrogate(table)
        return bound, wake_theta(table), wake_phi(table), wake_phi(table, True)

    bound, theta, phi, centred = glimpses.expectation(drawn, 2, run)
    log_p, log_q = of.joint(oracles.tuples(of.latents))
    chosen = torch.cartesian_prod(*[torch.arange(len(flat))] * 2)  # (., K)
    log_w = (log_p - flat)[chosen].squeeze(-1)
    probability = flat.sum(-1).exp()[chosen].prod(-1)
    exact = (probability * (log_w.logsumexp(1) - log(2))).sum()
    weighted = (probability.unsqueeze(1) * log_w.detach().softmax(1) * log_q[chosen].squeeze(-1)).sum()
    torch.testing.assert_close(bound.squeeze(), exact.detach(), **CLOSE)
    for found, expected, program in ((theta, exact, model), (phi, weighted, q), (centred, weighted, q)):
        gradient = oracles.flat_gradient(expected, parameters_of(program))
        assert gradient.abs().max() > 1e-2
        torch.testing.assert_close(oracles.flat_gradient(found, parameters_of(program)), gradient, **CLOSE)


def test_a_flattened_proposal_draws_from_what_it_is_weighed_by() -> None:
    batch, model = images(1), classifier(glimpses=1, spread=3.0)
    fn = model.reader(batch.source)
    torch.manual_seed(0)
    own = torch.log_softmax(fn.parameters(torch.zeros(1, 1, dtype=torch.int64))[0, 0], -1)
    objective = ReweightedWakeSleep(
        20_000, proposal=Proposal("temperature", temperature=3.0), train_guide=False
    )
    table = objective.weight_table(model, Prior(model), batch)
    share = torch.bincount(table.values.flatten().long(), minlength=4) / 20_000
    expected = (own / 3).softmax(-1).detach()
    assert (expected - own.exp()).abs().max() > 0.1
    torch.testing.assert_close(share.double(), expected, rtol=0, atol=0.015)


def test_a_continuous_space_cannot_be_flattened() -> None:
    batch, model = images(1), classifier(ContinuousSpace())
    with pytest.raises(UsageError, match="'location' is in a continuous space, which has no prob"):
        ReweightedWakeSleep(2, proposal=Proposal("mixture")).estimate(model, Prior(model), batch)


# --- the table of WS-RAM: one glimpse at 25 places ----------------------------------------------------


class Case:
    """Of one glimpse at 25 places: exact moments of an estimator over every multiset of K of them."""

    def __init__(self, peak: float = 0.7, seed: int = 2) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.prior = torch.randn(25, generator=generator, dtype=torch.float64).log_softmax(-1)
        self.likelihood = peak * torch.randn(25, generator=generator, dtype=torch.float64)
        self.posterior = (self.prior + self.likelihood).log_softmax(-1)

    def guides(self) -> dict[str, Tensor]:
        both = torch.stack([self.posterior, self.prior]).logsumexp(0) - log(2)
        return {"p": self.prior, "uniform": torch.zeros(25).double().log_softmax(-1), "mixture": both,
                "posterior": self.posterior}  # fmt: skip

    def moments(self, log_q: Tensor, K: int, centred: bool) -> tuple[Tensor, Tensor]:
        """Norm of the bias and trace of the variance of wake-theta with respect to the prior's logits."""
        chosen = torch.tensor(list(itertools.combinations_with_replacement(range(25), K)))
        counts = nn.functional.one_hot(chosen, 25).sum(1)  # (C, 25)
        orders = torch.lgamma(torch.tensor(K + 1.0).double()) - torch.lgamma(counts.double() + 1).sum(-1)
        chance = (orders + log_q[chosen].sum(-1)).exp()
        torch.testing.assert_close(chance.sum(), torch.ones_like(chance.sum()), **CLOSE)
        C = len(chosen)
        logits = self.prior.expand(C, 25).clone().requires_grad_()
        log_prior = logits.log_softmax(-1).gather(-1, chosen)  # (C, K)
        log_w = log_prior.detach() + self.likelihood[chosen] - log_q[chosen]
        table = _Table(log_w.T, log_prior.T, self.likelihood[chosen].T, log_q[chosen].T)
        (gradient,) = torch.autograd.grad(wake_theta(table, centred).sum(), logits)  # type: ignore[arg-type]
        mean = (chance.unsqueeze(-1) * gradient).sum(0)
        true = self.posterior.exp() - self.prior.exp()
        variance = (chance.unsqueeze(-1) * (gradient - mean).square()).sum()
        return (mean - true).norm(), variance


class _Table:
    """What wake-theta reads of a weight table, for draws that were not made."""

    latents = particles = ()  # nothing was recorded

    def __init__(self, log_weights: Tensor, log_prior: Tensor, log_likelihood: Tensor, log_q: Tensor):
        self.log_weights = log_weights
        self.log_prior = log_prior.unsqueeze(-1)
        self.log_p = (log_prior + log_likelihood).unsqueeze(-1)
        self.log_q = log_q.unsqueeze(-1)


@pytest.mark.parametrize("guide", ["p", "uniform", "mixture", "posterior"])
def test_the_control_variate_never_raises_the_variance(guide: str) -> None:
    """And the bias falls with K, unless the draws are those of the posterior and nothing is weighed."""
    case = Case()
    log_q = case.guides()[guide]
    assert (case.posterior.exp() - case.prior.exp()).norm().item() == pytest.approx(0.18, abs=0.01)
    rows = {c: [case.moments(log_q, K, c) for K in (2, 3, 5)] for c in (False, True)}
    for (_, plain), (_, centred) in zip(rows[False], rows[True], strict=True):
        assert centred < plain
    for centred, row in rows.items():
        biases = [float(bias) for bias, _ in row]
        if guide == "posterior" and not centred:
            assert max(biases) < 1e-12
        else:
            assert biases == sorted(biases, reverse=True)
            assert biases[0] > 1e-3


def test_it_may_raise_the_variance_where_the_likelihood_is_peaked() -> None:
    """A draw of large weight is then rare, and so is the prior's own weight of it: a limit of the method."""
    case = Case(peak=1.5, seed=3)
    (_, plain), (_, centred) = (case.moments(case.guides()["mixture"], 3, c) for c in (False, True))
    assert centred > 1.2 * plain


@pytest.mark.slow
def test_the_bias_of_rws_falls_with_the_number_of_particles() -> None:
    """Of the program itself, against the gradient of log p(label), for one glimpse at nine places."""
    batch, model = images(1), classifier(GridSpace(3), 1)
    guide = informed(model)
    of = twin(model, guide, batch)
    exact = oracles.flat_gradient(oracles.log_marginal(of), parameters_of(model))
    biases = []
    for K in (2, 3):
        objective = ReweightedWakeSleep(K, control_variates=False, train_guide=False)
        (found,) = glimpses.expectation(
            of, K, lambda o=objective: (o.estimate(model, guide, batch).surrogate,)
        )
        biases.append((oracles.flat_gradient(found, parameters_of(model)) - exact).norm())
    assert exact.norm() > 0.1
    assert biases[0] > 1.2 * biases[1] > 0.01 * biases[0]


# --- which term reaches what ------------------------------------------------------------------------

LOOKS = {"model.network", "model.core", "model.head", "model.context"}
ANSWERS = {"model.network", "model.core", "model.readout"}
GUIDED = {f"guide.{part}" for part in ("network", "core", "head", "embedding", "clue", "context")}


def reached(terms: dict[str, Tensor], **programs: nn.Module) -> dict[str, set[str]]:
    """The parts of programs of which some parameter has a gradient that is not zero, for every term."""
    parts = {
        f"{program}.{name}": list(part.parameters())
        for program, whole in programs.items()
        for name, part in whole.named_children()
        if list(part.parameters())
    }
    return {
        term: {name for name, own in parts.items() if oracles.flat_gradient(value, own).abs().max() > 0}
        for term, value in terms.items()
    }


@pytest.mark.parametrize("detached", [False, True])
def test_each_term_of_the_losses_reaches_what_it_should(detached: bool) -> None:
    """A report: the parts of model, guide and baseline that learn from each term, at the same draws."""
    batch, model = images(), classifier(glimpses=3, context=True, detached=detached)
    guide, objective = informed(model), nvil(3)
    torch.manual_seed(0)
    places = model.sample_locations(batch.source, 3)
    with oracles.Force({sites.LOCATION: lambda fn: places}):
        table = ReweightedWakeSleep(3).weight_table(model, guide, batch)
        own = objective.weight_table(model, Prior(model), batch)
    says = own.log_p - own.log_prior
    _, regression = objective._signal(own, says.detach())
    found = reached(
        {
            "wake-theta": wake_theta(table, True),
            "wake-phi": wake_phi(table, True),
            "sleep-phi": sleep_phi(guide, dream(model, (batch,), {})),
            "var-label": says.sum(),
            "var-reward": (own.score * says.detach().sum(-1, keepdim=True)).sum(),
            "baseline": regression,
        },
        model=model,
        guide=guide,
        baseline=objective.baseline,
    )
    assert found == {
        "wake-theta": LOOKS | ANSWERS,
        "wake-phi": GUIDED,
        "sleep-phi": GUIDED,
        "var-label": ANSWERS,
        "var-reward": {"model.head", "model.context"} if detached else LOOKS,
        "baseline": {"baseline.network"},
    }


@pytest.mark.parametrize("insomnia", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("space", glimpses.SPACES)
def test_every_space_is_trained(space: str, insomnia: float) -> None:
    """Wake and sleep reach all parameters of both programs, and nothing else is needed of a space."""
    batch, model = images(), classifier(glimpses.SPACES[space], 3, context=True, every_glimpse=True)
    guide = informed(model)
    estimate = ReweightedWakeSleep(3, insomnia=insomnia).estimate(model, guide, batch)
    assert estimate.bound.shape == (2,)
    for parameter in parameters_of(model, guide):
        gradient = oracles.flat_gradient(estimate.surrogate, [parameter])
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0


@pytest.mark.parametrize(
    "make",
    [
        reinforce,
        lambda: rloo(3),
        lambda: VIMCO(3),
        lambda: ReweightedWakeSleep(3, train_guide=False),
        lambda: ReweightedWakeSleep(3, train_guide=False, proposal=Proposal("mixture")),
    ],
    ids=["reinforce", "rloo", "vimco", "rws", "rws-mixture"],
)
def test_a_model_that_is_guided_by_its_prior_runs_once(make: Callable[[], Any]) -> None:
    """And says what it says if it is run twice, to draw and to score, less what has no mean in it."""
    batch, model = images(), classifier(glimpses=3, context=True)
    objective, runs = make(), []
    model.core.register_forward_hook(lambda *_: runs.append(1))
    prior = Prior(model)

    def twice(batch: Any) -> Tensor:  # the same guide, of which nothing is known
        return prior(batch)

    torch.manual_seed(0)
    places = model.sample_locations(batch.source, objective.num_particles)
    places = places[0] if objective.num_particles == 1 else places
    found, counts = [], []
    for guide in (prior, twice):
        runs.clear()
        with oracles.Force({sites.LOCATION: lambda fn: places}), pyro.validation_enabled(False):
            estimate = objective.estimate(model, guide, batch)
        counts.append(len(runs))
        found.append((estimate.bound, oracles.flat_gradient(estimate.surrogate, parameters_of(model))))
    assert counts == [1, 2]
    (bound, gradient), (same, other) = found
    torch.testing.assert_close(bound, same, **CLOSE)
    if not isinstance(objective, ScoreFunctionELBO):  # these need not take off the mean score of a prior
        torch.testing.assert_close(gradient, other, **CLOSE)


@pytest.mark.parametrize("options", [{}, {"every_glimpse": True, "context": True}])
@pytest.mark.parametrize("baseline", [None, "leave-one-out"])
def test_the_hybrid_loss_of_ram(baseline: Any, options: dict[str, bool]) -> None:
    """Labels train by their likelihood, places by how many predictions are right, over all places."""
    batch, model = images(1), classifier(**options)
    q, objective = Prior(model), Hybrid(2, baseline=baseline)
    places = torch.cartesian_prod(*[torch.arange(model.space.actions)] * 2).unsqueeze(1)  # (C, B, T)
    with torch.no_grad():  # the answer depends on the places
        model.readout.bias -= model.labels(batch.source, places).mean((0, 1, 2))
    batch = batch._replace(target=model.labels(batch.source, places)[-1, :, -1].argmax(-1))
    of, parameters = twin(model, q, batch), parameters_of(model)
    (found,) = glimpses.expectation(of, 2, lambda: (objective.estimate(model, q, batch).surrogate,))
    trace = poutine.trace(poutine.condition(model, {sites.LOCATION: places})).get_trace(batch)
    probability = trace.nodes[sites.LOCATION]["fn"].log_prob(places).exp().squeeze(-1)
    labels = model.labels(batch.source, places)[:, 0]  # (C, T, V)
    seen = labels if model.every_glimpse else labels[:, -1:]
    right = (seen.argmax(-1) == batch.target).double().mean(-1)
    assert 0 < right.mean() < 1
    likelihood = seen[..., batch.target.item()].mean(-1)
    expected = (probability.detach() * likelihood + probability * right).sum()
    torch.testing.assert_close(
        oracles.flat_gradient(found, parameters), oracles.flat_gradient(expected, parameters), **CLOSE
    )
    assert not objective.unbiased


def test_a_reward_for_accuracy_needs_values_of_which_one_is_likeliest() -> None:
    def program() -> None:
        place = pyro.sample("place", Categorical(logits=torch.zeros(2)))
        pyro.sample("seen", dist.Normal(place.double(), 1.0), obs=torch.zeros(()).double())

    with pytest.raises(UsageError, match="site 'seen' is no Categorical"):
        Hybrid().estimate(program, Prior(program))
