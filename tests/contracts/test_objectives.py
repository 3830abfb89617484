"""What every objective promises of a LatentAlignment, with every guide there is."""

from functools import partial
from typing import Any, NamedTuple

import cases
import oracles
import pyro
import pytest
import torch
from objective_settings import (
    ACROSS_DATA,
    ALIGNMENTS,
    ASKS,
    CHAINS,
    DRAW_THEMSELVES,
    EXPECTED,
    NO_ALIGNMENT,
    OBJECTIVES,
    POLICY_ONLY,
    forced,
)
from pyro import poutine
from pyro.infer import SVI
from pyro.optim import SGD
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import hardpp.inference
from hardpp import sites
from hardpp.errors import UsageError
from hardpp.inference import RelaxedObjective, SampledObjective, SurrogateObjective
from hardpp.inference.weights.particles import particle_trace
from hardpp.inference.weights.sample_sites import sample_sites
from hardpp.tasks import objectives as rows
from hardpp.types import Estimate, SequenceBatch

OURS = [name for name in ALIGNMENTS if not name.startswith("tracegraph")]
CLOSE = {"rtol": 1e-12, "atol": 1e-12}
CPU = torch.device("cpu")

every_objective = pytest.mark.parametrize("name", ALIGNMENTS)
# What is checked of programs at a first estimate is checked of all of them where padding is.
unchecked = pytest.mark.usefixtures("no_validation")
every_guide = pytest.mark.parametrize("guide", cases.ALIGNMENT_GUIDES)


class Programs(NamedTuple):
    model: nn.Module
    guide: nn.Module

    def parameters(self) -> list[nn.Parameter]:
        found = [*self.model.parameters(), *self.guide.parameters()]
        return list({id(p): p for p in found}.values())


def imitates_another(both: Programs) -> bool:
    """What a model's own prior draws teaches its policy nothing."""
    return not hasattr(both.guide, "prior_of")


def programs(guide: str, device: torch.device = CPU, dtype: torch.dtype = torch.float64) -> Programs:
    model = cases.latent_alignment(dtype=dtype)
    return Programs(model.to(device), cases.ALIGNMENT_GUIDES[guide](model).to(device))


SOURCE, TARGET = (3, 2, 3), (2, 3, 1)


def batch(device: torch.device = CPU, **kwargs: Any) -> SequenceBatch:
    return cases.alignment_batch(SOURCE, TARGET, **kwargs).to(device)


def draws(objective: SurrogateObjective, batch: SequenceBatch, seed: int = 3) -> Tensor:
    """Positions for the guide to draw, (K, B, T), or (B, T) for one particle; the same for any padding."""
    K, rows = objective.num_particles, []
    generator = torch.Generator().manual_seed(seed)
    T = batch.target.shape[1]
    for length, steps in zip(
        batch.source_mask.sum(-1).tolist(), batch.target_mask.sum(-1).tolist(), strict=True
    ):
        drawn = torch.randint(0, length, (K, steps), generator=generator)
        rows.append(nn.functional.pad(drawn, (0, T - steps)))
    value = torch.stack(rows, 1).to(batch.source.device)
    return value[0] if K == 1 else value


def estimate_of(
    objective: SurrogateObjective, both: Programs, batch: SequenceBatch, value: Tensor | None = None
) -> Estimate:
    """One estimate, at draws that are forced."""
    value = draws(objective, batch) if value is None else value
    guide, force = forced(objective, both.guide, {sites.ALIGNMENT: value})
    with force:
        return objective.estimate(both.model, guide, batch)


def evaluate(
    name: str, both: Programs, batch: SequenceBatch, value: Tensor | None = None, **kwargs: Any
) -> tuple[Estimate, Tensor]:
    """The estimate and the gradient of all parameters, at draws that are forced."""
    estimate = estimate_of(OBJECTIVES[name](**kwargs), both, batch, value)
    return estimate, oracles.flat_gradient(estimate.surrogate, both.parameters())


# --- data -------------------------------------------------------------------------------------------


@every_guide
@every_objective
def test_padding_is_never_read(name: str, guide: str) -> None:
    both = programs(guide)
    plain, gradient = evaluate(name, both, batch())
    padded, same = evaluate(name, both, batch(padded=(2, 3), padding=3))
    torch.testing.assert_close(padded.bound, plain.bound, **CLOSE)
    torch.testing.assert_close(same, gradient, **CLOSE)
    assert gradient.isfinite().all()
    taught = imitates_another(both) or name not in POLICY_ONLY
    assert bool(gradient.abs().max() > 1e-3) == taught


