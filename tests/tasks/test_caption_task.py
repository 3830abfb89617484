"""Captions from the command line: scenes of digits made up here, and a small folder like Flickr8k."""

import dataclasses
import math
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from caption_files import write_table, write_tokens
from corpora import fail, settings, succeed
from image_files import idx_bytes, write_idx
from pydantic import ValidationError

from hardpp import sites
from hardpp.data.captions import scenes
from hardpp.data.images import corpora
from hardpp.decoding.beam import beam_search
from hardpp.errors import DataError
from hardpp.inference.soft_attention import SoftAttention
from hardpp.runs.folder import open_run
from hardpp.runs.session import Session
from hardpp.tasks.attention import attention
from hardpp.tasks.caption import data as caption_data
from hardpp.tasks.caption.data import CaptionDescription, CaptionItems, region_boxes
from hardpp.tasks.caption.evaluation import decode, word_weights
from hardpp.tasks.caption.family import CaptionData
from hardpp.tasks.configuration import resolve
from hardpp.tasks.opened_run import OpenedRun

pytest.importorskip("sacrebleu")

MODEL = "caption"
TINY: dict[str, Any] = {
    "network": {"kernels": [4] * 4, "image": 8, "embedding": 8, "decoder": 8, "attention": 8, "guide": 8},
    "training": {"batch_size": 8, "log_every": 1, "max_epochs": 1, "max_steps": 2},
    "optimiser": {"warmup_steps": 1},
}
SCENES = {"train": 24, "dev": 3, "test": 6}
S = 9  # regions: 46 pixels wide, 16 apart, on 84 x 84


def command(data: Path | str, out: Path, *more: str) -> list[str]:
    words = ["train", "--model", MODEL, "--data", str(data), "--out", str(out), "--device", "cpu"]
    return [*words, *settings(TINY), *more]


