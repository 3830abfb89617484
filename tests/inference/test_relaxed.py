"""What all relaxations promise: padding, masks, scales, plates, particles and refusals."""

from collections.abc import Callable
from typing import Any

import cases
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from inference import relaxed_cases
from inference.relaxed_cases import OBJECTIVES, evaluate, uniforms
from pyro import poutine
from pyro.infer import SVI
from pyro.optim import SGD
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from hardpp.errors import UsageError
from hardpp.inference.gumbel import GumbelSoftmax
from hardpp.types import SequenceBatch

CLOSE = {"rtol": 0, "atol": 1e-11}
every_objective = pytest.mark.parametrize("name", OBJECTIVES)
every_case = pytest.mark.parametrize("program", cases.TAKES_RELAXED)


@every_case
@every_objective
def test_weights_are_weights(name: str, program: str) -> None:
    case = cases.CASES[program]()
    table = OBJECTIVES[name](20).weight_table(case.model, case.guide, *case.args)
    for latent in table.latents:
        weights = latent.guide["value"]
        assert weights.shape[0] == 20
        assert weights.is_floating_point()
        assert (weights >= 0).all()
        torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
        assert weights is latent.model["value"]
    first = table.latents[0].guide["value"]
    assert (first != first[:1]).any()  # a particle has noise of its own


@every_case
@every_objective
def test_what_is_reported(name: str, program: str) -> None:
    case = cases.CASES[program]()
    objective = OBJECTIVES[name](2)
    estimate = objective.estimate(case.model, case.guide, *case.args)
    B = next(iter(case.twin.latents.values())).mask.shape[0]
    assert estimate.bound.shape == (B,)
    assert not estimate.bound.requires_grad
    assert estimate.log_weights is None
    assert (objective.bound, objective.unbiased, objective.trains_guide) == ("none", False, True)
    torch.testing.assert_close(estimate.surrogate.detach(), estimate.bound.sum(), **CLOSE)


@every_objective
def test_three_entrances(name: str) -> None:
    case = cases.CASES["alignment-variational"]()
    objective = OBJECTIVES[name](2)
    us = uniforms(case, 2)
    bound, gradient = evaluate(objective, case, us)
    with relaxed_cases.fixed(us):
        loss = objective(case.model, case.guide)(*case.args)
    torch.testing.assert_close(loss.detach(), -bound.sum(), **CLOSE)
    torch.testing.assert_close(
        oracles.flat_gradient(loss, relaxed_cases.parameters(case)), -gradient, **CLOSE
    )
    before = [parameter.detach().clone() for parameter in case.of_guide]
    # SVI collects parameters from Pyro's store: plain modules within a PyroModule need it.
    with relaxed_cases.fixed(us), pyro.settings.context(module_local_params=False):
        SVI(case.model, case.guide, SGD({"lr": 1e-2}), loss=objective).step(*case.args)
    steps = [old - new.detach() for old, new in zip(before, case.of_guide, strict=True)]
    expected = -1e-2 * gradient[-sum(step.numel() for step in steps) :]
    torch.testing.assert_close(torch.cat([step.flatten() for step in steps]), expected, **CLOSE)


# --- particles, data, padding, masks ----------------------------------------------------------------


@every_case
@every_objective
def test_particles_are_averaged(name: str, program: str) -> None:
    case = cases.CASES[program]()
    us = uniforms(case, 3)
    together, gradient = evaluate(OBJECTIVES[name](3), case, us)
    each = [evaluate(OBJECTIVES[name](), case, {n: u[k : k + 1] for n, u in us.items()}) for k in range(3)]
    torch.testing.assert_close(together, torch.stack([value for value, _ in each]).mean(0), **CLOSE)
    torch.testing.assert_close(gradient, torch.stack([part for _, part in each]).mean(0), **CLOSE)


def ragged_batch(padded: tuple[int, int] = (0, 0)) -> SequenceBatch:
    return cases.alignment_batch((3, 1, 2), (2, 3, 1), padded=padded, padding=3)