@unchecked
@every_objective
def test_the_order_of_a_batch_is_indifferent(name: str) -> None:
    both, data, order = programs("variational"), batch(), torch.tensor([2, 0, 1])
    value = draws(OBJECTIVES[name](), data)
    plain, gradient = evaluate(name, both, data)
    shuffled, same = evaluate(
        name, both, SequenceBatch(*(part[order] for part in data)), value.index_select(-2, order)
    )
    torch.testing.assert_close(shuffled.bound, plain.bound[order], **CLOSE)
    torch.testing.assert_close(same, gradient, **CLOSE)


@unchecked
@every_guide
@every_objective
def test_a_batch_is_the_sum_of_its_sentences(name: str, guide: str) -> None:
    both, data = programs(guide), batch()
    value = draws(OBJECTIVES[name](), data)
    whole, gradient = evaluate(name, both, data)
    assert whole.bound.shape == (3,)
    bounds, total = [], torch.zeros_like(gradient)
    for b in range(3):
        one = SequenceBatch(*(part[b : b + 1] for part in data))
        estimate, part = evaluate(name, both, one, value[..., b : b + 1, :])
        assert estimate.bound.shape == (1,)
        bounds.append(estimate.bound)
        total = total + part
    torch.testing.assert_close(torch.cat(bounds), whole.bound, **CLOSE)
    if name in ACROSS_DATA:
        assert (total - gradient).abs().max() > 1e-3
    else:
        torch.testing.assert_close(total, gradient, **CLOSE)


@every_guide
@every_objective
def test_sizes_of_one(name: str, guide: str) -> None:
    both = programs(guide)
    for source, target in (((1,), (1,)), ((3,), (1,)), ((1,), (3,)), ((1, 1), (2, 1)), ((2, 3), (1, 1))):
        data = cases.alignment_batch(source, target)
        with pyro.validation_enabled(max(source) == 1):  # the plates that a check could stumble over
            estimate, gradient = evaluate(name, both, data)
        assert estimate.bound.shape == (len(source),)
        assert estimate.bound.isfinite().all()
        assert gradient.isfinite().all()
        if estimate.log_weights is not None:
            assert estimate.log_weights.shape == (OBJECTIVES[name]().num_particles, len(source))
        if max(source) == 1:  # nothing to choose: what counts of it is the likelihood
            exact = oracles.alignment_marginal(both.model, data).detach()
            expected = torch.zeros_like(exact) if name in POLICY_ONLY else exact
            torch.testing.assert_close(estimate.bound, expected, **CLOSE)


@unchecked
@every_guide
@every_objective
def test_log_weights_average_to_the_bound(name: str, guide: str) -> None:
    estimate, _ = evaluate(name, programs(guide), batch())
    if estimate.log_weights is None:
        objective = OBJECTIVES[name]()
        sums = objective.needs & {"marginal", "enumerable", "relaxable"}
        assert sums or (isinstance(objective, SampledObjective) and not objective.weighs_draws)
    else:
        assert not estimate.log_weights.requires_grad
        mean = estimate.log_weights.mean(0)
        if OBJECTIVES[name]().bound == "iw" and len(estimate.log_weights) > 1:
            assert (estimate.bound > mean).all()  # the log of a mean, step by step
        else:
            torch.testing.assert_close(mean, estimate.bound, **CLOSE)
    assert not estimate.bound.requires_grad


@every_guide
def test_bounds_stand_in_order(guide: str) -> None:
    both, data = programs(guide), batch()
    exact, _ = evaluate("exact", both, data)
    enum, _ = evaluate("enum", both, data)
    assert (enum.bound < exact.bound).all()


# --- gradients --------------------------------------------------------------------------------------


@unchecked
@every_guide
@every_objective
def test_every_parameter_gets_a_gradient(name: str, guide: str, device: torch.device) -> None:
    both, data = programs(guide, device), batch(device)
    objective = OBJECTIVES[name]()
    guide_, force = forced(objective, both.guide, {sites.ALIGNMENT: draws(objective, data)})
    with force:
        objective.differentiable_loss(both.model, guide_, data).backward()
    of_model = {id(p) for p in both.model.parameters()}
    for parameter_name, parameter in both.model.named_parameters():
        trained = parameter.grad is not None and bool(parameter.grad.abs().max() > 0)
        chooses = not parameter_name.startswith("readout") and imitates_another(both)
        assert trained == (chooses or name not in POLICY_ONLY), parameter_name
    for parameter_name, parameter in both.guide.named_parameters():
        if id(parameter) not in of_model:
            trained = parameter.grad is not None and bool(parameter.grad.abs().max() > 0)
            assert trained == objective.trains_guide, parameter_name


