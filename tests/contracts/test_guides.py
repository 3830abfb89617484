"""Every guide of a family goes through every objective: it is trained, or refused before the first step."""

from pathlib import Path
from typing import Any, NamedTuple

import pyro
import pytest
import torch
from tiny_families import available, tiny_settings

from hardpp.config import RunConfig
from hardpp.errors import UsageError
from hardpp.runs.session import Session
from hardpp.tasks import catalogue
from hardpp.tasks.alignment.evaluation import likelihoods, position_weights
from hardpp.tasks.configuration import resolve
from hardpp.tasks.objectives import OBJECTIVES, build
from hardpp.types import Batch

KINDS = {row.kind: name for name, row in reversed(OBJECTIVES.items())}.values()  # one of each class
FORMS = {
    "alignment": {"network": {"alignment": "attention"}},
    "chain": {"network": {"alignment": "chain", "reach": 2, "history": 3}},
    "question-answering": {},
}
MODELS = {"chain": "alignment"}
CHECKED = ("variational", "prior", "smoothed")  # trained by the contracts of families
CASES = [
    (form, guide)
    for form in FORMS
    for guide in catalogue.family(MODELS.get(form, form)).guides
    if guide not in CHECKED
]


class Tiny(NamedTuple):
    """A model, one of its guides, and a batch; or the sentence in which the guide is refused."""

    form: str
    guide: str
    session: Session
    batch: Batch

    def configuration(self, objective: str) -> RunConfig | str:
        """That of a training by an objective, or why there is none."""
        tables: dict[str, Any] = {"objective": objective, "guide": self.guide}
        try:
            return resolve([settings(self.form, self.session.config.data.name), tables])
        except UsageError as refusal:
            return str(refusal)


def settings(form: str, data: str) -> dict[str, Any]:
    model = MODELS.get(form, form)
    tiny = tiny_settings(model)
    network = {**tiny["network"], **FORMS[form].get("network", {}), "dropout": 0.0}
    return {**tiny, "network": network, "model": model, "data": {"name": data}, "device": "cpu"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folders: dict[str, str] = {}
    for model in ("alignment", "question-answering"):
        folder = tmp_path_factory.mktemp(model) / "data"
        available(model).write(folder)
        folders[model] = str(folder)
    return folders


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def tiny(request: pytest.FixtureRequest, data: dict[str, str]) -> Tiny:
    form, guide = request.param
    name = data[MODELS.get(form, form)]
    trained = catalogue.family(MODELS.get(form, form)).guides[guide].trained
    given = {"guide": guide, "objective": "elbo" if trained else "exact"}
    refusal = None
    try:
        session = Session(resolve([settings(form, name), given]), lambda text: None)
    except UsageError as error:
        refusal = error
    if refusal is not None:
        assert f"guide {guide!r}" in str(refusal)
        assert refusal.hint
        pytest.skip(str(refusal))
    batch = session.family.epoch_batches(session.config, session.data, session.description)(0)[0]()
    return Tiny(form, guide, session, batch)


def test_it_goes_through_every_objective_or_is_refused(tiny: Tiny) -> None:
    model, guide = tiny.session.programs
    own = {id(parameter) for parameter in model.parameters()}
    mine = [p for p in guide.parameters() if id(p) not in own]
    taken = []
    for name in KINDS:
        config = tiny.configuration(name)
        if isinstance(config, str):
            assert name in config
            continue
        objective = build(OBJECTIVES[name], config.inference)
        for parameter in (*model.parameters(), *mine):
            parameter.grad = None
        torch.manual_seed(0)
        with pyro.validation_enabled(False):
            loss = objective(model, guide)(tiny.batch)
        loss.backward()
        assert loss.isfinite(), name
        assert all(p.grad is None or p.grad.isfinite().all() for p in (*model.parameters(), *mine)), name
        if objective.trains_guide and mine:
            assert any(p.grad is not None and (p.grad != 0).any() for p in mine), name
        taken.append(name)
    assert {"elbo", "iwae", "vimco", "rws"} & {*KINDS} <= {*taken}
    lacks = tiny.session.family.guides[tiny.guide].lacks
    assert ("enum" in taken) == ("enumerable" not in lacks)


def test_steps_are_declared_to_depend_on_one_another_where_they_do(tiny: Tiny) -> None:
    joint = getattr(tiny.session.programs.guide, "joined_plate", None) is not None
    lacks = {*tiny.session.family.guides[tiny.guide].lacks}
    assert joint == ({"enumerable", "independent", "relaxable"} <= lacks)


def test_its_figures_and_weights_are_the_same_again(tiny: Tiny) -> None:
    if tiny.session.family.name != "alignment":
        pytest.skip("others are asked by the contracts of families")
    session = tiny.session
    run, pairs = session.opened(Path(), 0, session.programs), session.data.train[:3]
    for program in session.programs:
        program.eval()
    with pyro.validation_enabled(False):
        once, again = (likelihoods(run, pairs) for _ in range(2))
        weights = position_weights(run, pairs, "guide")
    assert once == again
    # Of joint guides it is estimated, with an error.
    assert once["kl"] > (-0.1 if session.family.guides[tiny.guide].lacks else -1e-4)
    assert tiny.guide not in ("posterior", "refined") or once["kl"] < 1e-4
    for each in weights:
        torch.testing.assert_close(each.sum(-1), torch.ones(len(each)))


def test_it_is_judged_on_what_the_model_makes_up(tiny: Tiny) -> None:
    session = tiny.session
    items = session.data.train[:8]
    if session.family.name != "alignment" or tiny.form == "chain":
        pytest.skip("others are asked by the contracts of families, and chains are refused")
    run = session.opened(Path(), 0, session.programs)
    for program in session.programs:
        program.eval()
    with pyro.validation_enabled(False):
        exact, guide = run.calibrate(items, draws=9).rows
    assert 0 < exact["data"] == guide["data"] <= len(items)
    assert guide["kl"] > (-0.5 if session.family.guides[tiny.guide].lacks else -1e-4)
    assert tiny.guide not in ("posterior", "refined") or abs(guide["kl"]) < 1e-4
    assert all(0 < row[key] <= 1 for row in (exact, guide) for key in row if key.startswith("p "))
