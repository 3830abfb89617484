"""What is written by lines has a line for each that was read: links, positions, outputs of parallel text."""

from pathlib import Path

import pytest
from corpora import hardpp, settings, succeed

from hardpp.data.lines import Place
from hardpp.data.transduction.pairs import Pair, PlacedPair
from hardpp.errors import DataError
from hardpp.runs.folder import open_run
from hardpp.tasks.alignment.item_lines import line_by_line

TEXTS = [("der hund", "the dog"), ("das haus", "the house"), ("ein hund", "a dog"), ("ein haus", "a house")]
WORDS = ["--set", "data.source_tokens=words", "--set", "data.target_tokens=words", "--max-steps", "2"]


def write(beginning: Path, pairs: list[tuple[str, str]]) -> Path:
    for place, language in enumerate(("de", "en")):
        lines = "".join(f"{pair[place]}\n" for pair in pairs)
        Path(f"{beginning}.{language}").write_text(lines, encoding="utf-8")
    return beginning


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that stops at bad lines, one that skips them, and one of the other direction."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "data").mkdir()
    for part in ("train", "dev"):
        write(folder / "data" / part, TEXTS)
    write(folder / "data" / "test", [TEXTS[0], ("der der der der", "a"), TEXTS[1]])
    more = {"stop": [], "skip": ["--on-bad", "skip", "--set", "data.max_length=3"]}
    more["back"] = ["--set", "data.reverse=true"]
    for name, options in more.items():
        words = ["--data", folder / "data", "--out", folder / name, "--objective", "exact", "--device", "cpu"]
        succeed("train", *words, *settings(), *WORDS, *options)
    return folder


GAP = [TEXTS[0], ("ein", ""), TEXTS[1], ("", ""), ("der hund der hund", "a dog"), TEXTS[2], ("", "a")]


@pytest.fixture(scope="module")
def gap(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same texts in two files, and in one, which is also read as what comes through a pipe is."""
    folder = tmp_path_factory.mktemp("gap")
    path = folder / "gap.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in GAP), encoding="utf-8")
    return {"two": write(folder / "two", GAP), "one": path}


@pytest.mark.parametrize("form", ["pharaoh", "pharaoh-probabilities"])
@pytest.mark.parametrize("way", ["stop", "skip", "both"])
@pytest.mark.parametrize("files", ["two", "one"])
def test_links(runs: Path, gap: dict[str, Path], files: str, way: str, form: str) -> None:
    both = ["--both-ways", runs / "back"] if way == "both" else []
    run = runs / ("skip" if way == "skip" else "stop")
    result = hardpp("align", run, "--data", gap[files], "--format", form, *both)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.split("\n")[:-1]
    assert len(lines) == len(GAP)
    left_out = {1, 3, 6} | ({4} if way == "skip" else set())
    assert all(lines[place] == "" for place in left_out)
    assert "left out: " in result.stderr
    # Line i is about pair i: the same as of that pair alone.
    opened = open_run(run, "cpu")
    items = opened.select_lines(gap[files])
    assert [place for place, item in enumerate(items) if item is None] == sorted(left_out)
    if way != "both":
        for place, item in enumerate(items):
            if item is not None:
                assert opened.align([item], form=form) == [lines[place]]


def test_positions_are_of_the_pairs_of_their_lines(runs: Path, gap: dict[str, Path]) -> None:
    rows = succeed("align", runs / "skip", "--data", gap["two"]).splitlines()[1:]
    assert sorted({int(row.split("\t")[0]) for row in rows}) == [0, 2, 5]


@pytest.mark.parametrize("options", [["--scores"], ["--format", "tsv"]])
def test_outputs(runs: Path, gap: dict[str, Path], options: list[str]) -> None:
    lines = succeed("decode", runs / "skip", "--data", gap["one"], *options).split("\n")[:-1]
    assert [place for place, line in enumerate(lines) if not line.strip()] == [1, 3, 4, 6]
    assert len(succeed("decode", runs / "skip", "--data", gap["one"]).split("\n")[:-1]) == len(GAP)
    assert len(succeed("decode", runs / "skip", "--data", gap["one"], "--limit", "3").split("\n")) == 4


def test_a_part_of_a_folder_has_its_files_lines(runs: Path) -> None:
    lines = succeed("align", runs / "skip", "--format", "pharaoh").split("\n")[:-1]
    assert [bool(line) for line in lines] == [True, False, True]
    assert len(succeed("decode", runs / "skip").split("\n")[:-1]) == 3


def test_blank_input_is_no_error(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("\n \n")
    assert succeed("decode", runs / "stop", "--input", tmp_path / "in") == "\n\n"
    assert succeed("align", runs / "stop", "--data", write(tmp_path / "x", [("", "a"), TEXTS[0]])).count(
        "\t1\t"
    )


def test_what_is_worse_than_blank_stops_where_it_did(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.tsv").write_text("der hund\tthe dog\n\t\nkatze\n")
    run = open_run(runs / "stop", "cpu")
    with pytest.raises(DataError, match=r"bad\.tsv:3: missing target"):
        run.select_lines(str(tmp_path / "bad.tsv"))
    (tmp_path / "bad.tsv").write_text("der hund\tthe dog\n\t\n")
    assert run.select_lines(str(tmp_path / "bad.tsv"))[1:] == [None]
    with pytest.raises(DataError, match=r"bad\.tsv:2: "):
        run.select_lines(str(tmp_path / "bad.tsv"), on_bad="stop")
    with pytest.raises(DataError, match=r"bad\.tsv:2: "):  # figures of fewer pairs than there are
        run.select(str(tmp_path / "bad.tsv"))


def test_without_known_places_there_are_the_pairs_alone(tmp_path: Path) -> None:
    pair = Pair(("a",), ("b",), (("b",),))
    assert line_by_line([pair, pair]) == [pair, pair]
    (tmp_path / "f").write_text("\n\na\tb\n\n")
    placed = PlacedPair.at(Place(tmp_path / "f", 3), pair)
    assert line_by_line([placed]) == [None, None, pair, None]
    assert line_by_line([placed, pair]) == [pair, pair]
    assert line_by_line([placed, placed]) == [pair, pair]  # two that stand for one line
    assert line_by_line([PlacedPair.at(Place(tmp_path / "pipe", 2), pair)]) == [None, pair]
    assert line_by_line([]) == []


def test_right_answers_that_stand_in_one_line_are_one_item(tmp_path: Path) -> None:
    path = tmp_path / "words.tsv"
    path.write_text("a\t/x/, /y/\n\nb\t/z/\n")
    pairs = [
        PlacedPair.at(Place(path, number), Pair(("a",), (t,), ()))
        for number, t in ((1, "x"), (1, "y"), (3, "z"))
    ]
    assert line_by_line(pairs) == [pairs[0], None, pairs[2]]
