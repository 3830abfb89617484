"""NVIL: right up to a known scale, less variance the more it learns, and trained at every entrance."""

import copy
from collections.abc import Iterator

import cases
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import CASES, Case
from objective_settings import nvil
from pyro.infer import SVI
from pyro.optim import ClippedAdam
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from hardpp.inference.control.baselines import AverageBaseline, History, LearnedBaseline, history_of
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.ops.weights import suffix_sums

CLOSE = {"rtol": 0, "atol": 1e-9}


def trained_somehow(objective: ScoreFunctionELBO, seed: int = 0) -> ScoreFunctionELBO:
    """Random weights and moments (centre 0.7 and scale 3 of the signal), not to be changed any more."""
    generator = torch.Generator().manual_seed(seed)
    assert isinstance(objective.baseline, nn.Module)
    with torch.no_grad():
        for part in [*objective.baseline.parameters(), objective.baseline.returns.mean]:
            part.copy_(2 * torch.randn(part.shape, generator=generator))
        if objective.moments is not None:
            objective.moments.mean.fill_(0.7)
            objective.moments.variance.fill_(9.0)
            objective.moments.eval()
    objective.baseline.eval()
    return objective


def exact_parts(case: Case) -> tuple[Tensor, Tensor]:
    """The exact bound, whose gradient is in two parts: that within E_q, and that of q by its score."""
    log_p, log_q = case.twin.joint(oracles.tuples(case.twin.latents))
    q = log_q.sum(-1).exp()
    log_w = (log_p - log_q).sum(-1)
    return (q.detach() * log_w).sum(), (q * log_w.detach()).sum()


# --- the expectation --------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 3.0], ids=["plain", "normalised"])
@pytest.mark.parametrize("credit", ["causal", "global"])
@pytest.mark.parametrize("name", CASES)
def test_exact_up_to_the_scale_of_the_signal(name: str, credit: str, scale: float) -> None:
    case, objective = CASES[name](), trained_somehow(nvil(credit=credit, normalize=scale > 1))
    check_expectation(case, objective, 1, scale)


def check_expectation(case: Case, objective: ScoreFunctionELBO, particles: int, scale: float) -> None:
    def run() -> tuple[Tensor, Tensor]:
        estimate = objective.estimate(case.model, case.guide, *case.args)
        return estimate.bound, estimate.surrogate

    bound, surrogate = oracles.expectation(case.twin, particles, run)
    torch.testing.assert_close(bound, oracles.bound_per_datum(case.twin).detach(), **CLOSE)
    parameters = [*case.of_model, *case.of_guide]
    within, score = (oracles.flat_gradient(part, parameters) for part in exact_parts(case))
    torch.testing.assert_close(oracles.flat_gradient(surrogate, parameters), within + score / scale, **CLOSE)
    assert score.abs().max() > 1e-3


@pytest.mark.parametrize("baseline", ["leave-one-out", "temporal", "soft-attention", "average", None])
def test_normalising_serves_every_baseline(baseline: str | None) -> None:
    objective = ScoreFunctionELBO(2, baseline=baseline, normalize=True)
    assert objective.moments is not None
    objective.moments.mean.fill_(-4.0)
    objective.moments.variance.fill_(16.0)
    objective.moments.eval()
    if isinstance(objective.baseline, nn.Module):
        objective.baseline.eval()
    check_expectation(cases.chain((2, 1)), objective, 2, 4.0)


def test_the_centre_is_a_baseline_for_all() -> None:
    case, gradients = cases.chain((3, 1)), []
    centred = ScoreFunctionELBO(2, normalize=True)
    assert centred.moments is not None
    centred.moments.mean.fill_(-2.5)
    centred.moments.variance.fill_(4.0)
    for objective in (centred, ScoreFunctionELBO(2, baseline=Given(torch.tensor(-2.5)))):
        with oracles.Force({f"z_{t}": torch.tensor([[0, 1], [1, 1]]) for t in range(3)}):
            surrogate = objective.estimate(case.model, case.guide, *case.args).surrogate
        gradients.append(oracles.flat_gradient(surrogate, case.of_guide))
    torch.testing.assert_close(gradients[0], gradients[1] / 2, rtol=1e-12, atol=1e-12)


def test_small_signals_are_not_blown_up() -> None:
    objective = trained_somehow(nvil())
    assert objective.moments is not None
    objective.moments.variance.fill_(0.01)
    check_expectation(cases.chain((2,)), objective, 1, 1.0)


