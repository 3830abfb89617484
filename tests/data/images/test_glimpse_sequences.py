from dataclasses import replace
from pathlib import Path

import pytest
from glimpse_files import HEADER, write_lines
from hypothesis import given
from hypothesis import strategies as st
from image_files import held

from hardpp.data.images.glimpse_sequence_files import write
from hardpp.data.images.glimpse_sequence_header import SequenceHeader
from hardpp.data.images.glimpse_sequences import GlimpseSequences, check_fits, image_names, read
from hardpp.data.images.labelled import first_images
from hardpp.data.lines import Place
from hardpp.errors import DataError
from hardpp.ops.patch_grid import PatchGrid

LINES = ["train/3\t0,8 4,4", "a picture.png\t8,0 8,0"]


@st.composite
def headers(draw: st.DrawFn) -> SequenceHeader:
    size = draw(st.integers(1, 300))
    patch = draw(st.integers(1, size))
    last = draw(st.integers(0, size - patch))
    text = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r\0"), min_size=1)
    glimpses = draw(st.integers(1, 4))
    return SequenceHeader(
        size,
        patch,
        draw(st.integers(1, last + 1)),
        last,
        glimpses,
        draw(st.integers(0, glimpses)),
        draw(text),
        draw(st.sampled_from(["train", "dev", "test"])),
        draw(st.text("0123456789abcdef", min_size=1)),
        draw(st.text("0123456789abcdef", min_size=1)),
    )


@st.composite
def kept(draw: st.DrawFn) -> GlimpseSequences:
    header = draw(headers())
    name = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r\0"), min_size=1)
    start = st.sampled_from(header.starts)
    corners = st.lists(st.tuples(start, start), min_size=header.fewest, max_size=header.glimpses)
    return GlimpseSequences(Path(), header, draw(st.dictionaries(name, corners, max_size=5)), {})


@given(kept())
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, sequences: GlimpseSequences
) -> None:
    path = tmp_path_factory.mktemp("kept") / "sequences.txt"
    write(path, sequences)
    found = read(path)
    assert found[:3] == (path, *sequences[1:3])
    assert list(found.places) == list(sequences.places)
    lines = path.read_bytes().split(b"\n")
    for name, place in found.where.items():
        assert lines[place.number - 1].startswith(f"{name}\t".encode())


@given(st.integers(1, 120), st.data())
def test_the_grid_is_the_one_of_the_operators(cells: int, data: st.DataObject) -> None:
    last = data.draw(st.integers(cells - 1, 240))
    header = replace(HEADER, size=last + 7, patch=7, cells=cells, last=last)
    assert list(header.starts) == PatchGrid(last + 7, 7, cells, last).starts.tolist()


def test_a_file(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "sequences.txt", *LINES)
    found = read(path)
    assert found.header == HEADER
    assert found.places == {"train/3": [(0, 8), (4, 4)], "a picture.png": [(8, 0), (8, 0)]}
    assert found.where == {"train/3": Place(path, 12), "a picture.png": Place(path, 13)}


def test_the_text_of_the_format_stays_as_it_is() -> None:
    assert HEADER.lines == [
        "# hardpp glimpse sequences: 1",
        "# size: 12",
        "# patch: 4",
        "# cells: 3",
        "# last: 8",
        "# glimpses: 2",
        "# fewest: 2",
        "# data: blots, drawn",
        "# part: train",
        "# fingerprint: 0123abcd",
        "# configuration: 9f",
    ]