@pytest.mark.parametrize("guide", cases.ALIGNMENT_GUIDES)
@every_objective
def test_padding_is_never_read(name: str, guide: str) -> None:
    plain, padded = (cases.alignment(guide, ragged_batch(more)) for more in ((0, 0), (2, 3)))
    us = uniforms(plain)
    more = {"alignment": nn.functional.pad(us["alignment"], (0, 2, 0, 3), value=0.9)}
    value, gradient = evaluate(OBJECTIVES[name](), plain, us)
    same, equal = evaluate(OBJECTIVES[name](), padded, more)
    torch.testing.assert_close(same, value, **CLOSE)
    torch.testing.assert_close(equal, gradient, **CLOSE)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 1e-2
    with relaxed_cases.fixed(more):
        (latent,) = OBJECTIVES[name]().weight_table(padded.model, padded.guide, *padded.args).latents
    batch = padded.args[0]
    assert (latent.guide["value"].movedim(-1, 1)[~batch.source_mask] == 0).all()


@pytest.mark.parametrize("guide", cases.ALIGNMENT_GUIDES)
@every_objective
def test_a_batch_is_the_sum_of_its_data(name: str, guide: str) -> None:
    case = cases.alignment(guide, ragged_batch())
    us = uniforms(case, 2)
    whole, gradient = evaluate(OBJECTIVES[name](2), case, us)
    values, total = [], torch.zeros_like(gradient)
    for b in range(3):
        one = case._replace(args=(SequenceBatch(*(part[b : b + 1] for part in case.args[0])),))
        value, part = evaluate(OBJECTIVES[name](2), one, {"alignment": us["alignment"][:, b : b + 1]})
        values.append(value)
        total = total + part
    torch.testing.assert_close(torch.cat(values), whole, **CLOSE)
    torch.testing.assert_close(total, gradient, **CLOSE)


@pytest.mark.parametrize("program", ["chain-ragged", "alignment-variational", "alignment-prior"])
@every_objective
def test_noise_at_masked_elements_is_indifferent(name: str, program: str) -> None:
    case = cases.CASES[program]()
    us, other = uniforms(case), uniforms(case, seed=5)
    changed = {
        n: u.where(case.twin.latents[n].mask.unsqueeze(-1), other[n]) for n, u in us.items()
    }  # fmt: skip
    assert any(not torch.equal(changed[n], us[n]) for n in us)
    value, gradient = evaluate(OBJECTIVES[name](), case, us)
    same, equal = evaluate(OBJECTIVES[name](), case, changed)
    torch.testing.assert_close(same, value, rtol=0, atol=0)
    torch.testing.assert_close(equal, gradient, rtol=0, atol=0)


@pytest.mark.parametrize("mask", ["tensor", "False"])
@every_objective
def test_a_masked_latent_has_no_gradient_even_where_it_is_read(name: str, mask: str) -> None:
    """Its own logits may be anything; an unmasked observation that reads it sees its first value."""
    kept = torch.tensor([True, False]) if mask == "tensor" else False
    scores = torch.randn(2, 3, dtype=torch.float64)
    scores[1] = torch.tensor([-1e9, 0.0, 1e9])
    logits, table = scores.requires_grad_(), torch.randn(3, 4, dtype=torch.float64)

    def program(observed: bool) -> None:
        with pyro.plate("data", 2, dim=-1):
            with poutine.mask(mask=kept):
                z = pyro.sample("z", dist.Categorical(logits=logits if not observed else table[:, :3][:2]))
            if observed:
                pyro.sample("y", dist.Categorical(logits=cases.pick(table, z)), obs=torch.tensor([1, 2]))

    objective = OBJECTIVES[name](max_plate_nesting=1)
    estimate = objective.estimate(lambda: program(True), lambda: program(False))
    (gradient,) = torch.autograd.grad(estimate.surrogate, logits)
    counts = torch.as_tensor(kept).expand(2)
    assert (gradient[~counts] == 0).all()
    assert (gradient[counts].abs() > 1e-3).all()
    expected = table[0].log_softmax(-1)[torch.tensor([1, 2])]
    torch.testing.assert_close(estimate.bound[~counts], expected[~counts], **CLOSE)


# --- plates and scales ------------------------------------------------------------------------------


