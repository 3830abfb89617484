"""The exact objectives against sums over every latent tuple."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import cases
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import ENUMERABLE, Case, Chain, ChainGuide
from inference.random_programs import RandomProgram, small, written_out
from pyro import poutine
from pyro.infer import TraceEnum_ELBO, config_enumerate
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from hardpp.errors import UsageError
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal

CLOSE = {"rtol": 0, "atol": 1e-9}

MORE: dict[str, Callable[[], Case]] = {
    **ENUMERABLE,
    "chain-batch": lambda: cases.chain((3, 1, 2)),
    "chain-one-value": lambda: cases.chain((2, 1), S=1),
    "two-supports-batch": lambda: cases.two_supports(2),
    "alignment-one-position": lambda: cases.alignment(batch=cases.alignment_batch((1, 1), (2, 1))),
    "alignment-one-of-all": lambda: cases.alignment(batch=cases.alignment_batch((1,), (1,))),
}


@pytest.mark.parametrize("name", MORE)
def test_marginal(name: str) -> None:
    case = MORE[name]()
    estimate = ExactMarginal().estimate(case.model, case.guide, *case.args)
    exact = oracles.log_marginal(case.twin)
    assert estimate.bound.shape == next(iter(case.twin.latents.values())).mask.shape[:1]
    torch.testing.assert_close(estimate.bound.sum(), exact.detach(), **CLOSE)
    expected = oracles.flat_gradient(exact, case.of_model)
    torch.testing.assert_close(oracles.flat_gradient(estimate.surrogate, case.of_model), expected, **CLOSE)


@pytest.mark.parametrize("name", MORE)
def test_enumerated_bound(name: str) -> None:
    case = MORE[name]()
    estimate = EnumeratedELBO().estimate(case.model, case.guide, *case.args)
    exact = oracles.bound_per_datum(case.twin)
    torch.testing.assert_close(estimate.bound, exact.detach(), **CLOSE)
    for parameters in (case.of_model, case.of_guide):
        expected = oracles.flat_gradient(exact.sum(), parameters)
        torch.testing.assert_close(oracles.flat_gradient(estimate.surrogate, parameters), expected, **CLOSE)


@pytest.mark.parametrize("name", MORE)
def test_posterior(name: str) -> None:
    case = MORE[name]()
    found = ExactMarginal().posterior(case.model, case.guide, *case.args)
    expected = oracles.posterior(case.twin)
    assert found.keys() == expected.keys()
    for site, probability in expected.items():
        S = probability.shape[-1]
        torch.testing.assert_close(found[site][..., :S], probability.detach(), **CLOSE)
        assert (found[site][..., S:] == 0).all()  # padded positions
        torch.testing.assert_close(found[site].sum(-1), case.twin.latents[site].mask.to(probability), **CLOSE)


def test_hand_written_marginal_of_latent_alignment() -> None:
    batch = cases.alignment_batch((3, 1, 2), (2, 3, 1), padded=(1, 1))
    model = cases.latent_alignment()
    estimate = ExactMarginal().estimate(model, lambda batch: None, batch)
    exact = oracles.alignment_marginal(model, batch)
    torch.testing.assert_close(estimate.bound, exact.detach(), **CLOSE)
    parameters = list(model.parameters())
    expected = oracles.flat_gradient(exact.sum(), parameters)
    torch.testing.assert_close(oracles.flat_gradient(estimate.surrogate, parameters), expected, **CLOSE)


@pytest.mark.parametrize("name", ENUMERABLE)
def test_the_gap_is_the_divergence_from_the_posterior(name: str) -> None:
    case = ENUMERABLE[name]()
    exact = ExactMarginal().estimate(case.model, case.guide, *case.args).bound.sum()
    enum = EnumeratedELBO().estimate(case.model, case.guide, *case.args).bound.sum()
    with torch.no_grad():
        log_p, log_q = (term.sum(-1) for term in case.twin.joint(oracles.tuples(case.twin.latents)))
        divergence = (log_q.exp() * (log_q - log_p.log_softmax(0))).sum()
    assert divergence > 1e-4
    torch.testing.assert_close(exact - enum, divergence, **CLOSE)


def test_there_is_no_gap_when_the_guide_is_the_posterior() -> None:
    case = cases.two_supports(2)
    tables = ExactMarginal().posterior(case.model, case.guide, *case.args)
    assert tables["colour"].shape == (2, 2)
    # The posterior of the second latent given the first, a table a datum.
    model, symbols = case.model, case.args[0]
    first = tables["colour"].log()
    second = (
        model.second.log_softmax(-1) + model.emission.log_softmax(-1)[..., symbols].permute(2, 0, 1)
    ).detach()

    def guide(symbols: Tensor) -> None:
        with pyro.plate("data", 2, dim=-1) as b:
            c = pyro.sample("colour", dist.Categorical(logits=first))
            pyro.sample("shape", dist.Categorical(logits=second[b, c]))

    exact = ExactMarginal().estimate(model, guide, symbols).bound
    torch.testing.assert_close(EnumeratedELBO().estimate(model, guide, symbols).bound, exact, **CLOSE)


# --- random programs --------------------------------------------------------------------------------


def close(found: Tensor, expected: Tensor, seed: int) -> None:
    torch.testing.assert_close(found, expected, **CLOSE, msg=lambda message: f"seed {seed}: {message}")


@pytest.mark.slow
def test_marginals_of_random_programs() -> None:
    for seed in small(100):
        program = RandomProgram(seed)
        values, log_p = written_out(program, program.latents)
        estimate = ExactMarginal().estimate(program, no_guide)
        in_data = all(program.plates[name] for name in program.latents)
        assert estimate.bound.shape == ((2,) if in_data else (1,)), seed
        exact = log_p.logsumexp(0)
        close(estimate.bound.sum(), exact.detach(), seed)
        tables = list(program.tables.values())
        found, expected = (oracles.flat_gradient(value, tables) for value in (estimate.surrogate, exact))
        close(found, expected, seed)
        posterior = ExactMarginal().posterior(program, no_guide)
        for name, latent in program.latents.items():
            hit = nn.functional.one_hot(values[name], latent.values) * latent.mask.unsqueeze(-1)
            close(posterior[name], torch.tensordot(log_p.detach().softmax(0), hit.double(), dims=1), seed)


@pytest.mark.slow
def test_bounds_of_random_programs() -> None:
    """The guide draws the model's latents in an order and with parents of its own."""
    for seed in small(100):
        model = RandomProgram(seed)
        guide = RandomProgram(seed + 1000, of=model)
        _, log_p = written_out(model, model.latents)
        _, log_q = written_out(guide, model.latents)
        estimate = EnumeratedELBO().estimate(model, guide)
        terms = (log_p - log_q).where(log_q > -torch.inf, 0.0)
        exact = (log_q.exp() * terms).sum()
        close(estimate.bound.sum(), exact.detach(), seed)
        if exact > -torch.inf:
            tables = [*model.tables.values(), *guide.tables.values()]
            found, expected = (oracles.flat_gradient(value, tables) for value in (estimate.surrogate, exact))
            close(found, expected, seed)


