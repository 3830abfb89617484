"""A run's links against those of files made by hand: AER, precision, recall, calibration."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from corpora import fail, hardpp, settings, succeed

from hardpp.data.transduction.pairs import Pair
from hardpp.data.transduction.tokenizers import Characters, MarkedWords, Words
from hardpp.decoding.links import Link
from hardpp.errors import DataError
from hardpp.runs.folder import open_run
from hardpp.tasks.alignment import word_links
from hardpp.tasks.alignment.gold_pairs import GoldFiles, right_links, with_gold
from hardpp.tasks.alignment.word_links import link_errors
from hardpp.tasks.opened_run import OpenedRun

SOURCES = ["das ha@@ us", "der hu@@ nd", "ein klei@@ nes ha@@ us", "ein hund"]
TARGETS = ["the house", "the dog", "a li@@ ttle house", "a dog"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("linked")
    for part in ("train", "dev", "test"):
        for language, texts in (("de", SOURCES), ("en", TARGETS)):
            (folder / f"{part}.{language}").write_text("".join(f"{text}\n" for text in texts))
    words = ["--data", folder, "--out", folder / "run", "--objective", "exact", "--device", "cpu"]
    succeed("train", *words, *settings(), "--max-steps", "2")
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> OpenedRun:
    return open_run(folder / "run", "cpu")


def figures(run: Path, *words: str | Path) -> dict[str, Any]:
    result = hardpp("evaluate", run, "--data", run.parent / "test", "--format", "json", *words)
    assert result.exit_code == 0, result.stderr
    row: dict[str, Any]
    (row,) = json.loads(result.stdout)
    return row


def gold_file(folder: Path, text: str, name: str = "gold") -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize("form", ["pharaoh", "pharaoh-probabilities"])
def test_what_is_written_is_what_is_read(folder: Path, form: str) -> None:
    run = folder / "run"
    gold = gold_file(folder, succeed("align", run, "--data", folder / "test", "--format", form))
    row = figures(run, "--links", gold)
    assert (row["AER"], row["precision"], row["recall"]) == (0, 1, 1)
    assert "AER" not in figures(run)


def test_figures_by_hand(run: OpenedRun) -> None:
    pairs = [
        Pair(("a", "b"), ("x", "y"), (("x", "y"),)),
        Pair(("a", "b", "c"), ("x", "y", "z"), (("x", "y", "z"),)),
    ]
    found = [[Link(0, 0), Link(1, 0)], [Link(0, 0), Link(1, 1), Link(2, 1)]]

    def errors(first: str, second: str, tmp: Path) -> Any:
        gold = gold_file(tmp, f"{first}\n{second}\n")
        linked = with_gold(pairs, GoldFiles(gold), (Words(), Words()), lambda text: None)
        return link_errors(found, linked)

    # A has 5; S = {0-0, 1-1 | 0-0, 2-2}; P = S and {1-0 | 2-1, 0-2}.
    # |A & S| = 2, |A & P| = 4 (0-0, 1-0, 0-0, 2-1), |S| = 4.
    row = errors("0-0 1-1 1?0", "0-0 2-2 2p1 0-2P", run.path)
    assert row.precision == pytest.approx(4 / 5)
    assert row.recall == pytest.approx(2 / 4)
    assert row.error == pytest.approx(1 - (2 + 4) / (5 + 4))


def test_the_possible_ones_may_have_a_file_of_their_own(folder: Path) -> None:
    run = folder / "run"
    lines = succeed("align", run, "--data", folder / "test", "--format", "pharaoh").splitlines()
    marked = gold_file(folder, "".join(f"0-0 {line.replace('-', '?')}\n" for line in lines))
    sure, possible = (
        gold_file(folder, "0-0\n" * 4, "sure"),
        gold_file(folder, "\n".join(lines) + "\n", "more"),
    )
    one, two = figures(run, "--links", marked), figures(run, "--links", sure, "--possible-links", possible)
    assert one == two
    assert one["precision"] == 1


def test_forms_and_bases_agree(folder: Path) -> None:
    links = [[(0, 0), (1, 1)], [(0, 0)], [(2, 2)], [(1, 0)]]

    def pharaoh(base: int, turned: bool = False) -> str:
        rows = [[(t, s) if turned else (s, t) for s, t in row] for row in links]
        return "".join(" ".join(f"{s + base}-{t + base}" for s, t in row) + "\n" for row in rows)

    naacl = "".join(f"{n} {s + 1} {t + 1}\n" for n, row in enumerate(links, 1) for s, t in row)
    run = folder / "run"
    plain = figures(run, "--links", gold_file(folder, pharaoh(0)))
    assert plain == figures(run, "--links", gold_file(folder, pharaoh(1)), "--links-from", "1")
    assert plain == figures(run, "--links", gold_file(folder, naacl))
    assert plain == figures(run, "--links", gold_file(folder, pharaoh(0, turned=True)), "--links-swapped")
    assert 0 < plain["AER"] <= 1


def test_links_are_of_words_and_not_of_their_parts(folder: Path, run: OpenedRun) -> None:
    # "ein klei@@ nes ha@@ us" has three words, so that 2-2 is the last of both sides.
    gold = GoldFiles(gold_file(folder, "1-1\n1-1\n2-2\n1-1\n"))
    pairs = run.select_linked(folder / "test", gold=gold)
    assert [pair.links for pair in pairs] == [((1, 1),), ((1, 1),), ((2, 2),), ((1, 1),)]
    gold_file(folder, "\n\n3-2\n\n")
    told = fail(3, "evaluate", folder / "run", "--data", folder / "test", "--links", gold.links)
    assert f"{gold.links}:3: a link of word 3 of the source, which has words 0 to 2" in told


def test_a_pair_that_is_left_out_keeps_its_line_of_links(folder: Path) -> None:
    for language, texts in (("de", SOURCES), ("en", ["the house", "", *TARGETS[2:]])):
        (folder / f"gap.{language}").write_text("".join(f"{text}\n" for text in texts))
    gold = gold_file(folder, "0-0\n0-0\n2-2\n1-1\n")
    words = ["evaluate", folder / "run", "--data", folder / "gap", "--links", gold]
    result = hardpp(*words, "--format", "json")
    assert result.exit_code == 0, result.stderr
    assert f"{gold}: links of a pair that was left out are not judged" in result.stderr
    assert json.loads(result.stdout)[0]["pairs"] == 3
    assert "gold: 3 lines of links for 4 pairs" in fail(3, *words[:-1], gold_file(folder, "0-0\n" * 3))


def test_options_that_lack_links(folder: Path) -> None:
    assert "give --links" in fail(2, "evaluate", folder / "run", "--links-from", "1")
    told = fail(2, "calibrate", folder / "run", "--links", folder / "gold")
    assert "--by known" in told


def test_other_verbs_take_them(folder: Path) -> None:
    lines = succeed("align", folder / "run", "--data", folder / "test", "--format", "pharaoh")
    words = [
        folder / "run",
        "--data",
        folder / "test",
        "--links",
        gold_file(folder, lines),
        "--format",
        "json",
    ]
    rows = json.loads(succeed("compare", "alignments", *words))
    assert {row["by"]: row["AER"] for row in rows}["posterior"] == 0
    rows = json.loads(succeed("calibrate", *words, "--by", "known"))
    assert {row["what"] for row in rows} == {"word links, posterior, forward, raw"}  # too few for a map
    assert all(row["observed"] == 1 for row in rows)
    assert sum(row["count"] for row in rows) == len(lines.split())


def test_a_possible_link_is_not_wrong(folder: Path, run: OpenedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = run.select_linked(folder / "test", gold=GoldFiles(gold_file(folder, "0-0 1?1\n\n\n0?0\n")))
    assert [sorted(right_links(pair)) for pair in pairs] == [[(0, 0), (1, 1)], [], [], [(0, 0)]]
    one = [Link(1, 1, 0.75), Link(0, 1, 0.25)]
    monkeypatch.setattr(
        "hardpp.tasks.alignment.link_calibration.word_links", lambda run, pairs, view: [one] * len(pairs)
    )
    raw, *_ = run.reliability(pairs)
    # Of the two pairs with links, 1-1 is right in one; 0-1 in none.
    assert [(row["count"], row["observed"]) for row in raw["rows"]] == [(2, 0), (2, 0.5)]


def test_characters_are_told_of(folder: Path) -> None:
    told: list[str] = []
    pair = Pair(("a", " ", "b"), ("x",), (("x",),))
    gold = GoldFiles(gold_file(folder, "2-0\n"))
    with_gold([pair], gold, (Characters(), MarkedWords()), told.append)
    assert "sources are cut into characters" in told[-1]


def test_without_links_there_is_nothing_to_judge(run: OpenedRun) -> None:
    with pytest.raises(DataError, match="no known links") as caught:
        word_links.compare_links(run, None, run.select())
    assert "--links FILE" in caught.value.hint
    assert replace(run).select()
