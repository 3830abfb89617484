"""Probabilities of word links that are fitted to known links: of a tiny run, both directions of it."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import fail, settings, succeed, write_corpus

from hardpp.data.transduction.pairs import Pair
from hardpp.errors import DataError
from hardpp.runs.folder import open_run
from hardpp.tasks.alignment.link_calibration import LinkMaker
from hardpp.tasks.alignment.run import AlignmentRun
from hardpp.tasks.answers.calibration import platt

FORM: Any = {"form": "pharaoh-probabilities"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("links")
    data, words = (
        write_corpus(folder / "data"),
        ["--objective", "exact", "--device", "cpu", "--max-steps", "2"],
    )
    out = {"forward": folder / "forward", "backward": folder / "backward"}
    for name, path in out.items():
        more = ["--set", "data.reverse=true"] if name == "backward" else []
        succeed("train", "--data", str(data), "--out", str(path), *words, *settings(), *more)
    return out


def with_links(run: AlignmentRun) -> AlignmentRun:
    """The run with data in which every second target word is linked, to the source word across from it."""

    def linked(pair: Pair) -> Pair:
        words = range(min(len(pair.source), len(pair.target)))
        return pair._replace(links=tuple((n, n) for n in words if n % 2 == 0))

    parts = {part: [linked(pair) for pair in run.select(part=part)] for part in ("train", "dev", "test")}
    corpus: Any = run.family.load(run.data_config(None), lambda text: None)
    return replace(run, data=corpus._replace(**parts))


@pytest.fixture(scope="module")
def runs(folders: dict[str, Path]) -> dict[str, AlignmentRun]:
    opened: dict[str, Any] = {name: open_run(path, "cpu") for name, path in folders.items()}
    return {name: with_links(run) for name, run in opened.items()}


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platt, "FEWEST", 2)


def parsed(lines: list[str]) -> list[list[tuple[str, float]]]:
    return [[(link.split(":")[0], float(link.split(":")[1])) for link in line.split()] for line in lines]


def test_the_links_stay_and_their_probabilities_are_the_map_s(runs: dict[str, AlignmentRun]) -> None:
    run = runs["forward"]
    items, dev = run.select(), run.select(part="dev")
    plain, fitted = (parsed(run.align(items, **FORM, calibrated=c)) for c in (False, True))
    assert [[link for link, _ in line] for line in plain] == [[link for link, _ in line] for line in fitted]
    maker = LinkMaker(run, "posterior")
    links, scores = maker.links(dev)
    known = [(link[:2] in pair.links) for pair, of in zip(dev, links, strict=True) for link in of]
    mapped = platt.fit(np.concatenate(scores), known)
    for pair, before, after in zip(items, plain, fitted, strict=True):
        assert pair not in dev
        for (_, raw), (_, probability) in zip(before, after, strict=True):
            assert probability == pytest.approx(float(mapped(platt.logits([[raw]]))[0]), abs=2e-3)


def test_dev_pairs_are_judged_by_maps_without_them(runs: dict[str, AlignmentRun]) -> None:
    run = runs["forward"]
    dev = run.select(part="dev")
    raw, fitted = run.reliability(dev)
    assert raw["count"] == fitted["count"] == sum(map(len, LinkMaker(run, "posterior").links(dev)[0]))
    # All alike but one pair, whose links are all right: its own map must not have seen that.
    wrong = [pair._replace(links=((99, 99),)) for pair in dev]
    wrong[1:5] = [
        pair._replace(links=tuple((s, t) for s in range(30) for t in range(30))) for pair in wrong[1:5]
    ]
    maker = LinkMaker(run, "posterior")
    flipped = [wrong[0]._replace(links=wrong[1].links), *wrong[1:]]
    before, after = (maker.calibrated(wrong[:1], known)[0] for known in (wrong, flipped))
    assert before == after
    another = [wrong[0]._replace(source=(*wrong[0].source, "<unk>"))]
    assert maker.calibrated(another, wrong) != maker.calibrated(another, flipped)


@pytest.mark.parametrize("method", ["intersection", "grow-diag-final-and"])
def test_links_of_both_directions(runs: dict[str, AlignmentRun], method: Any) -> None:
    ahead, back = runs["forward"], runs["backward"]
    items = ahead.select()
    options: Any = {"of": "posterior", "method": method, **FORM}
    plain, fitted = (parsed(ahead.link_words(back, items, **options, calibrated=c)) for c in (False, True))
    assert [[link for link, _ in line] for line in plain] == [[link for link, _ in line] for line in fitted]
    assert plain != fitted
    for curve in ahead.link_reliability(back, items, of="posterior", method=method, bins=4):
        assert re.fullmatch(rf"word links, posterior, {method}, (raw|calibrated)", curve["what"])
        assert curve["count"] == sum(map(len, plain))
        right = sum(row["observed"] * row["count"] for row in curve["rows"])
        assert right == pytest.approx(
            sum(
                tuple(map(int, link.split("-"))) in pair.links
                for pair, line in zip(items, plain, strict=True)
                for link, _ in line
            )
        )


def test_without_known_links_of_dev_nothing_is_calibrated(folders: dict[str, Path]) -> None:
    path = folders["forward"]
    words = ["align", path, "--format", "pharaoh-probabilities", "--calibrated"]
    assert "no known links" in fail(3, *words)
    assert "no known links" in fail(3, *words, "--both-ways", folders["backward"])
    assert "have no probabilities or intervals" in fail(
        2, "align", path, "--format", "pharaoh", "--calibrated"
    )


def test_links_that_are_all_right_are_refused(runs: dict[str, AlignmentRun]) -> None:
    dev = [
        pair._replace(links=tuple((s, t) for s in range(30) for t in range(30)))
        for pair in runs["forward"].select(part="dev")
    ]
    with pytest.raises(DataError, match="2 true and 2 false ones are needed"):
        LinkMaker(runs["forward"], "posterior").calibrated(dev, dev)