@every_case
@every_objective
def test_a_scale_multiplies(name: str, program: str) -> None:
    case = cases.CASES[program]()
    us, nesting = uniforms(case, 2), next(iter(case.twin.latents.values())).mask.dim()
    objective = OBJECTIVES[name](2, max_plate_nesting=nesting)
    value, gradient = evaluate(objective, case, us)
    scaled = (poutine.scale(case.model, scale=3.0), poutine.scale(case.guide, scale=3.0))
    with relaxed_cases.fixed(us):
        estimate = objective.estimate(*scaled, *case.args)
    torch.testing.assert_close(estimate.bound, 3 * value, **CLOSE)
    found = oracles.flat_gradient(estimate.surrogate, relaxed_cases.parameters(case))
    torch.testing.assert_close(found, 3 * gradient, **CLOSE)


@every_objective
def test_a_subsample_counts_for_all_and_both_programs_see_the_same(name: str) -> None:
    logits, prior, table = (cases.normal(6, 3, seed=seed) for seed in (1, 2, 3))
    symbols = torch.tensor([0, 2, 1, 1, 0, 2])
    seen: list[Tensor] = []

    def program(observed: bool, chosen: Tensor | None) -> Callable[[], None]:
        def run() -> None:
            size = None if chosen is not None else 2
            with pyro.plate("data", 6, size, subsample=chosen, dim=-1) as index:
                seen.append(index)
                z = pyro.sample("z", dist.Categorical(logits=(prior if observed else logits)[index]))
                if observed:
                    pyro.sample("y", dist.Categorical(logits=cases.pick(table, z)), obs=symbols[index])

        return run

    us = torch.rand(6, 3, dtype=torch.float64)
    objective = OBJECTIVES[name](max_plate_nesting=1)
    index = torch.tensor([4, 1])
    leaves = [logits, prior, table]
    results = []
    for chosen in (index, torch.arange(6)):
        with oracles.Force({"z": relaxed_cases.draw(us[chosen])}):
            results.append(objective.estimate(program(True, chosen), program(False, chosen)))
    part, whole = results
    torch.testing.assert_close(part.bound, 3 * whole.bound[index], **CLOSE)
    gradient, full = (oracles.flat_gradient(each.surrogate, leaves[:2]).reshape(2, 6, 3) for each in results)
    torch.testing.assert_close(gradient[:, index], 3 * full[:, index], **CLOSE)
    seen.clear()
    objective.estimate(program(True, None), program(False, None))
    assert torch.equal(seen[0], seen[1])


# --- numbers ----------------------------------------------------------------------------------------


class Given(nn.Module):
    """Logits of a latent, and of an observation given each of its values; a guide without the second."""

    def __init__(self, latent: Tensor, table: Tensor | None):
        super().__init__()
        self.latent, self.table = latent, table

    def forward(self, symbols: Tensor) -> None:
        with pyro.plate("data", len(symbols), dim=-1):
            z = pyro.sample("z", dist.Categorical(logits=self.latent))
            if self.table is not None:
                pyro.sample("y", dist.Categorical(logits=z @ self.table), obs=symbols)


@every_objective
def test_half_precision_logits_give_single_precision_values(name: str) -> None:
    symbols = torch.tensor([0, 3])
    leaves = [torch.randn(shape).bfloat16().requires_grad_() for shape in ((2, 5), (2, 5), (5, 4))]
    u = torch.rand(2, 5, dtype=torch.float64) * 0.9 + 0.05
    results = []
    for cast in (Tensor.bfloat16, Tensor.double):
        latent, prior, table = (cast(leaf) for leaf in leaves)
        with oracles.Force({"z": relaxed_cases.draw(u.float() if cast is Tensor.bfloat16 else u)}):
            objective = OBJECTIVES[name](max_plate_nesting=1)
            results.append(objective.estimate(Given(prior, table), Given(latent, None), symbols))
    half, double = results
    assert half.bound.dtype == half.surrogate.dtype == torch.float32
    torch.testing.assert_close(half.bound.double(), double.bound, rtol=0.05, atol=0.1)
    for gradient in torch.autograd.grad(half.surrogate, leaves):
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0