def test_an_untrained_one_is_no_baseline_at_all() -> None:
    case = cases.chain((3, 1))
    gradients = []
    for objective in (nvil(2), ScoreFunctionELBO(2)):
        values = {f"z_{t}": torch.tensor([[0, 1], [1, 1]]) for t in range(3)}
        with oracles.Force(values):
            surrogate = objective.estimate(case.model, case.guide, *case.args).surrogate
        gradients.append(oracles.flat_gradient(surrogate, case.of_guide))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=0)


# --- the variance -----------------------------------------------------------------------------------


class Given(nn.Module):
    def __init__(self, value: Tensor):
        super().__init__()
        self.register_buffer("value", value)

    def forward(self, history: History, *args: Tensor) -> Tensor:
        return self.value


def mean_returns(case: Case) -> Tensor:
    """E_q of the return of every stage, (*I, N)."""

    def run() -> tuple[Tensor]:
        table = ScoreFunctionELBO().weight_table(case.model, case.guide, *case.args)
        return (suffix_sums((table.log_p - table.log_q).detach()),)

    return oracles.expectation(case.twin, 1, run)[0][0]


def variance(case: Case, objective: ScoreFunctionELBO) -> float:
    def run() -> Tensor:
        return objective.estimate(case.model, case.guide, *case.args).surrogate

    return float(oracles.gradient_variance(case.twin, 1, run, case.of_guide).sum())


def learn(case: Case, objective: ScoreFunctionELBO, steps: int) -> nn.Module:
    module = objective(case.model, case.guide)
    assert isinstance(objective.baseline, nn.Module)
    optimiser = torch.optim.Adam(objective.baseline.parameters(), lr=0.01)
    for _ in range(steps):
        optimiser.zero_grad()
        module(*case.args).backward()
        optimiser.step()
    return objective.baseline.eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chain", "history", "two-supports"])
def test_a_learned_baseline_takes_the_variance_of_the_ideal_constants(name: str) -> None:
    """Summed over all draws: what is left is compared with the best that one number a stage can do."""
    case = CASES[name]()
    none = variance(case, ScoreFunctionELBO())
    ideal = variance(case, ScoreFunctionELBO(baseline=Given(mean_returns(case))))
    learned = learn(case, nvil(16), 500)
    left = variance(case, ScoreFunctionELBO(baseline=learned))
    assert ideal < 0.4 * none
    assert left < 1.3 * ideal


@pytest.mark.slow
def test_a_learned_baseline_finds_the_mean_return_given_the_past() -> None:
    """The optimum of the regression, which no number a stage can express."""
    case = cases.chain((2,))
    rows: dict[int, list[Tensor]] = {0: [], 1: []}
    learned = learn(case, nvil(32), 400)
    plain = ScoreFunctionELBO(baseline=learned)
    for probability, values in oracles.draws(case.twin, 1):
        with oracles.Force(values):
            table = plain.weight_table(case.model, case.guide, *case.args)
        last = (table.log_p - table.log_q).detach()[0, 0, 2]
        said = learned(history_of(table))[0, 0, 2].detach()
        rows[int(values["z_0"])].append(torch.stack([probability, last, said.double()]))
    ideal, found = [], []
    for group in rows.values():
        weight, last, said = torch.stack(group, -1)
        ideal.append((weight * last).sum() / weight.sum())
        found.append(said.mean())
    assert abs(ideal[0] - ideal[1]) > 0.2
    assert abs(found[0] - ideal[0]) < 0.25 * abs(ideal[0] - ideal[1])
    assert abs(found[1] - ideal[1]) < 0.25 * abs(ideal[0] - ideal[1])


# --- training ---------------------------------------------------------------------------------------


def weights(objective: ScoreFunctionELBO) -> dict[str, Tensor]:
    assert isinstance(objective.baseline, nn.Module)
    return {name: p.detach().clone() for name, p in objective.baseline.named_parameters()}


def all_trained(objective: ScoreFunctionELBO, before: dict[str, Tensor]) -> bool:
    return all(bool((p != before[name]).any()) for name, p in weights(objective).items())


def test_a_torch_optimiser_trains_it() -> None:
    case, objective = cases.chain((3, 1)), nvil(2)
    module = objective(case.model, case.guide)
    before = weights(objective)
    optimiser = torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(3):
        optimiser.zero_grad()
        module(*case.args).backward()
        optimiser.step()
    assert all_trained(objective, before)
    assert {"baseline.returns.mean", "baseline.network.0.weight", "moments.mean"} <= set(module.state_dict())


