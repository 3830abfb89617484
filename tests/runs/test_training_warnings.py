"""Trainings that learn little are warned of, each with its number, and normal ones are not."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyro
import pytest
import torch
from corpora import TINY, write_corpus
from pyro.nn import PyroModule
from torch import nn

import hardpp
from hardpp import sites
from hardpp.distributions import Categorical
from hardpp.runs.report_sections import curves
from hardpp.runs.training_warnings import REPEAT, TrainingWarnings
from hardpp.tasks.family import Programs

NORMAL = {"unexplained": 0.6, "guide_entropy": 0.2, "guide_to_prior": 0.02, "instance_ess": 1.5}


class Stage:
    """One stage of a training, of which nothing is there but what warnings ask for."""

    def __init__(self, *, bound: str = "iw", guide: nn.Module | None = None):
        model = nn.Linear(2, 1)
        guide = nn.Linear(2, 2) if guide is None else guide
        objective = SimpleNamespace(bound=bound, trains_guide=True, num_particles=8)
        parameters = [*model.parameters(), *guide.parameters()]
        self.trainer = SimpleNamespace(
            step=0,
            objective=nn.ModuleDict({"model": model, "guide": guide}),
            optimiser=torch.optim.AdamW(parameters),
            schedule=SimpleNamespace(total_steps=10_000),
            device=torch.device("cpu"),
        )
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
        session: Any = SimpleNamespace(objective=objective, programs=Programs(model, guide))
        trainer: Any = self.trainer
        self.warnings = TrainingWarnings(session, trainer)

    def told(self, steps: int, every: int = 20, **figures: float) -> list[tuple[int, str]]:
        """What is said in so many steps, of which every so many are recorded, and when."""
        found = []
        self.trainer.optimiser.step()
        for step in range(self.trainer.step + every, self.trainer.step + steps + 1, every):
            self.trainer.step = step
            found += [(step, text) for text in self.warnings.look({**NORMAL, **figures})]
        return found


@pytest.mark.parametrize("every", [1, 20, 150])
def test_nothing_is_said_of_a_normal_training(every: int) -> None:
    assert Stage().told(1500, every) == []


@pytest.mark.parametrize(
    ("figure", "bad", "words", "number"),
    [
        ("unexplained", 1.003, "the baseline explains nothing", "1 are left"),
        ("guide_entropy", 0.002, "the guide draws one value", "0.002 nats"),
        ("guide_to_prior", 0.0004, "the guide is the prior", "0.0004 nats"),
        ("instance_ess", 1.04, "one has all the weight", "1.04 particles are effective over 240 steps, of 8"),
    ],
)
def test_a_bad_sign_is_told_once_in_a_while(figure: str, bad: float, words: str, number: str) -> None:
    told = Stage().told(2 * REPEAT, **{figure: bad})
    steps = [step for step, _ in told]
    assert 80 <= steps[0] <= 300
    assert steps == list(range(steps[0], steps[0] + REPEAT * len(steps), REPEAT))
    assert len(told) <= 2
    assert all(words in text and ";" in text for _, text in told)  # with advice
    assert number in told[0][1]


def test_a_moment_is_no_sign() -> None:
    stage = Stage()
    assert stage.told(200) == stage.told(40, instance_ess=1.0, unexplained=1.0) == stage.told(200) == []
    assert stage.told(400, unexplained=float("nan")) == []


def test_a_guide_may_be_sure_later() -> None:
    stage = Stage()
    assert stage.told(1000) == []
    assert stage.told(2000, guide_entropy=0.0) == []  # the first tenth of 10,000 steps is over


def test_what_is_asked_of_whom() -> None:
    assert Stage(bound="elbo").told(400, instance_ess=1.0) == []  # no gradient of it depends on weights
    policy = Stage(guide=nn.Identity())  # the model's own latents, without parameters
    assert policy.told(400, guide_to_prior=0.0) == []
    (_, text), *_ = Stage(guide=nn.Identity()).told(400, guide_entropy=0.0)
    assert text.startswith("the policy draws one value")


class Idle(PyroModule):
    """Looks anywhere, and has a layer that it does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.scores, self.idle = nn.Parameter(torch.zeros(())), nn.Linear(2, 2)

    def forward(self, batch: Any) -> None:
        with sites.output_steps(batch.target_mask):
            scores = self.scores * batch.source.unsqueeze(-2)
            masked = scores.masked_fill(~batch.source_mask.unsqueeze(-2), -torch.inf)
            pyro.sample("alignment", Categorical(logits=masked))


def test_a_parameter_without_gradient_is_named_in_all_places(tmp_path: Path) -> None:
    told: list[str] = []
    small = {**TINY, "training": {"batch_size": 2, "log_every": 10, "max_epochs": 3}}
    run = hardpp.train(
        guide=Idle,
        data=write_corpus(tmp_path / "words"),
        device="cpu",
        settings=small,
        out=tmp_path / "run",
        evaluate="none",
        report=told.append,
    )
    (warning,) = [text for text in told if text.startswith("warning: step 50: ")]
    assert "no gradient has reached 2 of " in warning
    assert "guide.idle.weight, guide.idle.bias" in warning
    records = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    (record,) = [record for record in records if "warning" in record]
    assert warning == f"warning: step 50: {record['warning']}"
    assert 0 < record["guide_entropy"] < 2  # of the steps that are recorded
    summary = json.loads((run.path / "summary.json").read_text())
    assert summary["warnings"] == [warning.removeprefix("warning: ")]
    assert curves(run.path, run, "a symbol").notices == summary["warnings"]
