"""What is promised of a GPU, on a device in software: it is never mixed with the CPU, and gives its figures.

A training step of every family and every objective that it takes asks it nothing, besides; lines of the log,
looks at the dev part and checkpoints do, as they read their numbers, and sums over a sparse support, once.

`test_second_device.py` runs these tests in a process of their own.
"""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyro
import pytest
import torch
import xarray as xr
from simulated_device import host_questions, simulated_device
from tiny_families import FAMILIES, TinyRun, available, tiny_settings
from torch import Tensor

from hardpp.config import RunConfig
from hardpp.data.images.recorded_glimpses import RecordedGlimpses
from hardpp.errors import UsageError
from hardpp.runs import session
from hardpp.runs.session import Session
from hardpp.tasks import catalogue
from hardpp.tasks.configuration import resolve
from hardpp.tasks.family import Programs
from hardpp.tasks.objectives import OBJECTIVES
from hardpp.tasks.opened_run import OpenedRun

CPU, DEVICE = torch.device("cpu"), simulated_device()  # before the first gradient of the process


class Steps(NamedTuple):
    """Two steps of training."""

    bound: float  # of the first
    gradients: dict[str, Tensor]  # of the first
    questions: list[str]  # that the host asked in the second


class Loaded(NamedTuple):
    """A family's tiny data, read once."""

    name: str
    path: str
    settings: dict[str, Any]
    data: Any


@pytest.fixture(scope="module", params=FAMILIES)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    path = str(tmp_path_factory.mktemp(request.param) / "data")
    tiny = available(request.param)
    tiny.write(Path(path))
    settings = tiny_settings(request.param)
    config = resolve([settings, {"model": request.param, "data": {"name": path}}])
    return Loaded(request.param, path, settings, catalogue.family(request.param).load(config.data, print))


def two_steps(
    config: RunConfig, loaded: Loaded, device: torch.device, patch: pytest.MonkeyPatch, checked: bool = True
) -> Steps:
    patch.setattr(session, "choose_device", lambda name: device)
    patch.setattr(type(catalogue.family(config.model)), "load", lambda *args: loaded.data)
    trainer = Session(config, lambda text: None).trainer()
    records = trainer.records()
    # What checks the programs could mix devices, too.
    with pyro.validation_enabled(checked and device == DEVICE):
        first = next(records)
    gradients = {
        name: parameter.grad.detach().cpu()
        for name, parameter in trainer.objective.named_parameters()
        if parameter.grad is not None
    }
    with pyro.validation_enabled(False), host_questions() as questions:  # as after the first step of a run
        next(records)
    return Steps(float(first.bound), gradients, questions)


# Pyro follows dependences by a type of tensor of its own, which these tensors cannot become.
OF_PYRO = pytest.param("tracegraph", marks=pytest.mark.xfail(raises=RuntimeError, reason="ProvenanceTensor"))


