"""Statistics of estimators beside their exact bias and variance, by enumeration of all draws."""

import io
from typing import Any

import cases
import oracles
import pytest
import torch
from torch import Tensor, nn

from hardpp.diagnostics.gradient_plot import gradient_figure, is_biased, ranked
from hardpp.diagnostics.gradients import (
    _Moments,
    examine,
    fit_modules,
    parameter_groups,
    surrogate_gradient,
)
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.weights.weight_table import WeightTable

DRAWS = 800


class Doubled(ScoreFunctionELBO):
    """Twice the gradient: wrong on purpose, by as much as the gradient is long."""

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        bound, surrogate = super().surrogate(table)
        return bound, 2 * surrogate


def exact_gradient(case: cases.Case) -> dict[str, Tensor]:
    groups = parameter_groups(case.model, case.guide)
    return surrogate_gradient(EnumeratedELBO(), case.model, case.guide, case.args, groups)[1]


@pytest.mark.slow
def test_variance_and_bias_of_an_unbiased_estimator() -> None:
    torch.manual_seed(0)
    case = cases.chain((2,))
    groups = parameter_groups(case.model, case.guide)
    assert set(groups) == {"model", "guide"}
    objective = ScoreFunctionELBO()
    found = examine(
        objective, case.model, case.guide, case.args, groups, draws=DRAWS, target=exact_gradient(case)
    )

    def run() -> Tensor:
        return objective.estimate(case.model, case.guide, *case.args).surrogate

    for name, parameters in groups.items():
        exact = oracles.gradient_variance(case.twin, 1, run, parameters).sum().item()
        statistics = found.groups[name]
        assert statistics.variance == pytest.approx(exact, rel=0.25)  # 4 standard errors are 0.21
        assert abs(statistics.squared_bias) < 4 * statistics.squared_bias_error
        norm = float(exact_gradient(case)[name].norm())
        assert statistics.norm == pytest.approx(norm, abs=4 * (exact / DRAWS) ** 0.5)
        assert statistics.signal_to_noise == pytest.approx(statistics.norm / statistics.variance**0.5)
    bound = oracles.bound_per_datum(case.twin).mean().item()
    assert found.bound == pytest.approx(bound, abs=0.2)
    assert found.ess is None
    assert found.seconds > 0


@pytest.mark.slow
def test_a_biased_estimator_is_found_out() -> None:
    torch.manual_seed(0)
    case = cases.chain((2,))
    groups = parameter_groups(case.model, case.guide)
    objective = Doubled(4, baseline="leave-one-out")
    found = examine(
        objective, case.model, case.guide, case.args, groups, draws=DRAWS, target=exact_gradient(case)
    )
    for statistics in found.groups.values():
        assert statistics.squared_bias == pytest.approx(1.0, abs=4 * statistics.squared_bias_error)
        assert statistics.squared_bias_error < 0.1
    assert 1 < found.ess < 4


def test_deterministic_objectives_have_no_noise() -> None:
    case = cases.alignment()
    groups = parameter_groups(case.model, case.guide)
    for objective in (EnumeratedELBO(), ExactMarginal()):
        target = surrogate_gradient(objective, case.model, case.guide, case.args, groups)[1]
        found = examine(objective, case.model, case.guide, case.args, groups, draws=20, target=target)
        assert found.groups["model"].variance == 0
        assert abs(found.groups["model"].squared_bias) < 1e-20
    assert found.groups["guide"].norm == 0
    assert found.groups["guide"].squared_bias is None


def test_the_estimate_of_the_squared_bias_has_no_bias() -> None:
    """Its mean over many repetitions, with a true squared bias of 0.25, within 4 standard errors."""
    generator = torch.Generator().manual_seed(3)
    target, values, errors = torch.tensor([1.0, 0.0]).double(), [], []
    for _ in range(400):
        moments = _Moments(2, 10, torch.device("cpu"))
        for row in target + torch.tensor([0.5, 0.0]) + torch.randn(40, 2, generator=generator):
            moments.add(row)
        statistics = moments.statistics(target)
        values.append(statistics.squared_bias)
        errors.append(statistics.squared_bias_error)
    found = torch.tensor(values)
    assert abs(float(found.mean()) - 0.25) < 4 * float(found.std()) / 20
    assert float(torch.tensor(errors).mean()) == pytest.approx(float(found.std()), rel=0.2)