def test_other_line_breaks_a_byte_order_mark_and_no_sequences_yet(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "sequences.txt", *LINES)
    plain = read(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read(path) == plain
    assert read(write_lines(path)).places == {}


def test_header_lines_may_stand_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "sequences.txt"
    path.write_text("\n".join([*HEADER.lines[::-1], *LINES, ""]))
    assert read(path).header == HEADER


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (1, "# hardpp glimpse sequences: 2", "version 2 of the format, and 1 is read here"),
        (1, None, "not a file of glimpse sequences"),
        (4, None, "the header ends here, and has no cells"),
        (4, "# patch: 4", "patch is given in line 3 already"),
        (4, "# cells: three", "cells is 'three', and a number of at most 5 digits is wanted"),
        (4, "# cells: -3", "cells is '-3', and a number"),
        (4, "# cells: 3.0", "cells is '3.0', and a number"),
        (4, "# cells: 999999", "cells is '999999', and a number"),
        (4, "# cells: ٣", "cells is '٣', and a number"),
        (4, "# rows: 3", '"# rows: 3" is no header line'),
        (4, "# cells", '"# cells" is no header line'),
        (4, "# cells: 0", "cells is 0, and 1 to 99999 are possible"),
        (4, "# cells: 10", "cells is 10, and from 0 to 8 there are 9"),
        (3, "# patch: 13", "patch is 13, and images have 12 pixels a side"),
        (5, "# last: 9", "last is 9, and patches begin at 0 to 8"),
        (8, "# data: ", "data is '', and UTF-8 without tabs and line breaks is wanted"),
        (9, "# part: val", "part is 'val', and it is one of train, dev, test"),
        (10, "# fingerprint: 0x12", "fingerprint is '0x12', and digits 0 to 9 and a to f are wanted"),
        (12, "train/3 0,8 4,4", "a name, a tab and places ROW,COLUMN are wanted"),
        (12, "\t0,8 4,4", "the name '' is not kept"),
        (12, "train/3\t0,8", "has 1 places, and 2 are wanted"),
        (12, "train/3\t0,8 4,4 4,4", "has 3 places, and 2 are wanted"),
        (12, "train/3\t0,8  4,4", "'' is no place"),
        (12, "train/3\t0,8 4;4", "'4;4' is no place"),
        (12, "train/3\t0,8 -4,4", "'-4,4' is no place"),
        (12, "train/3\t0,8 4,4,4", "'4,4,4' is no place"),
        (12, "train/3\t0,8\t4,4", r"'0,8\\t4,4' is no place"),
        (12, "train/3\t0,8 4,9", "the patch at 4,9 is not within an image of 12 pixels a side"),
        (12, "train/3\t0,8 4,5", "4,5 is not on the grid of 3 places a side from 0 to 8"),
        (13, "train/3\t0,8 4,4", "train/3 has a sequence in line 12 already"),
        (13, "a\0\t0,8 4,4", "holds a NUL character"),
        (13, "a\rb\t0,8 4,4", r"the name 'a\\rb' is not kept"),
        (13, "", "empty line"),
        (13, "# size: 12", "a name, a tab and places ROW,COLUMN are wanted"),
    ],
)
def test_what_is_wrong_is_refused_by_file_and_line(
    tmp_path: Path, line: int, text: str | None, message: str
) -> None:
    lines = [*HEADER.lines, *LINES]
    lines[line - 1 : line] = [] if text is None else [text]
    path = tmp_path / "sequences.txt"
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    at = {None: {1: 1, 4: 10}}.get(text, {}).get(line, line)
    with pytest.raises(DataError, match=f"^{path}:{at}: {message}") as error:
        read(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": the file is empty"),
        (b"\xef\xbb\xbf", ": the file is empty"),
        (b"train/3\t0,8 4,4\n", ":1: not a file of glimpse sequences"),
        (b"# hardpp glimpse sequences: 1\n", ":1: the header ends here, and has no size and no patch"),
        ("\n".join(HEADER.lines).encode(), ":11: the last line has no line break"),
        ("\n".join([*HEADER.lines, *LINES]).encode(), ":13: the last line has no line break"),
        ("\n".join([*HEADER.lines, ""]).encode() + b"\xff\t0,8 4,4\n", ":12: not UTF-8"),
        (b"\x89PNG\r\n", ":1: not UTF-8"),
        (b"no sequences at all", ":1: not a file of glimpse sequences"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "sequences.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{path}{message}"):
        read(path)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read(tmp_path / "none.txt")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path)


def test_sequences_are_for_the_images_that_they_were_made_for(tmp_path: Path) -> None:
    part = held(5, side=12)
    header = replace(HEADER, fingerprint=part.fingerprint())
    path = write_lines(tmp_path / "sequences.txt", LINES[0], header=header)
    sequences = read(path)
    check_fits(sequences, part, "train", 12)
    for others, got, wanted in (
        ((part, "train", 13), "size 12", "13"),
        ((part, "dev", 12), "part train", "dev"),
        ((first_images(part, 4), "train", 12), f"fingerprint {header.fingerprint}", "[0-9a-f]{64}"),
    ):
        message = f"^{path}: was made for images of {got}, and these have {wanted}$"
        with pytest.raises(DataError, match=message):
            check_fits(sequences, *others)
    path = write_lines(path, LINES[0], "train/5\t0,0 0,0", header=header)
    with pytest.raises(DataError, match=f"^{path}:13: there is no image 'train/5' in train$"):
        check_fits(read(path), part, "train", 12)


def test_names_of_images() -> None:
    assert list(image_names(held(2), "dev")) == ["dev/0", "dev/1"]


@pytest.mark.parametrize("wrong", [{"size": 0}, {"size": 100_000}, {"data": "a\nb"}, {"data": "\ud800"}])
def test_a_header_that_could_not_be_read_again_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} is "):
        replace(HEADER, **wrong)
