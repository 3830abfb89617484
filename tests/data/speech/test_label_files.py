"""Labels with times: what a file is, is told by what is in it."""

from pathlib import Path

import pytest

from hardpp.data.speech.label_files import label_text, read_labels
from hardpp.data.speech.textgrid_tiers import choose_tier, read_tiers
from hardpp.data.speech.utterances import Segment
from hardpp.errors import DataError
from hardpp.tasks.formats.textgrid import textgrid

SECOND = 16_000
AB = [Segment(0.0, 0.25, "a"), Segment(0.25, 1.0, "b")]


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("x.phn", "0 4000 a\n4000 16000 b\n", "samples at 16,000 Hz"),
        ("x.lab", "0 4000 a\r\n4000 16000 b\r\n", "samples at 16,000 Hz"),
        ("x.lab", "0 2500000 a\n2500000 10000000 b -31.5\n", "100 ns"),
        ("x.lab", "0 250 a\n250 1000 b\n", "milliseconds"),
        ("x.lab", "0.0 0.25 a\n0.25 1.0 b\n", "seconds"),
        ("x.txt", "0.000000\t0.250000\ta\n0.250000\t1.000000\tb\n", "seconds"),
        ("x.txt", "0\t0.25\ta\n\\\t100.0\t200.0\n0.25\t1\tb\n", "seconds"),
        ("x.lab", "signal x\nnfields 1\n#\n\t0.25 125 a\n\t1.0 125 b\n", "xlabel"),
    ],
)
def test_the_unit_is_the_one_with_which_labels_end_where_the_sound_does(
    tmp_path: Path, name: str, text: str, kind: str
) -> None:
    (tmp_path / name).write_bytes(text.encode())
    found = read_labels(tmp_path / name, 1.0, SECOND)
    assert kind in found.kind
    assert list(found.segments) == AB


def test_samples_are_those_of_the_sound_or_of_timit(tmp_path: Path) -> None:
    path = tmp_path / "x.phn"
    path.write_text("0 11025 a\n11025 44100 b\n")
    assert list(read_labels(path, 1.0, 44_100).segments) == AB
    path.write_text("0 4000 a\n4000 16000 b\n")
    assert list(read_labels(path, 1.0, 44_100).segments) == AB
    path.write_text("0 4000 a\n4000 17000 b\n")  # a little too long, and not 100 ns of nearly nothing
    assert read_labels(path, 1.0, SECOND).segments[-1].end == pytest.approx(1.0625)