# --- long and peaked --------------------------------------------------------------------------------


class LeftToRight(nn.Module):
    """A chain that stays, or seldom moves one state to the right; symbols say loudly where they come from."""

    def __init__(self, S: int, T: int, forbidden: float, move: float = 0.0):
        super().__init__()
        band = torch.full((S + 1, S), forbidden)
        index = torch.arange(S)
        band[index, index] = 0.0
        band[index[:-1], index[1:]] = move
        band[S, 0] = 0.0
        self.transition = nn.Parameter(band)
        self.emission = nn.Parameter(25.0 * torch.eye(S))
        self.register_buffer("symbols", torch.arange(T) * S // T)

    def forward(self) -> None:
        with pyro.plate("data", 1, dim=-1):
            z = torch.full((1,), self.emission.shape[0])
            for t in pyro.markov(range(len(self.symbols))):
                z = pyro.sample(f"z_{t}", dist.Categorical(logits=self.transition[z]))
                pyro.sample(f"y_{t}", dist.Categorical(logits=self.emission[z]), obs=self.symbols[t : t + 1])


def no_guide() -> None:
    pass


def transition_gradient(model: LeftToRight, surrogate: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(surrogate, [model.transition])
    return gradient.double()


@pytest.mark.parametrize("forbidden", [-60.0, -1000.0, -math.inf])
@pytest.mark.parametrize("move", [0.0, -20.0])
def test_peaked_chains_keep_their_gradient_in_single_precision(move: float, forbidden: float) -> None:
    model = LeftToRight(16, 64, forbidden, move)
    estimate = ExactMarginal().estimate(model, no_guide)
    assert estimate.bound.dtype == torch.float32
    exact = oracles.forward_recursion(model.transition, model.emission, model.symbols)
    if forbidden == -math.inf:  # the oracle's own logsumexp has no gradient there
        twin = LeftToRight(16, 64, -1000.0, move)
        exact = oracles.forward_recursion(twin.transition, twin.emission, twin.symbols)
        expected = transition_gradient(twin, exact)
    else:
        expected = transition_gradient(model, exact)
    torch.testing.assert_close(estimate.bound.sum().double(), exact.detach(), rtol=1e-5, atol=1e-4)
    found = transition_gradient(model, estimate.surrogate)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert expected.abs().max() > 0.3


def test_the_log_einsum_of_pyro_loses_that_gradient() -> None:
    """Why `ExactMarginal` has a contraction of its own; if this fails, Pyro's would do."""
    model = LeftToRight(16, 64, -60.0, move=-20.0)
    expected = transition_gradient(
        model, oracles.forward_recursion(model.transition, model.emission, model.symbols)
    )
    loss = TraceEnum_ELBO(max_plate_nesting=1).differentiable_loss(config_enumerate(model), no_guide)
    ours = transition_gradient(model, ExactMarginal().estimate(model, no_guide).surrogate)
    assert (transition_gradient(model, -loss) - expected).abs().max() > 0.5
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("variance", [1.0, 9.0, 100.0])
@pytest.mark.parametrize("T", [30, 300])
def test_marginals_of_a_long_banded_chain_in_single_precision(T: int, variance: float) -> None:
    """d log p / d log-likelihood of 20 states that stay or move right, against float64.

    Messages of float32 are off by up to 5e-4 here, Pyro's log-einsum by 1.
    """
    S = 20
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        likelihood = variance**0.5 * torch.randn(S, T, generator=generator)
        band = LeftToRight(S, T, -torch.inf).transition.detach()

        def model(band: Tensor = band, likelihood: Tensor = likelihood) -> None:
            with pyro.plate("data", 1, dim=-1):
                z = torch.full((1,), S)
                for t in pyro.markov(range(T)):
                    z = pyro.sample(f"z_{t}", dist.Categorical(logits=band[z]))
                    pyro.factor(f"y_{t}", likelihood[z, t])

        # One more symbol takes nearly all of the probability: gradients of the rest are those wanted.
        shifted = likelihood.double().requires_grad_()
        emission = torch.cat([shifted - 90.0, torch.zeros(S, 1)], -1)
        finite = band.clamp_min(-1e4)  # the oracle's logsumexp has no gradient at minus infinity
        exact = oracles.forward_recursion(finite, emission, torch.arange(T))
        (expected,) = torch.autograd.grad(exact, [shifted])
        found = ExactMarginal().posterior(model, no_guide)
        marginals = torch.cat([found[f"z_{t}"] for t in range(T)]).T  # (S, T)
        assert marginals.dtype == torch.float32
        torch.testing.assert_close(marginals.double(), expected, rtol=0, atol=1e-6)


class Kinds(nn.Module):
    """A chain whose every step knows the kind of the sequence, too: neither may be summed out early."""

    def __init__(self, S: int, T: int, kinds: int):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        draw = lambda *shape: nn.Parameter(torch.randn(*shape, generator=generator, dtype=torch.float64))  # noqa: E731
        self.kind, self.transition, self.emission = draw(kinds), draw(kinds, S + 1, S), draw(kinds, S, 5)
        self.symbols, self.S = torch.randint(5, (2, T), generator=generator), S

    def forward(self) -> None:
        with pyro.plate("data", 2, dim=-1):
            kind = pyro.sample("kind", dist.Categorical(logits=self.kind))
            z = torch.full((2,), self.S)
            for t in pyro.markov(range(self.symbols.shape[1])):
                z = pyro.sample(f"z_{t}", dist.Categorical(logits=self.transition[kind, z]))
                says = dist.Categorical(logits=self.emission[kind, z])
                pyro.sample(f"y_{t}", says, obs=self.symbols[:, t])


def test_a_kind_that_all_steps_know_is_summed_out_last() -> None:
    """First, it would tie 30 steps into one table of 3^30 entries."""
    model = Kinds(3, 30, 4)
    each = [
        [oracles.forward_recursion(model.transition[k], model.emission[k], y) for k in range(4)]
        for y in model.symbols
    ]
    joint = torch.stack([torch.stack(row) for row in each]) + model.kind.log_softmax(-1)  # (data, kinds)
    estimate = ExactMarginal().estimate(model, no_guide)
    torch.testing.assert_close(estimate.bound, joint.logsumexp(-1).detach(), **CLOSE)
    found = ExactMarginal().posterior(model, no_guide)["kind"]
    torch.testing.assert_close(found, joint.softmax(-1).detach(), **CLOSE)


def test_a_history_of_two_steps() -> None:
    """The same program with and without pyro.markov, where nothing is used again."""
    table = torch.randn(3, 3, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)

    def program(T: int, loop: Callable[..., Any]) -> Callable[[], None]:
        def model() -> None:
            before = last = torch.zeros(2, dtype=torch.int64)
            with pyro.plate("data", 2, dim=-1):
                for t in loop(range(T)):
                    z = pyro.sample(f"z_{t}", dist.Categorical(logits=table[before, last]))
                    seen = torch.tensor([t % 3, (2 * t + 1) % 3])
                    pyro.sample(f"y_{t}", dist.Categorical(logits=table[z, before]), obs=seen)
                    before, last = last, z

        return model

    recycled, plain = program(6, partial(pyro.markov, history=2)), program(6, iter)
    for ask in (ExactMarginal().posterior, lambda *programs: ExactMarginal().mode(*programs)[0]):
        expected, found = ask(plain, no_guide), ask(recycled, no_guide)
        for name in expected:
            torch.testing.assert_close(found[name], expected[name], **CLOSE)
    elbo = EnumeratedELBO()
    expected = elbo.estimate(plain, unobserved(plain)).bound
    torch.testing.assert_close(elbo.estimate(recycled, unobserved(recycled)).bound, expected, **CLOSE)


def unobserved(model: Callable[[], None]) -> Callable[[], None]:
    """The model's latents, as a guide."""
    return poutine.block(model, hide_fn=lambda site: site["type"] == "sample" and site["is_observed"])


class Counting(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += 1
        return func(*args, **kwargs or {})


@pytest.mark.parametrize("ask", ["exact", "enum", "posterior", "draws", "mode"])
def test_work_is_linear_in_the_length_of_a_chain(ask: str) -> None:
    def calls(T: int) -> int:
        model, guide = Chain(T, 2, 3), ChainGuide(T, 2)
        args = (torch.zeros(1, T, dtype=torch.int64), torch.ones(1, T, dtype=torch.bool))
        exact = ExactMarginal(max_plate_nesting=1)
        asked: dict[str, Callable[[], Any]] = {
            "exact": lambda: exact.estimate(model, guide, *args).surrogate.backward(),
            "enum": lambda: (
                EnumeratedELBO(max_plate_nesting=1).estimate(model, guide, *args).surrogate.backward()
            ),
            "posterior": lambda: exact.posterior(model, guide, *args),
            "draws": lambda: exact.sample_posterior(model, guide, *args),
            "mode": lambda: exact.mode(model, guide, *args),
        }
        with pyro.validation_enabled(False), Counting() as counting:
            asked[ask]()
        return counting.calls

    short, middle, long = (calls(T) for T in (10, 20, 30))
    assert long - middle == middle - short > 0


def test_a_chain_of_guides_is_summed_step_by_step() -> None:
    """The joint of 20 steps of 4 values would not fit in memory."""
    T, S = 20, 4
    symbols = torch.randint(0, 3, (1, T))
    mask = torch.ones(1, T, dtype=torch.bool)
    model, guide = Chain(T, S, 3), ChainGuide(T, S)
    bound = EnumeratedELBO().estimate(model, guide, symbols, mask).bound
    state, previous, expected = torch.ones(1, dtype=torch.float64), torch.tensor([S]), torch.zeros(())
    for t in range(T):
        move = guide.table[t].softmax(-1)[previous]  # (from, to)
        pair = state.unsqueeze(-1) * move
        cost = model.transition.log_softmax(-1)[previous] - guide.table[t].log_softmax(-1)[previous]
        expected = expected + (pair * (cost + model.emission.log_softmax(-1)[:, symbols[0, t]])).sum()
        state, previous = pair.sum(0), torch.arange(S)
    torch.testing.assert_close(bound.sum(), expected.detach(), **CLOSE)


def test_markov_in_one_program_only() -> None:
    case = cases.chain((3,))
    table = case.guide.table

    def guide(symbols: Tensor, mask: Tensor) -> None:
        with pyro.plate("data", 1, dim=-1):
            for t in range(3):
                pyro.sample(f"z_{t}", dist.Categorical(logits=table[t, 0]))

    def in_markov(symbols: Tensor, mask: Tensor) -> None:
        with pyro.plate("data", 1, dim=-1):
            for t in pyro.markov(range(3)):
                pyro.sample(f"z_{t}", dist.Categorical(logits=table[t, 0]))

    values = oracles.tuples(case.twin.latents)
    log_p, _ = case.twin.joint(values)
    log_q = sum(table[t, 0].log_softmax(-1)[values[f"z_{t}"]] for t in range(3))
    expected = (log_q.exp() * (log_p - log_q)).sum().detach()
    for q in (guide, in_markov):
        bound = EnumeratedELBO().estimate(case.model, q, *case.args).bound.sum()
        torch.testing.assert_close(bound, expected, **CLOSE)


def test_forbidden_values_in_the_guide() -> None:
    """Zero probability in the guide adds nothing to bound or gradient, even where the model says never."""
    case = cases.chain((3,))
    with torch.no_grad():
        case.guide.table[:, :, 1] = -torch.inf
        case.guide.table[0, :, 1] = 0.0
    estimate = EnumeratedELBO().estimate(case.model, case.guide, *case.args)
    for parameters in (case.of_model, case.of_guide):
        assert oracles.flat_gradient(estimate.surrogate, parameters).isfinite().all()
    with torch.no_grad():
        values = oracles.tuples(case.twin.latents)
        log_p, log_q = case.twin.joint(values)
        kept = log_q > -torch.inf
        expected = (log_q[kept].exp() * (log_p - log_q)[kept]).sum()
    torch.testing.assert_close(estimate.bound.sum(), expected, **CLOSE)


# --- plates -----------------------------------------------------------------------------------------


def test_a_global_latent_over_a_plate() -> None:
    """One z for all data: its factors multiply over the plate before it is summed out."""
    prior, emission = torch.tensor([0.2, -0.4]), torch.tensor([[0.1, 0.5, -1.0], [1.0, -0.3, 0.2]])
    symbols = torch.tensor([2, 0, 0, 1])

    def model() -> None:
        z = pyro.sample("z", dist.Categorical(logits=prior))
        with pyro.plate("data", 4, dim=-1):
            pyro.sample("y", dist.Categorical(logits=emission[z]), obs=symbols)

    joint = prior.log_softmax(-1) + emission.log_softmax(-1)[:, symbols].sum(-1)
    torch.testing.assert_close(ExactMarginal().estimate(model, no_guide).bound.sum(), joint.logsumexp(0))
    torch.testing.assert_close(ExactMarginal().posterior(model, no_guide)["z"], joint.softmax(0))


def test_a_latent_a_datum_over_a_plate_of_observations() -> None:
    prior, emission = torch.tensor([0.2, -0.4]), torch.tensor([[0.1, 0.5, -1.0], [1.0, -0.3, 0.2]])
    symbols = torch.tensor([[2, 0, 0], [1, 1, 2]])

    def model() -> None:
        with pyro.plate("data", 2, dim=-2):
            z = pyro.sample("z", dist.Categorical(logits=prior))
            with pyro.plate("steps", 3, dim=-1):
                pyro.sample("y", dist.Categorical(logits=emission[z]), obs=symbols)

    joint = prior.log_softmax(-1) + emission.log_softmax(-1)[:, symbols].sum(-1).T  # (2, S)
    torch.testing.assert_close(ExactMarginal().estimate(model, no_guide).bound, joint.logsumexp(-1))
    found = ExactMarginal().posterior(model, no_guide)["z"]
    torch.testing.assert_close(found.squeeze(), joint.softmax(-1))


@pytest.mark.parametrize("mask", [True, False])
def test_masks_that_are_not_tensors(mask: bool) -> None:
    case = cases.two_supports(2)
    model, guide = poutine.mask(case.model, mask=mask), poutine.mask(case.guide, mask=mask)
    for objective in (ExactMarginal(), EnumeratedELBO()):
        expected = objective.estimate(case.model, case.guide, *case.args).bound * mask
        torch.testing.assert_close(objective.estimate(model, guide, *case.args).bound, expected)
    found = ExactMarginal().posterior(model, guide, *case.args)
    expected = ExactMarginal().posterior(case.model, case.guide, *case.args)
    for name, probability in expected.items():
        torch.testing.assert_close(found[name], probability * mask)


def test_deterministic_sites_change_nothing() -> None:
    case = cases.two_supports(2)

    def model(symbols: Tensor) -> None:
        pyro.deterministic("table", case.model.emission)
        case.model(symbols)

    for objective in (ExactMarginal(), EnumeratedELBO()):
        expected = objective.estimate(case.model, case.guide, *case.args).bound
        torch.testing.assert_close(objective.estimate(model, case.guide, *case.args).bound, expected)


def test_a_latent_in_a_plate_under_a_global_one() -> None:
    """sum_z p(z) prod_i sum_w p(w | z) p(y_i | w): the inner sum comes first."""
    generator = torch.Generator().manual_seed(4)
    prior, move, says, q, r = (
        torch.randn(*shape, generator=generator, dtype=torch.float64).log_softmax(-1)
        for shape in ((2,), (2, 3), (3, 4), (2,), (2, 3))
    )
    symbols = torch.tensor([3, 0, 1])

    def model() -> None:
        z = pyro.sample("z", dist.Categorical(logits=prior))
        with pyro.plate("data", 3, dim=-1):
            w = pyro.sample("w", dist.Categorical(logits=move[z]))
            pyro.sample("y", dist.Categorical(logits=says[w]), obs=symbols)

    def guide() -> None:
        z = pyro.sample("z", dist.Categorical(logits=q))
        with pyro.plate("data", 3, dim=-1):
            pyro.sample("w", dist.Categorical(logits=r[z]))

    emission = says[:, symbols]  # (3 values of w, 3 data)
    each = (move.unsqueeze(-1) + emission).logsumexp(1)  # (2, 3 data)
    exact = (prior + each.sum(-1)).logsumexp(0)
    torch.testing.assert_close(ExactMarginal().estimate(model, no_guide).bound.sum(), exact, **CLOSE)
    posterior = ExactMarginal().posterior(model, no_guide)
    weights = (prior + each.sum(-1)).softmax(0)
    torch.testing.assert_close(posterior["z"], weights, **CLOSE)
    given_z = (move.unsqueeze(-1) + emission).softmax(1)  # (2, 3, 3 data)
    torch.testing.assert_close(posterior["w"], torch.einsum("z,zwd->dw", weights, given_z), **CLOSE)

    inner = (r.exp().unsqueeze(-1) * (move.unsqueeze(-1) + emission - r.unsqueeze(-1))).sum((1, 2))  # (2,)
    expected = (q.exp() * (prior - q + inner)).sum()
    torch.testing.assert_close(EnumeratedELBO().estimate(model, guide).bound.sum(), expected, **CLOSE)


def test_model_and_guide_see_the_same_subsample() -> None:
    seen: list[Tensor] = []

    def program() -> None:
        with pyro.plate("data", 50, subsample_size=3, dim=-1) as index:
            seen.append(index)
            pyro.sample("z", dist.Categorical(logits=torch.zeros(2)))

    EnumeratedELBO(max_plate_nesting=1).estimate(program, program)
    assert (seen[0] == seen[1]).all()


def test_crossed_plates_do_not_factorise() -> None:
    """Rows and columns of a table (a block model): no exact sum, but a bound if the guide has none such."""
    generator = torch.Generator().manual_seed(6)
    says, rows, columns = (torch.randn(*s, generator=generator).double() for s in ((2, 3, 2), (2, 2), (3, 3)))
    symbols = torch.randint(2, (2, 3), generator=generator)

    def model(observed: bool = True, tables: tuple[Tensor, Tensor] = (rows[0], columns[0])) -> None:
        row_plate, column_plate = pyro.plate("rows", 2, dim=-2), pyro.plate("columns", 3, dim=-1)
        with row_plate:
            r = pyro.sample("r", dist.Categorical(logits=tables[0]))
        with column_plate:
            c = pyro.sample("c", dist.Categorical(logits=tables[1]))
        if observed:
            with row_plate, column_plate:
                pyro.sample("y", dist.Categorical(logits=says[r, c]), obs=symbols)

    def guide() -> None:
        model(False, (rows.unsqueeze(1), columns))

    with pytest.raises(UsageError, match="sites 'r' and 'c' depend on each other, but neither is inside"):
        ExactMarginal().estimate(model, guide)
    q, s = rows.softmax(-1), columns.softmax(-1)
    exact = torch.einsum("ia,jb,abij->", q, s, says.log_softmax(-1)[..., symbols])
    exact = exact + (q * (rows[0].log_softmax(-1) - q.log())).sum()
    exact = exact + (s * (columns[0].log_softmax(-1) - s.log())).sum()
    torch.testing.assert_close(EnumeratedELBO().estimate(model, guide).bound.sum(), exact, **CLOSE)


def test_what_is_observed_outside_the_data_plate_counts_once() -> None:
    case = cases.two_supports(2)

    def model(symbols: Tensor) -> None:
        pyro.sample("global", dist.Bernoulli(torch.tensor(0.3)), obs=torch.tensor(1.0))
        case.model(symbols)

    for objective in (ExactMarginal(), EnumeratedELBO()):
        expected = objective.estimate(case.model, case.guide, *case.args).bound.sum() + math.log(0.3)
        found = objective.estimate(model, case.guide, *case.args).bound
        torch.testing.assert_close(found.sum(), expected.to(found.dtype), rtol=0, atol=1e-7)


@pytest.mark.parametrize("by", ["poutine", "distribution", "both"])
def test_a_mask_of_the_distribution_is_a_mask(by: str) -> None:
    """`fn.mask` takes elements out as poutine.mask does."""
    table = torch.tensor([[0.3, -0.2], [1.0, 0.4]])
    outer = torch.tensor([by == "distribution", True, True])
    inner = torch.tensor([True, True, by == "poutine"])

    def program(observed: bool) -> None:
        with pyro.plate("data", 3, dim=-1), poutine.mask(mask=outer):
            z = pyro.sample("z", dist.Categorical(logits=table[0]).mask(inner))
            if observed:
                says = dist.Categorical(logits=table[z]).mask(inner)
                pyro.sample("y", says, obs=torch.tensor([0, 1, 1]))

    keep = outer & inner
    each = (table[0].log_softmax(-1) + table.log_softmax(-1).T[[0, 1, 1]]).logsumexp(-1)
    exact = ExactMarginal().estimate(partial(program, True), no_guide)
    torch.testing.assert_close(exact.bound, each * keep)
    found = ExactMarginal().posterior(partial(program, True), no_guide)["z"]
    torch.testing.assert_close(found.sum(-1), keep.float())
    bound = EnumeratedELBO().estimate(partial(program, True), partial(program, False)).bound
    assert (bound != 0).tolist() == keep.tolist()


@pytest.mark.parametrize(
    "fn",
    [
        dist.Bernoulli(torch.tensor(0.3)),
        dist.Binomial(4, torch.tensor(0.3)),
        dist.BetaBinomial(torch.tensor(2.0), torch.tensor(1.0), 3),
        dist.OneHotCategorical(torch.tensor([0.2, 0.5, 0.3])),
    ],
    ids=lambda fn: type(fn).__name__,
)
def test_other_distributions_with_a_list_of_values(fn: Any) -> None:
    values = fn.enumerate_support()
    worth = torch.randn(len(values))

    def model() -> None:
        with pyro.plate("data", 2, dim=-1):
            z = pyro.sample("z", fn)
            shape = z.shape[: z.dim() - fn.event_dim]
            index = [values.tolist().index(each.tolist()) for each in z.reshape(-1, *fn.event_shape)]
            pyro.factor("y", worth[index].reshape(shape).expand(torch.broadcast_shapes(shape, (2,))))

    joint = fn.log_prob(values) + worth
    torch.testing.assert_close(ExactMarginal().estimate(model, no_guide).bound, joint.logsumexp(0).expand(2))
    found = ExactMarginal().posterior(model, no_guide)["z"]
    torch.testing.assert_close(found, joint.softmax(0).expand(2, -1))
    assert ExactMarginal().mode(model, no_guide)[0]["z"].tolist() == [int(joint.argmax())] * 2