def given_logits(data: SequenceBatch, leaves: list[Tensor]) -> Programs:
    """Model and guide over leaf logits: prior (B, T, S), emission (B, T, S, V), guide (B, T, S)."""
    prior, emission, q = leaves
    rows = torch.arange(emission.shape[0], device=q.device).unsqueeze(-1)
    steps = torch.arange(emission.shape[1], device=q.device)

    def scores(logits: Tensor) -> pyro.distributions.Categorical:
        return pyro.distributions.Categorical(
            logits=logits.masked_fill(~data.source_mask.unsqueeze(1), -torch.inf)
        )

    def model(data: SequenceBatch) -> None:
        with sites.output_steps(data.target_mask):
            z = pyro.sample(sites.ALIGNMENT, scores(prior))
            if z.is_floating_point():
                logits = (z.unsqueeze(-2) @ emission).squeeze(-2)
            else:
                logits = emission[rows, steps, z]
            pyro.sample(sites.SYMBOL, pyro.distributions.Categorical(logits=logits), obs=data.target)

    def guide(data: SequenceBatch) -> None:
        with sites.output_steps(data.target_mask):
            pyro.sample(sites.ALIGNMENT, scores(q))

    return Programs(model, guide)


@every_objective
def test_masked_steps_and_positions_give_and_get_exactly_nothing(name: str) -> None:
    data = batch(padded=(1, 1))
    B, T, S = (*data.target.shape, data.source.shape[1])
    shapes = [(B, T, S), (B, T, S, 4), (B, T, S)]
    leaves = [torch.randn(shape, dtype=torch.float64).requires_grad_() for shape in shapes]
    both = given_logits(data, leaves)
    objective = OBJECTIVES[name](max_plate_nesting=2)
    estimate = estimate_of(objective, both, data)
    gradients = torch.autograd.grad(estimate.surrogate, leaves, allow_unused=True)
    for leaf, gradient in zip(leaves, gradients, strict=True):
        if gradient is None:
            assert leaf is leaves[2] or (leaf is leaves[1] and name in POLICY_ONLY)
            assert leaf is not leaves[2] or not objective.trains_guide
            continue
        assert gradient.isfinite().all()
        assert (gradient[~data.target_mask] == 0).all()
        nowhere = ~data.source_mask.unsqueeze(1).expand(B, T, S)
        assert (gradient[nowhere] == 0).all()
        assert gradient.abs().max() > 1e-3
    # Values at masked steps are not read either.
    with torch.no_grad():
        for leaf in leaves:
            leaf[~data.target_mask] = 1e3 * torch.randn_like(leaf[~data.target_mask])
    again = estimate_of(objective, both, data)
    assert torch.equal(again.bound, estimate.bound)


# --- scales -----------------------------------------------------------------------------------------


def within(both: Programs, wrap: Any) -> Programs:
    """Both programs wrapped; a prior stays the prior of the model, whose score it leaves out."""
    model, guide = wrap(both.model), wrap(both.guide)
    if hasattr(both.guide, "prior_of"):
        guide.prior_of = model
    return Programs(model, guide)


@unchecked
@every_guide
@every_objective
def test_a_scale_multiplies_value_and_gradient(name: str, guide: str) -> None:
    both, data = programs(guide), batch()
    plain, gradient = evaluate(name, both, data)
    objective = OBJECTIVES[name](max_plate_nesting=2)
    scaled = estimate_of(objective, within(both, partial(poutine.scale, scale=4.0)), data)
    torch.testing.assert_close(scaled.bound, 4 * plain.bound, **CLOSE)
    found = oracles.flat_gradient(scaled.surrogate, both.parameters())
    torch.testing.assert_close(found, 4 * gradient, **CLOSE)