@every_objective
def test_extreme_logits_have_finite_gradients(name: str) -> None:
    symbols = torch.tensor([0, 3, 1])
    none = -torch.inf
    latent = torch.tensor([[0.0, -300.0, none], [-40.0, 0.0, 40.0], [none, none, 7.0]], requires_grad=True)
    prior = torch.tensor([[0.0, -1.0, none], [0.0, 80.0, 0.0], [none, none, 1.0]], requires_grad=True)
    table = torch.randn(3, 4, requires_grad=True)
    objective = OBJECTIVES[name](2, max_plate_nesting=1)
    estimate = objective.estimate(Given(prior, table), Given(latent, None), symbols)
    assert estimate.bound.isfinite().all()
    for gradient in torch.autograd.grad(estimate.surrogate, (latent, prior, table)):
        assert gradient.isfinite().all()


@every_objective
def test_a_probability_given_as_zero_has_no_weight(name: str) -> None:
    probs = torch.tensor([[0.25, 0.0, 0.75]], requires_grad=True)
    drawn: list[Tensor] = []

    def program(observed: bool) -> None:
        with pyro.plate("data", 1, dim=-1):
            z = pyro.sample("z", dist.Categorical(probs=probs))
            if observed:
                drawn.append(z)
                pyro.sample("y", dist.Categorical(logits=z @ torch.eye(3)), obs=torch.tensor([0]))

    objective = OBJECTIVES[name](50, max_plate_nesting=1)
    estimate = objective.estimate(lambda: program(True), lambda: program(False))
    assert (drawn[0][..., 1] == 0).all()
    assert (drawn[0][..., 0] > 0).any()
    assert estimate.bound.isfinite().all()
    assert torch.autograd.grad(estimate.surrogate, probs)[0].isfinite().all()


@every_objective
def test_equal_programs_have_no_divergence(name: str) -> None:
    logits = torch.tensor([[0.3, -2.0, -torch.inf], [1.0, -torch.inf, 9.0]], dtype=torch.float64)
    log_q = logits.log_softmax(-1)
    divergence = OBJECTIVES[name]().divergence(log_q, log_q)
    torch.testing.assert_close(divergence, torch.zeros(2, dtype=torch.float64), rtol=0, atol=0)


@every_objective
def test_a_value_that_the_model_excludes_and_the_guide_does_not_is_impossible(name: str) -> None:
    log_q = torch.tensor([0.5, 0.5]).log()
    assert OBJECTIVES[name]().divergence(log_q, torch.tensor([0.0, -torch.inf])) == torch.inf


class Asked(TorchDispatchMode):
    """Remembers which operations moved a value to the host."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in ("_local_scalar_dense", "nonzero", "equal", "masked_select"):
            self.seen.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("objective", [*OBJECTIVES, "annealed"])
def test_no_step_waits_for_the_device(objective: str) -> None:
    case = cases.CASES["alignment-variational"]()
    make = OBJECTIVES.get(objective, lambda K: GumbelSoftmax(K, final_temperature=0.1))
    with pyro.validation_enabled(False), Asked() as asked:
        make(2).differentiable_loss(case.model, case.guide, *case.args).backward()
    assert asked.seen == []
    with asked:
        torch.ones(()).item()
    assert asked.seen == ["_local_scalar_dense"]


# --- refusals ---------------------------------------------------------------------------------------


@every_objective
def test_only_categorical_latents(name: str) -> None:
    def program() -> None:
        with pyro.plate("data", 2, dim=-1):
            pyro.sample("place", dist.Normal(0.0, 1.0))

    with pytest.raises(UsageError, match="'place' is Normal: only a Categorical"):
        OBJECTIVES[name]().estimate(program, program)


@every_objective
def test_both_programs_draw_the_same_latents(name: str) -> None:
    def program(site: str, values: int, size: int = 2) -> Callable[[], None]:
        def run() -> None:
            with pyro.plate("data", size, dim=-1):
                pyro.sample(site, dist.Categorical(logits=torch.zeros(values)))

        return run

    objective = OBJECTIVES[name](max_plate_nesting=1)
    with pytest.raises(UsageError, match=r"'z' is drawn as weights of shape \(2, 3\) .* takes \(2, 4\)"):
        objective.estimate(program("z", 4), program("z", 3))
    with pytest.raises(UsageError, match="'z' is missing in the guide"):
        objective.estimate(program("z", 3), program("w", 3))


@every_objective
def test_at_least_one_particle(name: str) -> None:
    with pytest.raises(UsageError, match="at least 1 particle"):
        OBJECTIVES[name](0)
