import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from glimpse_files import HEADER, write_lines

from hardpp.data.images.glimpse_sequence_files import open_to_continue, write
from hardpp.data.images.glimpse_sequences import GlimpseSequences, read
from hardpp.errors import DataError, ResourceError, UsageError

PLACES = {"train/0": [(0, 8), (4, 4)], "train/1": [(8, 8), (0, 0)], "train/2": [(4, 0), (4, 8)]}

HOLD = """
import sys, time, pathlib
from glimpse_files import HEADER
from hardpp.data.images.glimpse_sequence_files import open_to_continue
with open_to_continue(pathlib.Path(sys.argv[1]), HEADER) as writer:
    writer.add("train/0", [(0, 0), (0, 0)])
    print("held", flush=True)
    time.sleep(60)
"""


def add(path: Path, *names: str) -> set[str]:
    """Add sequences of some names; returns the names that were there."""
    with open_to_continue(path, HEADER) as writer:
        there = set(writer.names)
        for name in names:
            writer.add(name, PLACES[name])
        assert writer.names == there | {*names}
    return there


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "designs" / "sequences.txt"


def test_sequences_are_added_and_others_later(path: Path) -> None:
    assert add(path, "train/0") == set()
    assert add(path) == {"train/0"}
    assert add(path, "train/2", "train/1") == {"train/0"}
    found = read(path)
    assert (found.header, found.places) == (HEADER, PLACES)
    assert list(found.places) == ["train/0", "train/2", "train/1"]


def test_each_line_is_there_as_soon_as_it_is_added(path: Path) -> None:
    with open_to_continue(path, HEADER) as writer:
        assert read(path).places == {}
        writer.add("train/0", PLACES["train/0"])
        assert list(read(path).places) == ["train/0"]


def test_whatever_an_interrupted_writer_left_another_one_goes_on(path: Path) -> None:
    add(path, *PLACES)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        there = set(list(PLACES)[: max(0, whole[:length].count(b"\n") - len(HEADER.lines))])
        if not whole[:length].endswith(b"\n"):
            with pytest.raises(DataError, match=r"the file is empty|the last line has no line break"):
                read(path)
        if length and whole[:length].count(b"\n") < len(HEADER.lines):
            with pytest.raises(DataError, match=r"no line break|the header ends here"):
                read(path)
        assert add(path, *(name for name in PLACES if name not in there)) == there
        assert path.read_bytes() == whole
    assert len(lines) == len(HEADER.lines) + len(PLACES)


def test_files_of_other_systems_are_continued(path: Path) -> None:
    add(path, "train/0")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert add(path, "train/1") == {"train/0"}
    assert list(read(path).places) == ["train/0", "train/1"]


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("size", 13, 2),
        ("glimpses", 3, 6),
        ("part", "dev", 9),
        ("fingerprint", "00", 10),
        ("configuration", "0", 11),
    ],
)
def test_another_header_is_refused(path: Path, key: str, value: object, line: int) -> None:
    add(path, "train/0")
    path.write_bytes(path.read_bytes() + b"train/1\t8,")
    before = path.read_bytes()
    other = replace(HEADER, **{key: value})
    message = f"^{path}:{line}: {key} is {getattr(HEADER, key)}, and {value} is wanted$"
    with pytest.raises(UsageError, match=message), open_to_continue(path, other):
        pass
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"precious", b"precious\n", b"# hardpp glimpse sequences: 1\nprecious\n"]
)
def test_other_files_stay_as_they_are(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{path}:[12]: "):
        add(path)
    assert path.read_bytes() == content


def test_wrong_lines_are_not_written_after(path: Path) -> None:
    path.parent.mkdir()
    write_lines(path, "train/0\t0,8 4,5", "train/1\t8,")
    before = path.read_bytes()
    with pytest.raises(DataError, match=f"^{path}:12: 4,5 is not on the grid"):
        add(path, "train/2")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "places", "message"),
    [
        ("train/0", [(0, 0), (0, 0)], "train/0 has a sequence already"),
        ("a\tb", [(0, 0), (0, 0)], r"the name 'a\\tb' is not kept"),
        ("a\nb", [(0, 0), (0, 0)], r"the name 'a\\nb' is not kept"),
        ("", [(0, 0), (0, 0)], "the name '' is not kept"),
        ("\ud800", [(0, 0), (0, 0)], "UTF-8 without tabs and line breaks is wanted"),
        ("b", [(0, 0)], "has 1 places, and 2 are wanted"),
        ("b", [(0, 0), (0, 9)], "the patch at 0,9 is not within an image"),
        ("b", [(0, 0), (0, -1)], "the patch at 0,-1 is not within an image"),
        ("b", [(0, 0), (3, 4)], "3,4 is not on the grid"),
    ],
)
def test_what_could_not_be_read_is_not_written(
    path: Path, name: str, places: list[tuple[int, int]], message: str
) -> None:
    add(path, "train/0")
    before = path.read_bytes()
    with open_to_continue(path, HEADER) as writer, pytest.raises(DataError, match=message):
        writer.add(name, places)
    assert path.read_bytes() == before


def test_a_second_writer_is_refused(path: Path) -> None:
    with open_to_continue(path, HEADER) as writer:
        with pytest.raises(UsageError, match=f"^{path}: another process adds sequences to it"):
            add(path)
        writer.add("train/0", PLACES["train/0"])
    assert add(path) == {"train/0"}


def test_a_killed_writer_is_in_nobody_s_way(path: Path) -> None:
    here = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), *sys.path])}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match="another process adds sequences to it"):
            add(path)
    finally:
        process.kill()
        process.communicate()
    assert add(path, "train/1") == {"train/0"}


def test_places_where_no_file_can_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        add(tmp_path)
    (tmp_path / "link.txt").symlink_to(tmp_path / "other.txt")
    with pytest.raises(ResourceError, match=r"link\.txt cannot be written"):
        add(tmp_path / "link.txt")
    assert not (tmp_path / "other.txt").exists()


def test_all_at_once(tmp_path: Path) -> None:
    path = tmp_path / "sequences.txt"
    write(path, GlimpseSequences(path, HEADER, PLACES, {}))
    assert read(path).places == PLACES
    with pytest.raises(UsageError, match="exists already"):
        write(path, GlimpseSequences(path, HEADER, {}, {}))
    with pytest.raises(ValueError, match="has 1 places"):
        write(path, GlimpseSequences(path, HEADER, {"a": [(0, 0)]}, {}), force=True)
    assert read(path).places == PLACES
    write(path, GlimpseSequences(path, HEADER, {}, {}), force=True)
    assert read(path).places == {}