@pytest.mark.parametrize("name", ["x.txt", "x.lab"])
def test_text_is_no_times(tmp_path: Path, name: str) -> None:
    for text in ("HELLO THERE\n", "1 2 3 4\n", "one 2 3\n"):
        (tmp_path / name).write_text(text)
        found = read_labels(tmp_path / name, 1.0, SECOND)
        assert (found.kind, found.text, found.segments) == ("text", text.strip(), ())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0 4000 a\nx 16000 b\n", "x.lab:2: expected START END LABEL, got 'x 16000 b'"),
        ("0 4000 a\n4000 16000\n", "x.lab:2: expected START END LABEL"),
        ("4000 16000 a\n0 4000 b\n", "x.lab:2: the times of the labels run backwards"),
        ("0 9000 a\n4000 16000 b\n", "times run backwards at 'b'"),
        ("0 4000 a\n4000 80000 b\n", "in no unit near the 1.000 s of the sound"),
        ("#\n0.5 1 a\n0.2 1 b\n", "x.lab:3: the times of the labels run backwards"),
        ("#\n0.5\n", "x.lab:2: expected END COLOUR LABEL"),
        ("\n", "holds no labels"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "x.lab"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        read_labels(path, 1.0, SECOND)
    assert why in str(error.value)
    assert str(error.value).startswith(str(path))


SHORT = (
    'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n1\n<exists>\n2\n"IntervalTier"\n"wörds"\n0\n'
    '1\n3\n0\n0.2\n""\n0.2\n0.6\n"say ""a"""\n0.6\n1\n"b"\n"TextTier"\n"pts"\n0\n1\n2\n0.5\n"x"\n0.7\n"y"\n'
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_textgrids_in_the_short_form_and_any_encoding(tmp_path: Path, encoding: str, end: str) -> None:
    path = tmp_path / "x.TextGrid"
    path.write_bytes(SHORT.replace("\n", end).encode(encoding))
    words, points = read_labels(path, 1.0, SECOND).tiers
    assert (words.name, words.points, points.points) == ("wörds", False, True)
    assert words.segments == (Segment(0.2, 0.6, 'say "a"'), Segment(0.6, 1.0, "b"))
    assert points.segments == (Segment(0.0, 0.5, "x"), Segment(0.5, 0.7, "y"))


def test_textgrids_of_our_own_come_back(tmp_path: Path) -> None:
    gap = [Segment(0.1, 0.25, 'a "b"'), Segment(0.5, 1.0, "c")]
    text = textgrid(1.25, [("tokens", gap), ("2nd", AB)], [("low", [(0.1, "a"), (0.5, "c")])])
    path = tmp_path / "x.TextGrid"
    path.write_text(text)
    tiers = read_labels(path, 1.25, SECOND).tiers
    assert [tier.name for tier in tiers] == ["tokens", "2nd", "low"]
    assert [list(tier.segments) for tier in tiers[:2]] == [gap, AB]


def test_damaged_textgrids_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "x.TextGrid"
    path.write_text(SHORT.replace("0.2\n0.6", "0.2\nsix"))
    with pytest.raises(DataError, match=r"x\.TextGrid:18: damaged TextGrid: a number is wanted where there"):
        read_labels(path, 1.0, SECOND)
    path.write_text(SHORT[: SHORT.index('"TextTier"')])
    with pytest.raises(DataError, match="damaged TextGrid: a text is wanted where it ends"):
        read_labels(path, 1.0, SECOND)


def test_the_tier_with_the_most_labels_is_taken_or_the_one_asked_for(tmp_path: Path) -> None:
    tiers = [read_tiers(SHORT, tmp_path)]
    assert choose_tier(tiers, "", tmp_path) == "wörds"  # points only where there are no intervals
    assert choose_tier(tiers, "pts", tmp_path) == "pts"
    with pytest.raises(DataError, match="there is no tier 'phones'") as error:
        choose_tier(tiers, "phones", tmp_path)
    assert error.value.hint == "data.tier: wörds, pts"


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.lab"
    path.write_bytes(b"\xe9t\xe9")
    with pytest.raises(DataError, match=r"x\.lab: not UTF-8 \(byte 1\)"):
        label_text(path)


def test_prompts_of_timit_have_samples_before_them(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("0 16000 She had your dark suit.\n")
    assert read_labels(path, 1.0, 16_000).text == "She had your dark suit."
    assert read_labels(path, 5.0, 16_000).text == "0 16000 She had your dark suit."
    path.write_text("0 16000 20\n")
    assert read_labels(path, 1.0, 16_000).text == "0 16000 20"


def test_labels_with_line_ends_of_old_macs(tmp_path: Path) -> None:
    path = tmp_path / "a.lab"
    path.write_bytes(b"0.0 0.5 a\r0.5 1.0 b\r")
    assert [segment.label for segment in read_labels(path, 1.0, 16_000).segments] == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ooBinaryFile\x08TextGrid\0\0", "a binary file of Praat"),
        (b"one two thr\0e", "no text, as it holds NUL"),
    ],
)
def test_what_is_no_text_is_no_label(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.TextGrid: {message}"):
        read_labels(path, 1.0, 16_000)


@pytest.mark.parametrize("number", ["1e400", "-1e400"])
@pytest.mark.parametrize("place", range(5))
def test_numbers_of_a_textgrid_beyond_all_bounds_are_told_with_the_line(place: int, number: str) -> None:
    parts = ["0", "1", "1", "0", "1"]
    parts[place] = number
    head = f'"ooTextFile"\n"TextGrid"\n{parts[0]} {parts[1]} <exists>\n{parts[2]}\n'
    with pytest.raises(DataError, match=r"a\.TextGrid:\d: damaged TextGrid: a number is too large"):
        read_tiers(f'{head}"IntervalTier"\n"phones"\n{parts[3]} {parts[4]}\n0\n', Path("a.TextGrid"))
