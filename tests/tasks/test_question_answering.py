"""The family from the command line, on data made up here: pixels and regions."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from corpora import fail, hardpp, settings, succeed
from pydantic import ValidationError
from question_corpora import MODEL, TINY, write_easy, write_vqa

from hardpp.errors import DataError, UsageError
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.soft_attention import SoftAttention
from hardpp.runs.folder import open_run
from hardpp.tasks import catalogue
from hardpp.tasks.attention import Attention, centre_inside
from hardpp.tasks.configuration import resolve
from hardpp.tasks.metrics.vqa_accuracy import vqa_accuracy
from hardpp.tasks.opened_run import OpenedRun
from hardpp.tasks.question_answering import data as question_data
from hardpp.tasks.question_answering.data import QuestionDescription, QuestionItems, region_boxes
from hardpp.tasks.question_answering.evaluation import answer_log_probs, question_attention, region_weights

CLOSE = {"rtol": 0, "atol": 1e-5}


def command(data: Path, out: Path, *more: str) -> list[str]:
    words = ["train", "--model", MODEL, "--data", str(data), "--out", str(out), "--device", "cpu"]
    return [*words, *settings(TINY), *more]


@pytest.fixture(scope="module")
def easy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_easy(tmp_path_factory.mktemp("data") / "easy")


@pytest.fixture(scope="module")
def vqa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_vqa(tmp_path_factory.mktemp("data") / "vqa")


@pytest.fixture(scope="module")
def run(easy: Path, tmp_path_factory: pytest.TempPathFactory) -> OpenedRun:
    out = tmp_path_factory.mktemp("run") / "run"
    words = ["--objective", "enum", "--max-epochs", "6", "--set", "optimiser.learning_rate=0.03"]
    succeed(*command(easy, out, *words))
    return open_run(out, "cpu")


@pytest.fixture(scope="module")
def regions_run(vqa: Path, tmp_path_factory: pytest.TempPathFactory) -> OpenedRun:
    out = tmp_path_factory.mktemp("run") / "run"
    succeed(*command(vqa, out))
    return open_run(out, "cpu")


@pytest.fixture(scope="module")
def items(run: OpenedRun) -> QuestionItems:
    return run.select(part="test")


def test_figures_are_those_of_the_questions_taken_one_by_one(
    run: OpenedRun, items: QuestionItems, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = dict.fromkeys(
        ("accuracy", "nll", "kl", "hit_prior", "hit_posterior", "middle_prior", "coverage"), 0.0
    )
    answers = run.description.answers
    for question in items.questions:
        ((_, batch),) = question_data.batches(run, QuestionItems([question], items.pictures))
        with torch.no_grad():
            exact = float(ExactMarginal().estimate(*run.programs, batch).bound.sum())
            bound = float(EnumeratedELBO().estimate(*run.programs, batch).bound.sum())
        sums["nll"] -= exact
        sums["kl"] += exact - bound
        best = answers[int(answer_log_probs(run, batch)[0, 0].argmax())]
        sums["accuracy"] += vqa_accuracy(best, question.answers)
        boxes, gold = region_boxes(run, items.pictures, question.image), items.pictures.gold(question.image)
        assert gold is not None
        within = [centre_inside(box, gold, 4.0) for box in boxes]
        sums["coverage"] += sum(within) / len(within)
        sums["middle_prior"] += centre_inside(
            boxes[int(question_attention(run, batch).prior[0, 0].argmax())], gold
        )
        for which in ("prior", "posterior"):
            sums[f"hit_{which}"] += within[int(getattr(question_attention(run, batch), which)[0, 0].argmax())]
    for size in (1, 3, 50):
        monkeypatch.setattr(question_data, "BATCH", size)
        found = run.evaluate(items)
        for name, total in sums.items():
            assert found[name] == pytest.approx(total / len(items.questions), abs=1e-5), name
    assert found["unknown"] == 0
    assert found["mass"] <= 1


def test_all_regions_kept_is_keeping_all(run: OpenedRun, items: QuestionItems) -> None:
    ((_, batch),) = question_data.batches(run, items)
    everything = answer_log_probs(run, batch)
    torch.testing.assert_close(everything.exp().sum(-1), torch.ones(everything.shape[:-1]), **CLOSE)
    torch.testing.assert_close(answer_log_probs(run, batch, keep=16), everything, **CLOSE)
    memory, query, scores = run.programs.model.read(batch)
    best = scores.argmax(-1)
    read = torch.stack([memory[b, best[b]] for b in range(len(best))])
    alone = run.programs.model.readout(read, query).log_softmax(-1)
    torch.testing.assert_close(answer_log_probs(run, batch, keep=1), alone, **CLOSE)
    with pytest.raises(UsageError, match=r"keep"):
        run.evaluate(items, keep=0)


def test_answers_are_the_prior_s_readouts_summed_region_by_region(
    run: OpenedRun, items: QuestionItems
) -> None:
    ((_, batch),) = question_data.batches(run, items)
    memory, query, scores = run.programs.model.read(batch)
    total = torch.zeros(*batch.target.shape, len(run.description.answers))
    for s in range(scores.shape[-1]):
        emission = run.programs.model.readout(memory[:, s : s + 1], query).softmax(-1)
        total = total + scores.softmax(-1)[..., s : s + 1] * emission
    torch.testing.assert_close(answer_log_probs(run, batch).exp(), total, **CLOSE)
    soft = dataclasses.replace(run, objective=SoftAttention())
    expected = run.programs.model.readout(scores.softmax(-1) @ memory, query).log_softmax(-1)
    torch.testing.assert_close(answer_log_probs(soft, batch), expected, **CLOSE)


def test_regions_belong_to_their_questions(
    run: OpenedRun, items: QuestionItems, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(question_data, "BATCH", 3)
    mixed = QuestionItems(items.questions[::2] + items.questions[1::2], items.pictures)
    for question, together in zip(mixed.questions, region_weights(run, mixed), strict=True):
        (alone,) = region_weights(run, QuestionItems([question], items.pictures))
        for view in Attention._fields:
            torch.testing.assert_close(getattr(together, view), getattr(alone, view), **CLOSE)
            assert float(getattr(together, view).sum()) == pytest.approx(1, abs=1e-5)


def test_align_names_region_and_box(run: OpenedRun, items: QuestionItems) -> None:
    header, *lines = succeed("align", run.path).splitlines()
    assert header.split("\t") == ["name", "question", "answer", "region", "box", "probability"]
    posteriors = [weights.posterior for weights in region_weights(run, items)]
    for line, question, weight in zip(lines, items.questions, posteriors, strict=True):
        name, text, answer, region, box, probability = line.split("\t")
        assert (name, text, answer) == (question.name, question.text, question.answers[0])
        assert int(region) == int(weight.argmax())
        assert [float(side) for side in box.split()] == list(
            region_boxes(run, items.pictures, question.image)[int(region)]
        )
        assert float(probability) == pytest.approx(float(weight.max()), abs=1e-4)


def test_the_posterior_file(run: OpenedRun, items: QuestionItems, tmp_path: Path) -> None:
    out = tmp_path / "posterior.nc"
    succeed("posterior", run.path, "--out", out, "--draws", "6", "--exact")
    N, S = len(items.questions), 16
    views = region_weights(run, items)
    with xr.open_datatree(out, engine="h5netcdf") as tree:
        assert dict(tree["posterior"].sizes) == {"chain": 1, "draw": 6, "question": N}
        assert dict(tree["attention"].sizes) == {"question": N, "region": S}
        assert tree["attention"]["question"].values.tolist() == [q.name for q in items.questions]
        assert tree["attention"]["given"].values.tolist() == [q.answers[0] for q in items.questions]
        for which, name in (("prior", "prior"), ("guide", "guide"), ("posterior", "exact")):
            expected = torch.stack([getattr(weights, which) for weights in views]).numpy()
            np.testing.assert_allclose(tree["attention"][name].values, expected, atol=1e-5)
        answers = [run.description.answers[number] for number in tree["observed_data"]["answer"].values]
        assert answers == [q.answers[0] for q in items.questions]
        draws = tree["posterior"]["region"].values[0]  # (K, N)
        weight = np.exp(tree["sample_stats"]["log_weight"].values[0])
        for place in range(N):
            joint = np.zeros(S)
            np.add.at(joint, draws[:, place], weight[:, place] / weight[:, place].sum())
            np.testing.assert_allclose(tree["attention"]["marginal"].values[place], joint, atol=1e-5)
        left = tree["constant_data"]["left"].values[0]
        assert left.tolist() == [8.0 * (s % 4) for s in range(S)]
        assert tree.attrs["model"] == MODEL


def test_log_weights_are_those_of_the_tables(run: OpenedRun, items: QuestionItems) -> None:
    # log w = log p(answer) + log p(region | answer) - log q(region), and each of these is in the tables.
    tree = run.posterior(items, draws=5, seed=1)
    drawn = tree["posterior"]["region"].values[0]
    log_weight = tree["sample_stats"]["log_weight"].values[0]
    guide, exact = (tree["attention"][name].values for name in ("guide", "exact"))
    exactly = tree["log_likelihood"]["answer"].values[0]
    ((rows, batch),) = question_data.batches(run, items)
    likelihood = answer_log_probs(run, batch).gather(-1, batch.target.unsqueeze(-1)).squeeze(-1)
    for row, column, place in question_data.cells(rows):
        for k in range(5):
            region = drawn[k, place]
            assert exactly[place] == pytest.approx(float(likelihood[row, column]), abs=1e-5)
            expected = float(likelihood[row, column]) + np.log(exact[place, region] / guide[place, region])
            assert log_weight[k, place] == pytest.approx(expected, abs=1e-4)


def test_pictures_of_several_images_or_of_named_questions(
    run: OpenedRun, items: QuestionItems, tmp_path: Path
) -> None:
    named = items.questions[3]
    ((name, figure),) = run.plot(named.name, items=items).items()
    assert name.startswith("test-3")
    shown = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert [title.split(":")[0] for title in shown] == ["image", "prior", "guide", "posterior"]
    first = next(question for question in items.questions if question.text == named.text)
    by_text, by_name = (list(run.plot(*names, items=items)) for names in ([named.text], [first.name]))
    assert by_text == by_name == list(run.plot(named.text, first.name, items=items))
    assert by_text != [name]


def test_regions_that_somebody_else_found(regions_run: OpenedRun, tmp_path: Path) -> None:
    run = regions_run
    items = run.select()
    found = run.evaluate(items)
    assert "hit_prior" not in found  # nobody knows where one has to look
    assert found["questions"] == len(items.questions)
    for question, weights in zip(items.questions, region_weights(run, items), strict=True):
        assert len(weights.prior) == len(region_boxes(run, items.pictures, question.image))
        assert float(weights.prior.sum()) == pytest.approx(1, abs=1e-5)
    tree = run.posterior(items, draws=3)
    mask = tree["constant_data"]["region_mask"].values
    np.testing.assert_array_equal(np.isfinite(tree["attention"]["exact"].values), mask)
    assert not mask.all()
    assert len(run.plot(items=items, count=2)) == 2


def test_answers_that_are_no_class_count_as_wrong_and_are_not_scored(
    run: OpenedRun, items: QuestionItems
) -> None:
    strange = items.questions[0]._replace(answers=("mauve",))
    asked = QuestionItems([strange, *items.questions[1:]], items.pictures)
    found, rest = (run.evaluate(some) for some in (asked, QuestionItems(items.questions[1:], items.pictures)))
    assert found["unknown"] == pytest.approx(1 / 8)
    assert found["nll"] == pytest.approx(rest["nll"], abs=1e-5)
    assert found["accuracy"] == pytest.approx(rest["accuracy"] * 7 / 8)
    prior, guide, posterior = region_weights(run, asked)[0]
    torch.testing.assert_close(guide, prior)
    torch.testing.assert_close(posterior, prior)
    only = run.evaluate(QuestionItems([strange], items.pictures))
    assert only["nll"] is None


def test_votes_are_drawn_again_every_epoch(vqa: Path) -> None:
    data = {"data": {"name": str(vqa)}, "model": MODEL}
    config = resolve([TINY, data, {"training": {"batch_size": 100}}])
    family = catalogue.family(MODEL)
    loaded = family.load(config.data, print)
    description = family.describe(loaded)
    epochs = family.epoch_batches(config, loaded, description)

    def labels(epoch: int) -> dict[str, int]:
        (make,) = epochs(epoch)
        batch = make()
        seen = {}
        for row in range(batch.size):
            for column in range(int(batch.target_mask[row].sum())):
                seen[f"{batch.source[row].sum():.4f} {column}"] = int(batch.target[row, column])
        return seen

    assert labels(0) == labels(0)
    assert len(labels(0)) == len(loaded.train)
    assert any(labels(0) != labels(epoch) for epoch in range(1, 20))


def test_other_data(run: OpenedRun, regions_run: OpenedRun, easy: Path, tmp_path: Path) -> None:
    more = write_easy(tmp_path / "more", train=4, test=6)
    assert len(run.select(str(more)).questions) == 12
    assert len(run.select(part="all").questions) == 48
    assert len(run.select(part="train", limit=3).questions) == 3
    with pytest.raises(DataError, match="images are pixels, and this run was trained on regions"):
        regions_run.select(str(easy))
    (write_vqa(tmp_path / "vqa") / "features.tsv").unlink()
    ids = np.array([*range(100, 106), *range(200, 208)])
    boxes, wide = np.ones((len(ids), 2, 4)), np.ones((len(ids), 2, 7))
    np.savez(tmp_path / "vqa" / "f.npz", image_id=ids, boxes=boxes, features=wide)
    with pytest.raises(DataError, match="regions have 7 features, and this run was trained on 3"):
        regions_run.select(str(tmp_path / "vqa"))
    nothing = QuestionItems([], run.select(limit=1).pictures)
    for verb in (run.evaluate, run.decode, run.batch):
        with pytest.raises(DataError, match="no questions"):
            verb(nothing)


def test_a_datum_is_called_by_its_questions(run: OpenedRun, items: QuestionItems) -> None:
    batch = run.batch(items)
    assert run.family.label(run.description, batch, 0).startswith("the image of 'is there a ")


def test_data_with_one_answer_are_refused(easy: Path, tmp_path: Path) -> None:
    folder = write_easy(tmp_path / "one")
    path = folder / "train" / "questions.json"
    path.write_text(json.dumps([[text, "yes", number] for text, _, number in json.loads(path.read_text())]))
    assert "1 answers to choose from" in fail(3, *command(folder, tmp_path / "run"))


def test_bad_questions_are_refused_or_left_out(easy: Path, vqa: Path, tmp_path: Path) -> None:
    for data in (easy, vqa):
        folder = shutil.copytree(data, tmp_path / data.name)
        path = next(folder.rglob("*train*questions.json"), folder / "train" / "questions.json")
        content = json.loads(path.read_text())
        (content if isinstance(content, list) else content["questions"])[1] = 5
        path.write_text(json.dumps(content))
        words = command(folder, tmp_path / f"{data.name}-run", "--max-steps", "1")
        assert f"{path}: entry 1: 5 is no" in fail(3, *words)
        result = hardpp(*words, "--on-bad", "skip")
        assert result.exit_code == 0, result.stderr
        assert f"left out: {path}: entry 1: 5 is no" in result.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        {"words": ["a", "a"]},
        {"answers": ["no"]},
        {"answers": ["no", "no"]},
        {"images": "sounds"},
        {"channels": 0},
    ],
)
def test_a_description_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    right = {"words": ["a"], "answers": ["no", "yes"], "images": "pixels", "channels": 3, "fingerprint": "f"}
    description = QuestionDescription.model_validate(right)
    assert (description.word_numbers, description.classes) == ({"a": 2}, {"no": 0, "yes": 1})
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        QuestionDescription.model_validate({**right, **wrong})