@pytest.fixture(scope="module", autouse=True)
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Stands for the fetched MNIST, and makes fewer scenes of it."""
    root = tmp_path_factory.mktemp("fetched")
    write_idx(root / corpora.MNIST, train=60, test=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpora, "fetch", lambda name, report: root)
        for part, size in SCENES.items():
            patch.setitem(scenes.SIZES, part, size)
        yield root


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> OpenedRun:
    out = tmp_path_factory.mktemp("run") / "run"
    more = ["--objective", "enum", "--max-steps", "45", "--max-epochs", "15"]
    succeed(*command("digit-captions", out, *more, "--set", "optimiser.learning_rate=0.02"))
    return open_run(out, "cpu")


@pytest.fixture(scope="module")
def items(run: OpenedRun) -> CaptionItems:
    return run.select()


@pytest.fixture(scope="module")
def flickr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "flickr"
    folder.mkdir()
    return write_table(folder)


@torch.no_grad()
def test_figures_are_those_of_the_images_taken_one_by_one(
    run: OpenedRun, items: CaptionItems, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = run.programs.model
    vocabulary, boxes = run.description.vocabulary, region_boxes(run)
    assert len(boxes) == S
    sums, about, words, right, total = Counter[str](), 0, 0, 0, 0
    for sentence in items.sentences:
        ((_, batch),) = caption_data.batches(run, CaptionItems([sentence], items.part))
        memory, query, scores = by_hand(model, batch)
        prior = scores.softmax(-1)[0]  # (T, S)
        likelihood = torch.stack(
            [
                model.readout(memory[:, s : s + 1].expand(-1, query.shape[1], -1), query).softmax(-1)[0]
                for s in range(S)
            ]
        )  # (S, T, V)
        joint = prior.T * likelihood.gather(-1, batch.target[0].expand(S, -1).unsqueeze(-1)).squeeze(-1)
        posterior = (joint / joint.sum(0)).T  # (T, S)
        guide = attention(run, batch, sites.REGION).guide[0]
        sums["nll"] -= float(joint.sum(0).log().sum())
        sums["entropy"] -= float((prior * prior.log()).sum())
        sums["kl"] += float((guide * (guide / posterior).log()).sum())
        words += len(sentence.caption.words) + 1
        gold = sentence.caption.gold
        assert gold
        for place, (left, top, end, bottom) in gold.items():
            about += 1
            for name, weights in (("prior", prior), ("guide", guide), ("posterior", posterior)):
                a, b, c, d = boxes[int(weights[place].argmax())]
                sums[f"hit_{name}"] += left <= (a + c) / 2 < end and top <= (b + d) / 2 < bottom
            sums["guess"] += (
                sum(left <= (a + c) / 2 < end and top <= (b + d) / 2 < bottom for a, b, c, d in boxes) / S
            )
        (said,) = decode(run, CaptionItems([sentence], items.part), run.decoding({"beam": 1}))
        assert said == vocabulary.decode(
            greedy_by_hand(model, batch, int(1.5 * run.description.longest) + 10)
        )
        references = [caption.words for caption in items.part.captions[sentence.image]]
        sums["same"] += tuple(said) in references
        counts = Counter(said) & Counter(references[0])
        right, total = right + sum(counts.values()), total + len(said)
        sums["length"] += len(references[0])
    assert sum(len(one.caption.gold or {}) for one in items.sentences) == about
    expected = {name: sums[name] / words for name in ("nll", "entropy", "kl")}
    expected |= {name: sums[name] / about for name in ("hit_prior", "hit_guide", "hit_posterior", "guess")}
    expected["same"] = sums["same"] / len(items.sentences)
    brevity = min(1.0, math.exp(1 - sums["length"] / total)) if total else 0.0
    expected["BLEU1"] = round(100 * brevity * right / total, 2)
    for size in (1, 3, 50):
        monkeypatch.setattr(caption_data, "BATCH", size)
        found = run.evaluate(items)
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, abs=2e-4), name
    assert found["BLEU1"] > 0


def by_hand(model: Any, batch: Any) -> tuple[Any, Any, Any]:
    """Memory (1, S, M), queries (1, T, Q) and scores (1, T, S) of a sentence."""
    memory = model.embedding(batch.source)
    previous = torch.nn.functional.pad(batch.target[:, :-1], (1, 0), value=model.boundary)
    return memory, *model.decoder(previous, memory, batch.source_mask)


def greedy_by_hand(model: Any, batch: Any, most: int) -> list[int]:
    """The likeliest word after the likeliest words, reading the sentence from its start every time."""
    ids: list[int] = []
    while len(ids) < most:
        target = torch.tensor([[*ids, 0]])
        again = batch._replace(target=target, target_mask=torch.ones_like(target, dtype=torch.bool))
        memory, query, scores = by_hand(model, again)
        weights, said = scores[0, -1].softmax(-1), torch.zeros(())
        for s in range(S):
            said = said + weights[s] * model.readout(memory[:, s : s + 1], query[:, -1:]).softmax(-1)[0, 0]
        said[1] = 0.0  # the unknown word is never said
        best = int(said.argmax())
        if best == 0:
            break
        ids.append(best)
    return ids


def test_a_beam_finds_what_its_search_finds(run: OpenedRun, items: CaptionItems) -> None:
    model: Any = run.programs.model
    said = decode(run, items, run.decoding({"beam": 3}))
    batch = run.batch(items)
    most = int(1.5 * run.description.longest) + 10
    ranked = beam_search(model, batch.source, batch.source_mask, width=3, max_steps=most)
    assert said == [run.description.vocabulary.decode(hypotheses[0].symbols) for hypotheses in ranked]


def test_soft_runs_are_judged_as_they_predict(run: OpenedRun, items: CaptionItems) -> None:
    soft = dataclasses.replace(run, objective=SoftAttention())
    model: Any = run.programs.model
    total, words = 0.0, 0
    with torch.no_grad():
        for sentence in items.sentences:
            ((_, batch),) = caption_data.batches(run, CaptionItems([sentence], items.part))
            memory, query, scores = by_hand(model, batch)
            said = model.readout(scores.softmax(-1) @ memory, query).log_softmax(-1)
            total -= float(said.gather(-1, batch.target.unsqueeze(-1)).sum())
            words += int(batch.symbols)
    found = soft.evaluate(items)
    assert found["nll"] == pytest.approx(total / words, abs=1e-5)
    assert found["nll"] != run.evaluate(items)["nll"]


@pytest.mark.parametrize("which", ["prior", "guide", "posterior"])
def test_regions_belong_to_their_words(
    run: OpenedRun, items: CaptionItems, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caption_data, "BATCH", 3)
    together = word_weights(run, items, which)
    for sentence, weights in zip(items.sentences, together, strict=True):
        (alone,) = word_weights(run, CaptionItems([sentence], items.part), which)
        assert weights.shape == (len(sentence.caption.words) + 1, S)
        torch.testing.assert_close(weights, alone, rtol=0, atol=1e-5)
    header, *lines = run.align(items, of=which)
    assert header.split("\t") == ["image", "word", "region", "box", "probability"]
    boxes = region_boxes(run)
    expected = [
        (name, word, int(weight.argmax()), boxes[int(weight.argmax())], float(weight.max()))
        for name, sentence, weights in zip(items.names, items.sentences, together, strict=True)
        for word, weight in zip([*sentence.caption.words, "</s>"], weights, strict=True)
    ]
    for line, (name, word, region, box, probability) in zip(lines, expected, strict=True):
        cells = line.split("\t")
        assert cells[:3] == [name, word, str(region)]
        assert tuple(map(float, cells[3].split())) == box
        assert float(cells[4]) == pytest.approx(probability, abs=1e-4)


def test_the_posterior_file(run: OpenedRun, items: CaptionItems, tmp_path: Path) -> None:
    out = tmp_path / "posterior.nc"
    succeed("posterior", run.path, "--out", out, "--draws", "4")
    longest = max(len(one.caption.words) for one in items.sentences) + 1
    with xr.open_datatree(out, engine="h5netcdf") as tree:
        assert tree["attention"]["sentence"].values.tolist() == items.names
        for which, name in (("prior", "prior"), ("guide", "guide"), ("posterior", "exact")):
            table = tree["attention"][name].values
            assert table.shape == (len(items.names), longest, S)
            for row, weights in enumerate(word_weights(run, items, which)):
                np.testing.assert_allclose(table[row, : len(weights)], weights.numpy(), atol=1e-5)
        assert tree.attrs["model"] == MODEL


def test_pictures_of_several_images_or_of_named_ones(
    run: OpenedRun, items: CaptionItems, tmp_path: Path
) -> None:
    ((name, figure),) = run.plot("test/00003", items=items).items()
    assert name == "test-00003"
    shown = [axis.get_title().split("\n")[0] for axis in figure.axes if axis.get_title()]
    assert shown == ["image", *items.sentences[3].caption.words]


def test_pictures_of_like_names_do_not_collide(run: OpenedRun, items: CaptionItems) -> None:
    long = "a photograph taken on the beach of somewhere in the north of France"
    part = dataclasses.replace(
        items.part, names=[f"{long} {number}.png" for number in range(len(items.part))]
    )
    items = CaptionItems(items.sentences, part)
    several = list(run.plot(items=items, count=3, order="first"))
    assert len(set(several)) == 3
    third = part.names[2]
    assert list(run.plot(third, third, items=items)) == several[2:]


def test_a_folder_like_flickr8k(flickr: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    more = ["--set", "network.kernels=[9,9,9,9]", "--set", "data.train_limit=8", "--objective", "exact"]
    succeed(*command(flickr, out, *more))
    run = open_run(out, "cpu")
    assert run.description.size == [3, 224, 224]
    items = run.select(limit=3)
    found = run.evaluate(items)
    assert "hit_prior" not in found  # nobody knows where one has to look
    assert "guess" not in found
    lines = run.align(items, of="prior")
    assert lines[1].split("\t")[0].endswith(".jpg")
    (figure,) = run.plot(items=items, count=1).values()
    assert figure.axes
    assert "this run was trained on [3, 224, 224]" in fail(3, "evaluate", out, "--data", "digit-captions")


def test_published_flickr8k_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "published"
    folder.mkdir()
    config = resolve([TINY, {"model": MODEL, "data": {"name": str(write_tokens(folder))}}])
    session = Session(config, print)
    assert [len(getattr(session.data, part)) for part in ("train", "dev", "test")] == [40, 8, 8]
    batches = session.family.epoch_batches(config, session.data, session.description)(0)
    assert sum(make().size for make in batches) == 40 * 5  # all references, each with its image


def test_the_training_part_ends_where_training_ended_and_other_data_are_whole(
    run: OpenedRun, flickr: Path
) -> None:
    limited = run.config.model_copy(update={"data": CaptionData(name=str(flickr), train_limit=2)})
    description = run.description.model_copy(update={"size": [3, 224, 224]})
    run = dataclasses.replace(run, config=limited, description=description)
    mine, others = (run.select(name, "train") for name in (None, str(flickr)))
    assert mine.names == others.names[:2]
    assert len(others.names) > 2
    batches = run.family.epoch_batches(limited, run.family.load(limited.data, print), run.description)(0)
    trained = sum(batch().size for batch in batches)  # every reference of those images
    assert trained == sum(len(others.part.captions[place]) for place in (0, 1))


def test_an_image_without_captions_or_regions_is_refused(
    run: OpenedRun, items: CaptionItems, tmp_path: Path
) -> None:
    empty = CaptionItems([], items.part)
    with pytest.raises(DataError, match="no captions"):
        run.evaluate(empty)
    with pytest.raises(DataError, match="no captions"):
        run.batch(empty)


@pytest.mark.parametrize(
    ("kernels", "why"),
    [
        ("[1]", "network.kernels.0: input should be greater than or equal to 2, got 1"),
        ("[]", "network.kernels: list should have at least 1 item"),
        ("[80,80]", "network.kernels: a region of 238 x 238 pixels is larger than images of 84 x 84"),
    ],
)
def test_kernels_that_cannot_be_are_refused_by_name(tmp_path: Path, kernels: str, why: str) -> None:
    words = ["--set", f"network.kernels={kernels}", "--dry-run"]
    assert why in fail(2, *command("digit-captions", tmp_path / "run", *words))


def test_unknown_and_bad_data_are_refused(tmp_path: Path) -> None:
    assert "did you mean 'digit-captions'" in fail(2, *command("digit-caption", tmp_path / "run"))
    assert "no file or folder" in fail(2, *command("somewhere/else", tmp_path / "run"))
    (tmp_path / "empty").mkdir()
    assert "a table image,caption" in fail(3, *command(tmp_path / "empty", tmp_path / "run"))
    folder = tmp_path / "flickr"
    folder.mkdir()
    write_table(folder)
    damaged = sorted((folder / "Images").iterdir())[0]
    damaged.write_bytes(damaged.read_bytes()[:40])
    said = fail(3, *command(folder, tmp_path / "run", "--set", "network.kernels=[9,9,9,9]"))
    assert damaged.name in said


def test_truncated_digits_are_refused(mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "fetched"
    path = write_idx(root / corpora.MNIST, train=60) / "train-labels-idx1-ubyte"
    path.write_bytes(idx_bytes(np.zeros(60, np.uint8))[:-3])
    monkeypatch.setattr(corpora, "fetch", lambda name, report: root)
    assert path.name in fail(3, *command("digit-captions", tmp_path / "run"))


def test_bleu_is_asked_for_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics.bleu", None)
    out = tmp_path / "run"
    assert "hardpp[text]" in fail(2, *command("digit-captions", out))
    assert not out.exists()


def test_a_datum_is_called_by_its_sentence(run: OpenedRun, items: CaptionItems) -> None:
    batch = run.batch(items)
    said = " ".join(items.sentences[0].caption.words)
    assert run.family.label(run.description, batch, 0) == f"the image of {said!r}"


@pytest.mark.parametrize(
    "wrong",
    [
        {"words": ["a"]},
        {"words": ["</s>", "<unk>", "a", "a"]},
        {"size": [3, 8]},
        {"size": [0, 8, 8]},
        {"longest": 0},
    ],
)
def test_a_description_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    right = {"words": ["</s>", "<unk>", "a"], "size": [3, 8, 8], "longest": 1, "fingerprint": "f"}
    assert CaptionDescription.model_validate(right).vocabulary.encode("a") == [2]
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        CaptionDescription.model_validate({**right, **wrong})