def test_modules_learn_while_programs_stand_still() -> None:
    class WithBaseline(ScoreFunctionELBO):
        def __init__(self) -> None:
            super().__init__()
            self.level = nn.Linear(1, 1).double()

        def surrogate(self, table: WeightTable) -> Any:
            bound, surrogate = super().surrogate(table)
            return bound, surrogate - (self.level(torch.ones(1).double()) - 3.0).square().sum()

    case, objective = cases.chain((2,)), WithBaseline()
    before = [p.clone() for p in case.model.parameters()]
    fit_modules(objective, lambda: objective.differentiable_loss(case.model, case.guide, *case.args), 400)
    assert objective.level(torch.ones(1).double()).item() == pytest.approx(3.0, abs=0.05)
    assert all(torch.equal(a, b) for a, b in zip(before, case.model.parameters(), strict=True))
    assert all(p.grad is None for p in case.model.parameters())


def row(
    name: str, variance: float, bias: float | None, error: float = 0.01, group: str = "model"
) -> dict[str, Any]:
    relative = None if bias is None else bias + variance
    names = {"objective": name, "parameters": group, "variance": 10 * variance, "ms": 2.0}
    return {**names, "bias^2": bias, "+-": error, "mse": relative, "mse +-": error}


def test_a_biased_estimator_does_not_look_best() -> None:
    biased, noisy = row("biased", 0.001, 0.2), row("noisy", 3.0, 0.005)
    assert biased["mse"] < noisy["mse"]
    assert is_biased(biased)
    assert not is_biased(noisy)  # within its standard error
    assert ranked([biased, row("strange", 0.01, None), noisy, row("exact", 0.0, 0.0)]) == [
        "exact",
        "noisy",
        "strange",
        "biased",
    ]


def test_a_picture_of_biased_noisy_and_exact_estimators() -> None:
    rows = [
        row(name, variance, bias, group=group)
        for name, variance, bias in (("biased", 0.1, 0.5), ("elbo", 3.0, 0.0), ("exact", 0.0, 0.0))
        for group in ("model", "guide")
    ]
    figure = gradient_figure(rows, title="two", note="run a, step 3: of a test")
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["parameters of the model", "parameters of the guide"]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["exact", "elbo", "biased"]
    bars = {round(bar.get_y() + bar.get_height() / 2): bar for bar in figure.axes[0].patches}
    assert {place: bar.get_x() + bar.get_width() for place, bar in bars.items()} == pytest.approx(
        {1: 3.0, 2: 0.6}
    )
    assert bars[2].get_facecolor()[:3] != bars[1].get_facecolor()[:3]
    marks = {(line.get_marker(), line.get_ydata()[0]): line.get_xdata()[0] for line in figure.axes[0].lines}
    assert marks[("D", 2)] == 0.5  # bias, and the variance beside it
    assert marks[("o", 2)] == pytest.approx(0.1)
    assert marks[("<", 1)] == pytest.approx(0.02)  # at most
    assert any("no noise" in child.get_text() for child in figure.axes[0].texts)
    assert figure.get_suptitle() == "two\nrun a, step 3: of a test"
    quiet = gradient_figure(rows[4:], title="none of them noisy")
    quiet.savefig(io.BytesIO())  # drawn, for a logarithmic axis has no place for zeros alone
    unknown = gradient_figure([row("elbo", 1.0, None)], title="no exact gradient")
    assert "absolute" in unknown.axes[0].get_xlabel()


def test_the_squared_error_of_a_draw_is_bias_and_variance() -> None:
    """Of draws off by .5 with variance 2: the mean over many repetitions, within 4 standard errors."""
    generator = torch.Generator().manual_seed(4)
    target, values, errors = torch.tensor([1.0, 0.0]).double(), [], []
    for _ in range(300):
        moments = _Moments(2, 10, torch.device("cpu"))
        for draw in target + torch.tensor([0.5, 0.0]) + torch.randn(40, 2, generator=generator):
            moments.add(draw)
        statistics = moments.statistics(target)
        values.append(statistics.squared_bias + statistics.variance)
        assert statistics.squared_error == pytest.approx(
            max(statistics.squared_bias, 0) + statistics.variance
        )
        errors.append([statistics.squared_error_error, statistics.variance_error])
    found = torch.tensor(values)
    assert abs(float(found.mean()) - 2.25) < 4 * float(found.std()) / 300**0.5
    assert torch.tensor(errors).mean(0)[0] == pytest.approx(float(found.std()), rel=0.2)
