"""What objectives promise of online alignments, whose decisions are one site an utterance."""

import itertools
from typing import Any

import pytest
import torch
from contracts.test_objectives import Moves, Programs, unchecked
from objective_settings import ACROSS_DATA, OBJECTIVES, POLICY_ONLY
from oracles import Force, flat_gradient
from pyro import poutine, validation_enabled
from torch import Tensor
from utterances import DOUBLE, MODELS, guide_of, legal_paths, utterances

from hardpp import sites
from hardpp.errors import UsageError
from hardpp.inference import IWAE, ExactMarginal, Hybrid, SurrogateObjective
from hardpp.inference.weights.proposals import GUIDE
from hardpp.types import Estimate, SequenceBatch

CLOSE = {"rtol": 1e-11, "atol": 1e-11}
NOT_ASKED = ("tracegraph", "tracegraph-two", "rws-dream", "exact", "fivo")


def fits(name: str) -> bool:
    """Decisions have no weights to relax and no list of values; proposals flatten single draws;
    and as tokens are not at every step, no decision is right or wrong by them."""
    objective = OBJECTIVES[name]()
    if isinstance(objective, Hybrid) or getattr(objective, "proposal", GUIDE) != GUIDE:
        return False
    return not objective.needs & {"relaxable", "enumerable"}


ASKED = [name for name in OBJECTIVES if name not in NOT_ASKED]
FITS = [name for name in ASKED if fits(name)]
FRAMES, TOKENS = (4, 3, 2), (2, 3, 1)

every_objective = pytest.mark.parametrize("name", FITS)
every_program = pytest.mark.parametrize(
    ("form", "guide", "dwell"), [("online", "informed", True), ("transducer", "prior", False)]
)


def programs(form: str, guide: str, dwell: bool, dtype: torch.dtype = DOUBLE) -> Programs:
    model = MODELS[form](dwell, dtype=dtype)
    return Programs(model, guide_of(guide, model).to(dtype))


def batch(**kwargs: Any) -> SequenceBatch:
    return utterances(FRAMES, TOKENS, **kwargs)


def draws(objective: SurrogateObjective, data: SequenceBatch, dwell: bool) -> Tensor:
    """Paths (K, B, N), or (B, N) for one particle; the same for any padding."""
    steps = data.source.shape[1] + (data.target.shape[1] if dwell else 0)
    each = [
        legal_paths(m, n, dwell, steps)
        for m, n in zip(data.source_mask.sum(-1).tolist(), data.target_mask.sum(-1).tolist(), strict=True)
    ]
    K = objective.num_particles
    value = torch.stack(
        [torch.stack([paths[(3 * k + b) % len(paths)] for b, paths in enumerate(each)]) for k in range(K)]
    )
    return value[0] if K == 1 else value


def evaluate(
    name: str, both: Programs, data: SequenceBatch, value: Tensor | None = None
) -> tuple[Estimate, Tensor]:
    objective = OBJECTIVES[name]()
    chosen = draws(objective, data, both.model.dwell) if value is None else value
    with Force({sites.DECISIONS: lambda fn: chosen}):
        estimate = objective.estimate(both.model, both.guide, data)
    return estimate, flat_gradient(estimate.surrogate, both.parameters())


@every_program
@every_objective
def test_padding_is_never_read(name: str, form: str, guide: str, dwell: bool) -> None:
    both = programs(form, guide, dwell)
    plain, gradient = evaluate(name, both, batch())
    padded, same = evaluate(name, both, batch(padded=(2, 3)))
    torch.testing.assert_close(padded.bound, plain.bound, **CLOSE)
    torch.testing.assert_close(same, gradient, **CLOSE)
    assert gradient.isfinite().all()
    # What the model's own prior draws teaches it nothing.
    assert (gradient.abs().max() > 1e-3) != (name in POLICY_ONLY and guide == "prior")


@unchecked
@every_program
@every_objective
def test_a_batch_is_the_sum_of_its_utterances(name: str, form: str, guide: str, dwell: bool) -> None:
    both, data = programs(form, guide, dwell), batch()
    value = draws(OBJECTIVES[name](), data, dwell)
    whole, gradient = evaluate(name, both, data)
    bounds, total = [], torch.zeros_like(gradient)
    for b in range(3):
        one = SequenceBatch(*(part[b : b + 1] for part in data))
        estimate, part = evaluate(name, both, one, value[..., b : b + 1, :])
        bounds.append(estimate.bound)
        total = total + part
    torch.testing.assert_close(torch.cat(bounds), whole.bound, **CLOSE)
    if name in ACROSS_DATA:
        assert (total - gradient).abs().max() > 1e-3
    else:
        torch.testing.assert_close(total, gradient, **CLOSE)