@pytest.mark.parametrize("objective", [OF_PYRO, *(name for name in OBJECTIVES if name != "tracegraph")])
def test_a_training_step(loaded: Loaded, objective: str, monkeypatch: pytest.MonkeyPatch) -> None:
    choices = {"model": loaded.name, "objective": objective, "data": {"name": loaded.path}}
    try:
        config = resolve([loaded.settings, choices])
    except UsageError:
        pytest.skip(f"{loaded.name} does not take {objective}")
    checked = objective == "elbo" or loaded.name == "alignment"  # the checks know objectives, not families
    here, there = (two_steps(config, loaded, device, monkeypatch, checked) for device in (CPU, DEVICE))
    assert there.questions == []
    assert there.bound == pytest.approx(here.bound, rel=1e-5)
    assert there.gradients.keys() == here.gradients.keys() != set()
    for name, gradient in here.gradients.items():
        torch.testing.assert_close(there.gradients[name], gradient, rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize(
    ("transform", "guide"), [("guide_transform", "variational"), ("prior_transform", "prior")]
)
def test_a_training_step_over_a_sparse_support(
    loaded: Loaded, transform: str, guide: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks one question: how many values the largest support has."""
    if loaded.name != "alignment":
        pytest.skip(f"{loaded.name} has no sparse attention")
    choices = {"model": loaded.name, "guide": guide, "network": {transform: "sparsemax"}}
    choices |= {"objective": "sum-and-sample", "inference": {"top": "support", "particles": 8}}
    config = resolve([loaded.settings, choices, {"data": {"name": loaded.path}}])
    here, there = (two_steps(config, loaded, device, monkeypatch) for device in (CPU, DEVICE))
    assert len(there.questions) == 1
    assert there.bound == pytest.approx(here.bound, rel=1e-5)
    for name, gradient in here.gradients.items():
        torch.testing.assert_close(there.gradients[name], gradient, rtol=1e-3, atol=1e-5, msg=name)


def test_a_training_step_of_every_guide(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    if loaded.name not in ("alignment", "question-answering"):
        pytest.skip(f"the guides of {loaded.name} go with its objectives")
    for guide in catalogue.family(loaded.name).guides:
        if guide == "smoothed":  # of a chain
            continue
        choices = {"model": loaded.name, "objective": "elbo", "guide": guide, "data": {"name": loaded.path}}
        config = resolve([loaded.settings, choices])
        here, there = (two_steps(config, loaded, device, monkeypatch, False) for device in (CPU, DEVICE))
        assert there.questions == [], guide
        assert there.bound == pytest.approx(here.bound, rel=1e-5), guide
        for name, gradient in here.gradients.items():
            torch.testing.assert_close(there.gradients[name], gradient, rtol=1e-3, atol=1e-5, msg=name)


def test_a_training_step_of_glimpses_on_record(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of half of the images."""
    if "replay" not in catalogue.family(loaded.name).guides:
        pytest.skip(f"{loaded.name} replays nothing")
    train = loaded.data.train
    centres = torch.linspace(-0.8, 0.8, 4 * len(train)).reshape(len(train), 2, 2)
    centres[::2] = torch.nan
    recorded = loaded._replace(data=loaded.data._replace(train=RecordedGlimpses(train, centres)))
    choices = {"model": loaded.name, "guide": "replay", "data": {"name": loaded.path, "sequences": "file"}}
    for objective in ("rloo", "rws"):
        more = {"objective": objective, "inference": {"supervision": 2.0, "supervision_steps": 3}}
        config = resolve([loaded.settings, choices, more])
        here, there = (two_steps(config, recorded, device, monkeypatch) for device in (CPU, DEVICE))
        assert there.questions == []
        assert there.bound == pytest.approx(here.bound, rel=1e-5)
        for name, gradient in here.gradients.items():
            torch.testing.assert_close(there.gradients[name], gradient, rtol=1e-3, atol=1e-5, msg=name)


def test_a_training_step_of_an_earlier_stage(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """One may work on what a network says of the data, which the host keeps."""
    before = catalogue.family(loaded.name).before
    if not before:
        pytest.skip(f"{loaded.name} begins with no other stage")
    for stage in before:
        choices = {"model": loaded.name, "stages": [stage.name], "data": {"name": loaded.path}}
        config = resolve([loaded.settings, choices])
        here, there = (two_steps(config, loaded, device, monkeypatch) for device in (CPU, DEVICE))
        assert {question.split(":")[0] for question in there.questions} <= {"copy to the host"}
        assert there.bound == pytest.approx(here.bound, rel=1e-5)
        assert there.gradients.keys() == here.gradients.keys() != set()
        for name, gradient in here.gradients.items():
            torch.testing.assert_close(there.gradients[name], gradient, rtol=1e-3, atol=1e-5, msg=name)


@pytest.fixture(scope="module")
def runs(trained: TinyRun) -> dict[str, OpenedRun]:
    """The same run on both devices."""
    here = trained.open()
    programs = Programs(*copy.deepcopy(tuple(here.programs)))
    there = Programs(*(program.to(DEVICE) for program in programs))
    return {"here": here, "there": replace(here, programs=there, device=DEVICE)}


def test_figures(runs: dict[str, OpenedRun]) -> None:
    here, there = (run.evaluate() for run in runs.values())
    assert here.keys() == there.keys()
    for name in here:
        assert there[name] == (
            here[name] if isinstance(here[name], str) else pytest.approx(here[name], abs=1e-3)
        )


def test_what_it_says(runs: dict[str, OpenedRun]) -> None:
    here, there = (run.decode() for run in runs.values())
    assert here == there


def test_alignments(runs: dict[str, OpenedRun]) -> None:
    if not runs["here"].family.alignment_forms:
        pytest.skip("this family has no alignments")
    for of in ("posterior", "guide"):
        here, there = (run.align(of=of) for run in runs.values())
        assert [line.split("\t")[:-1] for line in here] == [line.split("\t")[:-1] for line in there]


def test_posteriors(runs: dict[str, OpenedRun]) -> None:
    here, there = (run.posterior(draws=4, seed=3) for run in runs.values())
    assert here.groups == there.groups
    for group in here.groups:
        xr.testing.assert_allclose(here[group].to_dataset(), there[group].to_dataset(), rtol=1e-3, atol=1e-4)


def test_pictures(runs: dict[str, OpenedRun]) -> None:
    here, there = (run.plot(count=1, order="first") for run in runs.values())
    assert here.keys() == there.keys()
    shown = [
        [image.get_array() for figure in figures.values() for axis in figure.axes for image in axis.images]
        for figures in (here, there)
    ]
    for one, other in zip(*shown, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_a_mixture_of_devices_and_questions_are_noticed() -> None:
    there = torch.ones(3).to(DEVICE)
    with pytest.raises(RuntimeError, match="tensors on two devices"):
        there + torch.ones(3)
    with host_questions() as questions:
        assert float((there * 2).sum()) == 6
        assert there[there > 0].tolist() == [1, 1, 1]
        there.cpu()
    assert [question.split(":")[0] for question in questions] == [
        "aten._local_scalar_dense.default",
        "aten.index.Tensor",
        "tolist",
        "copy to the host",
    ]
    with host_questions() as questions:
        (there * 2 + torch.tensor(1.0)).exp()
        there.cumsum(0)[torch.tensor([0])]
    assert questions == []
