"""What is told of a training of every model family, and how likely its runs find single items."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny_families import TinyRun

from hardpp.errors import DataError
from hardpp.runs.loaded_data import LoadedData
from hardpp.runs.session import Session
from hardpp.runs.training_messages import introduction
from hardpp.tasks.family import DEV_ITEMS
from hardpp.tasks.held_out import log_likelihoods
from hardpp.tasks.item_lists import count, some
from hardpp.tasks.opened_run import OpenedRun


@pytest.fixture(scope="module")
def run(trained: TinyRun) -> OpenedRun:
    return trained.open()


def test_it_begins_with_sizes_and_examples(run: OpenedRun) -> None:
    session = Session(run.config, lambda text: None)
    trainer = session.trainer()
    state = torch.get_rng_state()
    data, parameters, steps, *examples = introduction(session, trainer)
    assert torch.equal(torch.get_rng_state(), state)
    sizes = ", ".join(f"{len(getattr(session.data, part))} {part}" for part in ("train", "dev", "test"))
    assert data.startswith(f"data: {sizes}; ")
    model = sum(parameter.numel() for parameter in run.programs.model.parameters())
    assert parameters.startswith(f"parameters: {model:,} of the model")
    assert steps.startswith(
        f"steps: {trainer.schedule.total_steps // run.config.training.max_epochs} an epoch"
    )
    assert len(examples) == 3
    assert all(example.startswith("for example ") for example in examples)


def test_figures_of_dev_items_are_those_that_evaluate_gives(trained: TinyRun, run: OpenedRun) -> None:
    state = torch.get_rng_state()
    cheap = run.family.dev_figures(run)
    assert torch.equal(torch.get_rng_state(), state)
    records = [json.loads(line) for line in (trained.folder / "metrics.jsonl").read_text().splitlines()]
    (kept,) = (record for record in records if record["split"] == "dev" and record["step"] == run.step)
    assert {name: kept.get(name) for name in cheap} == pytest.approx(cheap)
    dev = run.select(part="dev", limit=DEV_ITEMS)
    greedy = {"beam": 1} if "beam" in run.family.decoding.model_fields else {}
    figures = run.evaluate(dev, **greedy) if cheap else {}
    assert {name: figures[name] for name in cheap} == pytest.approx(cheap)


def test_items_are_cut_like_a_list(run: OpenedRun) -> None:
    items = run.select(limit=3)
    assert [len(items[:2]), len(items[2:]), len(items[::-1]), len(items[3:])] == [2, 1, 3, 0]
    last = items[-1:]
    torch.testing.assert_close(run.batch(last).source, run.batch(some(items, [2])).source)
    with pytest.raises(IndexError):
        items[3]


def test_parts_of_loaded_data_are_what_runs_are_asked_about(run: OpenedRun) -> None:
    data = LoadedData(run.family.load(run.config.data, lambda text: None), run.config.data, "", run.family)
    for part in ("train", "dev", "test"):
        assert count(run.select(part=part)) == count(getattr(data, part))
    torch.testing.assert_close(run.batch(data.test[:2]).source, run.batch(run.select(limit=2)).source)


def test_items_unlike_what_a_run_was_trained_on_are_refused(run: OpenedRun) -> None:
    if run.family.name == "alignment":
        pytest.skip("its items are symbols, of which unknown ones are told")
    sizes = {"online-alignment": {"features": 99}, "question-answering": {"channels": 9}}
    other = run.description.model_copy(update=sizes.get(run.family.name, {"size": [9, 9, 9]}))
    items = run.select(limit=2)
    with pytest.raises(DataError, match="this run was trained on"):
        replace(run, description=other).evaluate(items)


def test_an_item_is_as_likely_in_any_company(run: OpenedRun) -> None:
    items = run.select(limit=3)
    assert count(items) == 3
    state = torch.get_rng_state()
    found = log_likelihoods(run, items, draws=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert (len(found.nats), len(found.digests)) == (3, 3)
    assert found.nats.isfinite().all()
    alone = log_likelihoods(run, some(items, [2]), draws=3)
    assert (alone.kind, alone.digests) == (found.kind, found.digests[2:])
    if found.kind == "exact":
        torch.testing.assert_close(alone.nats, found.nats[2:], atol=1e-4, rtol=1e-4)
    else:
        assert found.kind == "bound of 3 draws"
    # What evaluate says of the same items, where it says it.
    figures: dict[str, Any] = run.evaluate(items)
    per_item = {"alignment": "pairs", "online-alignment": "utterances"}.get(run.family.name)
    if per_item is not None and found.kind == "exact":
        symbols = float(run.batch(items).symbols)
        assert -float(found.nats.sum()) / symbols == pytest.approx(figures["nll"], rel=1e-4)