@every_objective
def test_subsampling_multiplies_value_and_gradient(name: str) -> None:
    generator = torch.Generator().manual_seed(2)
    tables = [torch.randn(n, generator=generator, dtype=torch.float64).requires_grad_() for n in (2, 8, 2)]
    symbols = torch.tensor([0, 3, 1, 2, 2, 1])

    def run(size: int, index: Tensor, subsample: Tensor | None) -> tuple[Any, Any]:
        def model() -> None:
            with pyro.plate("data", size, subsample=subsample, dim=-1):
                z = pyro.sample("z", pyro.distributions.Categorical(logits=tables[0]))
                logits = cases.pick(tables[1].reshape(2, 4), z)
                pyro.sample("y", pyro.distributions.Categorical(logits=logits), obs=symbols[index])

        def guide() -> None:
            with pyro.plate("data", size, subsample=subsample, dim=-1):
                pyro.sample("z", pyro.distributions.Categorical(logits=tables[2]))

        return model, guide

    objective = OBJECTIVES[name](max_plate_nesting=1)
    K, index = objective.num_particles, torch.tensor([4, 1])
    value = torch.tensor([[0, 1], [1, 1], [0, 0]])[:K]
    found = []
    for size, subsample in ((2, None), (6, index)):
        model, guide = run(size, index, subsample)
        guide, force = forced(objective, guide, {"z": value if K > 1 else value[0]})
        with force:
            found.append(objective.estimate(model, guide))
    plain, scaled = found
    torch.testing.assert_close(scaled.bound, 3 * plain.bound, **CLOSE)
    expected = 3 * oracles.flat_gradient(plain.surrogate, tables)
    torch.testing.assert_close(oracles.flat_gradient(scaled.surrogate, tables), expected, **CLOSE)


# --- dtypes and shapes ------------------------------------------------------------------------------


