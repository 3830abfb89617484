"""The tiny case of every model family: data that are written in an instant, and the settings of its toy.

`tests/contracts` run every family on the command line through one list of promises. A new family is one row.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from caption_files import NAMES, write_table
from corpora import settings, write_corpus
from image_files import write_idx, write_picture
from question_corpora import write_easy
from tone_speech import write_tones

from hardpp.runs.folder import open_run
from hardpp.tasks import catalogue
from hardpp.tasks.metrics.error_rates import phone_error_rate
from hardpp.tasks.metrics.vqa_accuracy import vqa_accuracy
from hardpp.tasks.opened_run import OpenedRun

OBJECTIVE = "elbo"  # which every family takes


class TinyFamily(NamedTuple):
    """What the promises need to know of a model family."""

    write: Callable[[Path], Any]  # lays data out in a folder that is not there yet
    change: Callable[[Path], Any]  # alters a training datum of them
    guide: str  # one with parameters of its own
    counted: str  # the figure that says how many data were evaluated
    score: Callable[[OpenedRun, Any, Sequence[str]], tuple[str, float]]  # of decoded texts: figure, value
    texts: Callable[[Path], list[str]] = lambda data: []  # lines for `decode --input`
    extra: str | None = None  # a package without which it is not tested


class TinyRun(NamedTuple):
    """A family's tiny case, its data, and the folder of a run trained on them."""

    name: str
    data: Path
    folder: Path

    @property
    def tiny(self) -> TinyFamily:
        return FAMILIES[self.name]

    def open(self) -> OpenedRun:
        return open_run(self.folder, "cpu")

    def command(self, out: Path, *more: str | Path) -> list[str]:
        """`hardpp train` on the same data for two epochs."""
        words = [
            "train",
            "--model",
            self.name,
            "--data",
            str(self.data),
            "--out",
            str(out),
            "--device",
            "cpu",
        ]
        words += ["--objective", OBJECTIVE, "--guide", self.tiny.guide, "--max-epochs", "2"]
        return [*words, *settings(tiny_settings(self.name)), *map(str, more)]


def tiny_settings(name: str) -> dict[str, Any]:
    """Small networks and small batches, as the toy of a family has them."""
    toy = catalogue.family(name).toy()
    assert toy is not None
    return dict(toy.settings)


def replace_text(path: Path, old: str, new: str) -> None:
    """Replaces the first occurrence in a file, which must have one."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def _wrong_words(run: OpenedRun, pairs: Any, texts: Sequence[str]) -> tuple[str, float]:
    right = {pair.source: " ".join(pair.target) for pair in pairs}
    wrong = [text != right[pair.source] for text, pair in zip(texts, pairs, strict=True)]
    return "WER", sum(wrong) / len(wrong)


def _phone_errors(run: OpenedRun, utterances: Any, texts: Sequence[str]) -> tuple[str, float]:
    tokens = [utterance.tokens for utterance in utterances]
    return "PER", phone_error_rate([text.split() for text in texts], tokens, run.description.folding).symbol


def _right_answers(run: OpenedRun, items: Any, texts: Sequence[str]) -> tuple[str, float]:
    scores = [
        vqa_accuracy(text, question.answers) for text, question in zip(texts, items.questions, strict=True)
    ]
    return "accuracy", sum(scores) / len(scores)


def _wrong_labels(run: OpenedRun, images: Any, texts: Sequence[str]) -> tuple[str, float]:
    labels = [images.classes[int(images.part.labels[index])] for index in images.indices]
    return "error_mean", sum(text != label for text, label in zip(texts, labels, strict=True)) / len(labels)


def _right_labels(run: OpenedRun, images: Any, texts: Sequence[str]) -> tuple[str, float]:
    _, wrong = _wrong_labels(run, images, texts)
    return "accuracy", 1 - wrong


def _mean_bits(run: OpenedRun, images: Any, texts: Sequence[str]) -> tuple[str, float]:
    return "bits", sum(map(float, texts)) / len(texts)


def _same_sentences(run: OpenedRun, items: Any, texts: Sequence[str]) -> tuple[str, float]:
    captions = dict(zip(items.part.names, items.part.captions, strict=True))
    right = [
        text in [" ".join(caption.words) for caption in captions[name]]
        for name, text in zip(items.names, texts, strict=True)
    ]
    return "same", sum(right) / len(right)


def _pictures(data: Path, side: int) -> list[str]:
    paths = [data.parent / f"{shade}.png" for shade in (9, 200)]
    return [str(write_picture(path, int(path.stem), (side, side), "L")) for path in paths]


def _write_captions(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return write_table(folder, NAMES[:40])


def _change_labels(data: Path) -> None:
    path = data / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")


def _unsay(data: Path) -> None:
    for path in (data / "TRAIN").rglob("SX5.*"):
        path.unlink()


def available(name: str) -> TinyFamily:
    """The tiny case of a family; skips the test if a package that it takes is not there."""
    tiny = FAMILIES[name]
    if tiny.extra is not None:
        pytest.importorskip(tiny.extra)
    return tiny


# By the names of `hardpp.tasks.catalogue.FAMILIES`.
FAMILIES: dict[str, TinyFamily] = {
    "alignment": TinyFamily(
        write_corpus,
        lambda data: replace_text(data / "train.tsv", "AH", "B"),
        "variational",
        "pairs",
        _wrong_words,
        texts=lambda data: ["abc", "de"],
    ),
    "online-alignment": TinyFamily(
        write_tones,
        _unsay,
        "variational",
        "utterances",
        _phone_errors,
        extra="soundfile",
        texts=lambda data: sorted(map(str, data.rglob("*.WAV")))[:2],
    ),
    "question-answering": TinyFamily(
        write_easy,
        lambda data: replace_text(data / "train" / "questions.json", json.dumps("yes"), json.dumps("no")),
        "variational",
        "questions",
        _right_answers,
        texts=lambda data: ["test/0\twhat color is the shape?", "test/1\tis there a red shape?"],
    ),
    "glimpse": TinyFamily(
        lambda folder: write_idx(folder, side=12),
        _change_labels,
        "variational",
        "images",
        _wrong_labels,
        texts=lambda data: _pictures(data, 12),
    ),
    "saccader": TinyFamily(
        lambda folder: write_idx(folder, side=21),
        _change_labels,
        "label-aware",
        "images",
        _right_labels,
        texts=lambda data: _pictures(data, 21),
    ),
    "masked-image": TinyFamily(
        lambda folder: write_idx(folder, side=12),
        _change_labels,
        "prior",
        "images",
        _right_labels,
        texts=lambda data: _pictures(data, 12),
    ),
    "image-vae": TinyFamily(
        lambda folder: write_idx(folder, side=12),
        _change_labels,
        "encoder",
        "images",
        _mean_bits,
        texts=lambda data: _pictures(data, 12),
    ),
    "caption": TinyFamily(
        _write_captions,
        lambda data: replace_text(data / "captions.txt", "runs", "sleeps"),
        "variational",
        "images",
        _same_sentences,
        extra="sacrebleu",
        texts=lambda data: sorted(map(str, data.rglob("*.jpg")))[:2],
    ),
}