@every_program
@every_objective
def test_single_precision(name: str, form: str, guide: str, dwell: bool) -> None:
    with validation_enabled(False):
        double, gradient = evaluate(name, programs(form, guide, dwell), batch())
    single, found = evaluate(name, programs(form, guide, dwell, torch.float32), batch(dtype=torch.float32))
    assert single.bound.dtype == found.dtype == torch.float32
    torch.testing.assert_close(single.bound.double(), double.bound, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.double(), gradient, rtol=1e-3, atol=2e-3)


@every_program
@pytest.mark.parametrize("name", [*FITS, "exact"])
def test_no_step_waits_for_the_device_and_every_parameter_learns(
    name: str, form: str, guide: str, dwell: bool
) -> None:
    if name == "exact" and form == "online":
        pytest.skip("its paths cannot be summed")
    both, data, objective = programs(form, guide, dwell), batch(), OBJECTIVES[name]()
    torch.manual_seed(0)
    with validation_enabled(False), Moves() as moves:
        objective.differentiable_loss(both.model, both.guide, data).backward()
    assert moves.seen == []
    for parameter in both.parameters():
        parameter.grad = None
    chosen = draws(objective, data, dwell)  # paths that differ: equal ones have nothing to say
    with Force({} if name == "exact" else {sites.DECISIONS: lambda fn: chosen}):
        objective.differentiable_loss(both.model, both.guide, data).backward()
    for parameter_name, parameter in both.model.named_parameters():
        trained = parameter.grad is not None and bool(parameter.grad.abs().max() > 0)
        taught = guide != "prior" and not parameter_name.startswith("readout")
        assert trained == (name not in POLICY_ONLY or taught)
    if guide == "informed" and objective.trains_guide:
        for parameter in both.guide.parameters():
            assert parameter.grad is not None
            assert parameter.grad.abs().max() > 0


@every_objective
def test_half_precision_layers_give_single_precision_bounds(name: str) -> None:
    both, data = programs("online", "informed", True, torch.float32), batch(dtype=torch.float32)
    plain, _ = evaluate(name, both, data)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half, gradient = evaluate(name, both, data)
    assert half.bound.dtype == torch.float32
    torch.testing.assert_close(half.bound, plain.bound, rtol=0.05, atol=0.3)
    assert gradient.isfinite().all()


@unchecked
@pytest.mark.slow
@pytest.mark.parametrize("form", MODELS)
def test_bounds_stand_in_order(form: str) -> None:
    """More particles come closer to the exact marginal, on average over draws of the guide."""
    if form == "online":
        both, data = programs(form, "informed", True), utterances((2,), (2,))
        paths = legal_paths(2, 2, True, 4)
        trace = poutine.trace(poutine.condition(both.model, {sites.DECISIONS: paths.unsqueeze(1)})).get_trace(
            data
        )
        joint = sum(
            trace.nodes[site]["fn"].log_prob(trace.nodes[site]["value"])
            for site in (sites.DECISIONS, sites.SYMBOL)
        )
        exact = joint.logsumexp(0).detach()
    else:
        both, data = programs(form, "informed", True), utterances((2,), (2,))
        exact = ExactMarginal().estimate(both.model, both.guide, data).bound
        paths = legal_paths(2, 2, True, 4)
    fn = poutine.trace(both.guide).get_trace(data).nodes[sites.DECISIONS]["fn"]
    chance = fn.log_prob(paths.unsqueeze(1)).exp().squeeze(-1).detach()
    means = []
    for K in (1, 2, 3):
        mean, objective = torch.zeros(1, dtype=DOUBLE), IWAE(K)
        for chosen in itertools.combinations_with_replacement(range(len(paths)), K):  # in any order alike
            orders = len(set(itertools.permutations(chosen)))
            value = paths[chosen[0]].unsqueeze(0) if K == 1 else paths[list(chosen)].unsqueeze(1)
            with torch.no_grad(), Force({sites.DECISIONS: lambda fn, value=value: value}):
                bound = objective.estimate(both.model, both.guide, data).bound
            mean = mean + orders * chance[list(chosen)].prod() * bound
        means.append(mean)
    assert means[0] < means[1] < means[2] < exact


@pytest.mark.parametrize("name", [name for name in ASKED if name not in FITS])
def test_what_does_not_fit_is_refused_by_name(name: str) -> None:
    both = programs("transducer", "informed", True)
    with pytest.raises(UsageError, match=r"'decisions'|'symbol' does not predict"):
        OBJECTIVES[name]().estimate(both.model, both.guide, batch())