@every_objective
def test_single_precision(name: str) -> None:
    with pyro.validation_enabled(False):
        double, gradient = evaluate(name, programs("variational"), batch())
    single, found = evaluate(name, programs("variational", dtype=torch.float32), batch())
    assert double.bound.dtype == torch.float64
    assert single.bound.dtype == found.dtype == torch.float32
    torch.testing.assert_close(single.bound.double(), double.bound, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.double(), gradient, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", OURS)
def test_half_precision_logits_give_single_precision_bounds(name: str) -> None:
    data = batch()
    B, T, S = (*data.target.shape, data.source.shape[1])
    shapes = [(B, T, S), (B, T, S, 4), (B, T, S)]
    leaves = [torch.randn(shape).to(torch.bfloat16).requires_grad_() for shape in shapes]
    objective = OBJECTIVES[name](max_plate_nesting=2)
    results = []
    for precise in (False, True):
        both = given_logits(data, [leaf.double() if precise else leaf for leaf in leaves])
        results.append(estimate_of(objective, both, data))
    half, double = results
    assert half.bound.dtype == half.surrogate.dtype == torch.float32
    assert half.log_weights is None or half.log_weights.dtype == torch.float32
    torch.testing.assert_close(half.bound.double(), double.bound, rtol=0.05, atol=0.1)
    (gradient,) = torch.autograd.grad(half.surrogate, leaves[:1])
    assert gradient.dtype == torch.bfloat16
    assert gradient.isfinite().all()


@every_guide
def test_particles_and_enumeration_change_no_event_shape(guide: str) -> None:
    both, data = programs(guide), batch()

    def shapes(particles: int) -> list[dict[str, torch.Size]]:
        guided = particle_trace(both.guide, particles, 2, (data,), {})
        modelled = particle_trace(poutine.replay(both.model, trace=guided), particles, 2, (data,), {})
        return [
            {name: site["fn"].event_shape for name, site in sample_sites(trace).items()}
            for trace in (guided, modelled)
        ]

    assert shapes(1) == shapes(3)
    assert {"alignment", "symbol"} <= shapes(1)[1].keys()
    assert "symbol" not in shapes(1)[0]


@unchecked
@every_objective
def test_plate_nesting_is_given_declared_or_guessed(name: str) -> None:
    both, data = programs("variational"), batch()
    plain, gradient = evaluate(name, both, data)
    hidden = within(both, lambda program: lambda batch: program(batch))
    ways: list[tuple[Programs, dict[str, Any]]] = [
        (both, {"max_plate_nesting": 2}),
        (hidden, {"max_plate_nesting": 2}),
    ]
    if not isinstance(
        OBJECTIVES[name](), DRAW_THEMSELVES
    ):  # what is forced close to a guide is forced where the nesting is guessed, too
        ways.append((hidden, {}))
    for programs_, kwargs in ways:
        objective = OBJECTIVES[name](**kwargs)
        estimate = estimate_of(objective, programs_, data)
        torch.testing.assert_close(estimate.bound, plain.bound, **CLOSE)
        found = oracles.flat_gradient(estimate.surrogate, both.parameters())
        torch.testing.assert_close(found, gradient, **CLOSE)


@pytest.mark.parametrize("name", [name for name in ALIGNMENTS if name in CHAINS])
def test_one_objective_serves_programs_of_different_nesting(name: str) -> None:
    objective = OBJECTIVES[name]()
    chain, alignment = cases.chain((2,)), cases.alignment("prior")
    chain.model.max_plate_nesting = 1
    for case in (chain, alignment, chain):
        assert objective.estimate(case.model, case.guide, *case.args).bound.isfinite().all()


# --- entrances --------------------------------------------------------------------------------------


@unchecked
@every_objective
def test_three_entrances_agree(name: str) -> None:
    both, data = programs("variational"), batch()
    estimate, gradient = evaluate(name, both, data)
    objective = OBJECTIVES[name]()
    guide, force = forced(objective, both.guide, {sites.ALIGNMENT: draws(objective, data)})

    with force:
        loss = objective(both.model, guide)(data)
    torch.testing.assert_close(loss.detach(), -estimate.bound.sum(), **CLOSE)
    torch.testing.assert_close(-oracles.flat_gradient(loss, both.parameters()), gradient, **CLOSE)

    with force:
        value = objective.loss(both.model, guide, data)
        again = objective.loss_and_grads(both.model, guide, data)
    assert value == pytest.approx(loss.item(), rel=1e-12)
    assert again == pytest.approx(loss.item(), rel=1e-12)
    found = [torch.zeros_like(p) if p.grad is None else p.grad for p in both.parameters()]
    torch.testing.assert_close(-torch.cat([g.flatten() for g in found]), gradient, **CLOSE)

    before = torch.cat([p.detach().flatten() for p in both.parameters()])
    for parameter in both.parameters():
        parameter.grad = None
    svi = SVI(both.model, guide, SGD({"lr": 0.5}), loss=objective)
    # SVI collects parameters from Pyro's store: plain modules within a PyroModule need it.
    with force, pyro.settings.context(module_local_params=False):
        stepped = svi.step(data)
    assert stepped == pytest.approx(loss.item(), rel=1e-12)
    after = torch.cat([p.detach().flatten() for p in both.parameters()])
    torch.testing.assert_close(after, before + 0.5 * gradient, rtol=0, atol=1e-11)


@every_objective
def test_training_writes_nothing_to_the_parameter_store(name: str) -> None:
    """With module_local_params, which the trainer sets, and the fixture of these tests too."""
    both, data = programs("variational"), batch()
    assert pyro.settings.get("module_local_params")
    optimiser = torch.optim.SGD(both.parameters(), lr=0.1)
    OBJECTIVES[name]()(both.model, both.guide)(data).backward()
    optimiser.step()
    assert not pyro.get_param_store().keys()


class Moves(TorchDispatchMode):
    """Names the operations that move a value, or a shape that depends on one, to the host."""

    ASKS = ("_local_scalar_dense", "nonzero", "equal", "masked_select", "is_nonzero")

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in self.ASKS:
            self.seen.append(name)
        if name == "index" and any(i is not None and i.dtype == torch.bool for i in args[1]):
            self.seen.append("nonzero")
        return func(*args, **(kwargs or {}))


@unchecked
@every_guide
@pytest.mark.parametrize("name", OURS)
def test_no_step_waits_for_the_device(name: str, guide: str) -> None:
    both, data = programs(guide), batch()
    objective = OBJECTIVES[name]()
    with Moves() as moves:
        objective.differentiable_loss(both.model, both.guide, data).backward()
    assert moves.seen == ASKS.get(name, [])


def test_waiting_for_the_device_is_noticed() -> None:
    with Moves() as moves:
        torch.ones(2).sum().item()
        torch.ones(2)[torch.tensor([True, False])]
    assert moves.seen == ["_local_scalar_dense", "nonzero"]


def test_the_list_holds_every_objective() -> None:
    settings = {type(make()) for make in OBJECTIVES.values()}
    public = {getattr(hardpp.inference, name) for name in hardpp.inference.__all__}
    abstract = {SurrogateObjective, SampledObjective, RelaxedObjective}
    kinds = {kind for kind in public if isinstance(kind, type) and issubclass(kind, SurrogateObjective)}
    assert settings == kinds - abstract
    assert settings >= {spec.kind for spec in rows.OBJECTIVES.values()}


@pytest.mark.parametrize("name", NO_ALIGNMENT)
def test_an_alignment_of_which_nothing_can_be_made_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=NO_ALIGNMENT[name]):
        OBJECTIVES[name]().estimate(*programs("variational"), batch())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_say_what_they_are(name: str) -> None:
    objective = OBJECTIVES[name]()
    told = (objective.name, objective.bound, objective.unbiased)
    assert told == EXPECTED.get(name, EXPECTED.get(type(objective)))