@pytest.mark.parametrize("local", [False, True])
def test_svi_trains_it(local: bool) -> None:
    """Parameters of the programs are in Pyro's store here: SVI steps no other, whatever the setting."""
    symbols = torch.tensor([0, 2, 1])

    def model() -> None:
        says = pyro.param("says", torch.zeros(2, 3))
        with pyro.plate("data", 3, dim=-1):
            z = pyro.sample("z", dist.Categorical(logits=torch.zeros(2)))
            pyro.sample("y", dist.Categorical(logits=says[z]), obs=symbols)

    def guide() -> None:
        with pyro.plate("data", 3, dim=-1):
            pyro.sample("z", dist.Categorical(logits=pyro.param("q", torch.zeros(3, 2))))

    objective = nvil(2)
    before = weights(objective)
    with pyro.settings.context(module_local_params=local):
        svi = SVI(model, guide, ClippedAdam({"lr": 0.01}), loss=objective)
        for _ in range(4):
            svi.step()
    assert all_trained(objective, before)
    assert (pyro.param("says") != 0).all()
    assert (pyro.param("q") != 0).all()


def test_svi_trains_it_beside_programs_that_are_modules() -> None:
    case, objective = cases.chain((3, 1)), nvil(2)
    before, table = weights(objective), case.guide.table.detach().clone()
    with pyro.settings.context(module_local_params=False):
        svi = SVI(case.model, case.guide, ClippedAdam({"lr": 0.01}), loss=objective)
        for _ in range(3):
            svi.step(*case.args)
    assert all_trained(objective, before)
    assert (case.guide.table != table).any()


@pytest.mark.parametrize("baseline", ["learned", "average"])
def test_copies_stay_whole(baseline: str) -> None:
    case, objective = cases.chain((3, 1)), nvil(2, baseline=baseline)
    module = objective(case.model, case.guide)
    for twin in (copy.deepcopy(module), AveragedModel(module).module):
        assert twin.elbo.baseline is twin.baseline is not objective.baseline
        assert twin.elbo.moments is twin.moments is not objective.moments


def test_an_average_of_weights_keeps_up_with_the_moments() -> None:
    case, objective = cases.chain((3, 1)), nvil(2)
    module = objective(case.model, case.guide)
    averaged = AveragedModel(module)
    for _ in range(3):
        module(*case.args)
        averaged.update_parameters(module)
    state = averaged.module.state_dict()
    for name, part in module.named_buffers():
        assert torch.equal(state[name], part)
    assert module.baseline.returns.mean[1:4].abs().min() > 1e-2


def batches() -> Iterator[Case]:
    yield from (cases.chain(lengths) for lengths in [(3, 2, 3), (3, 1), (2,), (1,), (4, 2)])


@pytest.mark.parametrize("baseline", ["learned", "average"])
def test_batches_may_differ_in_every_size(baseline: str) -> None:
    """A smaller last batch, a single datum, fewer and more steps: the state is none of a batch's sizes."""
    objective = nvil(2, baseline=baseline)
    assert isinstance(objective.baseline, nn.Module)
    shapes = {name: part.shape for name, part in objective.baseline.state_dict().items()}
    for case in batches():
        loss = objective(case.model, case.guide)(*case.args)
        loss.backward()
        assert loss.isfinite()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in [*case.of_model, *case.of_guide])
    assert {name: part.shape for name, part in objective.baseline.state_dict().items()} == shapes
    mean, _ = objective.baseline.returns(6)
    assert mean[[0, 5]].tolist() == [0.0, 0.0]
    assert (mean[1:5] != 0).all()


def test_more_stages_than_are_kept_apart() -> None:
    case = cases.chain((3, 2))
    objective = nvil(2, baseline=AverageBaseline(stages=2))
    for _ in range(2):
        objective(case.model, case.guide)(*case.args).backward()
    assert objective.baseline.returns.mean.shape == (2,)


def test_autocast_leaves_bounds_and_moments_alone() -> None:
    case, objective = cases.chain((3, 1)), trained_somehow(nvil(2))
    assert isinstance(objective.baseline, LearnedBaseline)
    objective.baseline.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = objective(case.model, case.guide)(*case.args)
    loss.backward()
    assert loss.dtype == torch.float64
    assert objective.baseline.returns.mean.dtype == torch.float32
    assert all(p.grad is not None and p.grad.isfinite().all() for p in objective.baseline.parameters())
