"""Pairs that are packed are those that are read at once, and a run on them is the same to the bit."""

import gzip
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from corpora import hashes, metrics, succeed, train_command, write_corpus

from hardpp.data.transduction.packed_pairs import PackedPairs
from hardpp.errors import DataError
from hardpp.runs.new_run import configuration
from hardpp.tasks import catalogue
from hardpp.tasks.alignment import large_data
from hardpp.tasks.alignment.data import PairData, load

FAMILY: Any = catalogue.family("alignment")
DRAW = random.Random(1)
ROWS = [("".join(DRAW.choices("abcde", k=DRAW.randint(1, 4))), DRAW.choice("xyz")) for _ in range(300)]
LINES = [(word, f"{' '.join(word.upper())} {more}") for word, more in ROWS]
TABS = "".join(f"{source}\t{target}\n" for source, target in LINES)


def folder_of(path: Path) -> None:
    path.mkdir()
    for part in ("train", "dev", "test"):
        (path / f"{part}.tsv").write_text(TABS[-1000 if part == "test" else 0 :].partition("\n")[2])


def shards(path: Path) -> None:
    path.mkdir()
    for number, start in enumerate(range(0, 300, 25)):
        lines = TABS.splitlines(keepends=True)[start : start + 25]
        (path / f"train-{number}.tsv.gz").write_bytes(gzip.compress("".join(lines).encode()))
        (path / f"dev-{number}.tsv").write_text("".join(lines[:3]))
    (path / "test.tsv").write_text(TABS)


def parallel(path: Path) -> None:
    path.mkdir()
    for part in ("train", "dev", "test"):
        for side, ending in enumerate(("de", "en")):
            (path / f"{part}.{ending}").write_text(
                "".join(f"{line[side]} w{len(line[0])}\n" for line in LINES)
            )


KINDS: dict[str, tuple[Callable[[Path], object], dict[str, Any]]] = {
    "words": (lambda path: path.write_text(TABS), {}),
    "packed": (lambda path: path.write_bytes(gzip.compress(TABS.encode())), {"train_limit": 50}),
    "accents": (lambda path: path.write_text("".join(f"e\u0301{s}\t{t}\n" for s, t in LINES)), {}),
    "table.csv": (lambda path: path.write_text("source,target\n" + TABS.replace("\t", ",")), {}),
    "bars": (
        lambda path: path.write_text("".join(f"{s} {t} ||| {t} {s}\n" for s, t in LINES)),
        {"pieces": 40},
    ),
    "turned": (
        lambda path: path.write_text("".join(f"{s} {t} ||| {t} {s}\n" for s, t in LINES)),
        {"pieces": 40, "reverse": True},
    ),
    "bad": (lambda path: path.write_text(f"{TABS}none\n\n{'a' * 200}\tb c\n{TABS}"), {"on_bad": "skip"}),
    "folder": (folder_of, {}),
    "shards": (shards, {}),
    "parallel": (parallel, {"pieces": 40}),
}


@pytest.fixture
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARDPP_DATA", str(tmp_path / "cache"))
    return tmp_path / request.node.callspec.params["kind"]


def loaded(config: PairData, large: int, monkeypatch: pytest.MonkeyPatch, sides: Any = None) -> Any:
    monkeypatch.setattr(large_data, "LARGE", large)
    told: list[str] = []
    corpus = load(config, told.append, sides)
    return corpus, [sentence for sentence in told if "are packed into the cache" not in sentence]


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_the_same(kind: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, settings = KINDS[kind]
    write(path)
    config = PairData(name=str(path), **settings)
    corpus, told = loaded(config, 2**60, monkeypatch)
    description = FAMILY.describe(corpus)
    for _ in range(2):  # made, and found again
        large, told_large = loaded(config, 0, monkeypatch)
        assert isinstance(large.train, PackedPairs)
        for part in ("train", "dev", "test"):
            pairs, others = list(getattr(corpus, part)), list(getattr(large, part))
            assert others == pairs
            assert [(each.place, each.text) for each in others] == [(each.place, each.text) for each in pairs]
        assert FAMILY.describe(large) == description
        assert told_large == told
    run = configuration([{"data": {"name": str(path), **settings}, "training": {"batch_size": 7}}])
    small, packed = (FAMILY.epoch_batches(run, each, description)(1) for each in (corpus, large))
    assert len(small) == len(packed)
    assert all(map(torch.equal, small[3](), packed[3]()))
    sides = (
        description.tokenizers[::-1] if config.reverse else description.tokenizers
    )  # of a run that is asked
    monkeypatch.setattr(large_data, "pack", lambda *given, **how: pytest.fail("packed again"))
    asked, said = loaded(config, 0, monkeypatch, sides)
    of_small, said_of_small = loaded(config, 2**60, monkeypatch, sides)
    assert (list(asked.test), asked.fingerprint()) == (list(of_small.test), of_small.fingerprint())
    assert said == said_of_small or kind == "bad"


@pytest.mark.parametrize("kind", ["lexicon", "turned words"])
def test_what_can_only_be_read_at_once(kind: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text(f"read\tR\nread(2)\tRR\n{TABS}" if kind == "lexicon" else TABS)
    config = PairData(name=str(path), reverse=kind != "lexicon")
    corpus, told = loaded(config, 0, monkeypatch)
    assert isinstance(corpus.train, list)
    at_once, said = loaded(config, 2**60, monkeypatch)
    assert (corpus[:4], told) == (at_once[:4], said)


@pytest.mark.parametrize("kind", ["no TAB", "blank", "long", "empty part"])
def test_what_is_refused(kind: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = {"no TAB": "none\n", "blank": "\n", "long": f"{'a' * 200}\tb\n"}.get(kind, "")
    path.write_text(f"{TABS}{more}" if more else "a\tB C\n" * 9)
    found: list[tuple[str, str]] = []
    for large in (0, 2**60):
        with pytest.raises(DataError) as error:
            loaded(PairData(name=str(path)), large, monkeypatch)
        found.append((str(error.value), error.value.hint))
    assert found[0] == found[1]
    assert not (path.parent / "cache").exists() or list((path.parent / "cache").iterdir()) == []


def test_a_run_on_packed_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARDPP_DATA", str(tmp_path / "cache"))
    data, small, large = write_corpus(tmp_path / "data"), tmp_path / "small", tmp_path / "large"
    for run, least in ((small, 2**60), (large, 0)):
        monkeypatch.setattr(large_data, "LARGE", least)
        for steps in ("7", "10"):  # the first training ends in the midst of the second epoch
            succeed(*train_command(data, run, "--max-steps", steps, "--evaluate", "none"))
    assert metrics(large) == metrics(small)
    assert hashes(large, "best") == hashes(small, "best")
    assert succeed("decode", large) == succeed("decode", small)
