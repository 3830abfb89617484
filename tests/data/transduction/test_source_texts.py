import pytest

from hardpp.data.transduction.source_texts import Reading, read_sources
from hardpp.errors import DataError


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "own.txt"
        path.write_text(content, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    ("content", "texts", "said"),
    [
        ("ab\n\n c d \n", ["ab", "", "c d"], None),
        ("ab\tX Y\ncd\tZ\n", ["ab", "cd"], "lines have 2 columns, of which the first is read"),
        ("ab\tX Y\n\ncd\n", ["ab", "", "cd"], "lines have 2 columns"),
        ("das ab ||| the AB\n", ["das ab"], "lines have 2 columns"),
        ("ab\t0.5\tX\n", ["ab"], "lines have 3 columns"),
        ("word\tphones\nab\tX\n", ["", "ab"], "the heading is answered by a blank line"),
        ("a\nb\nc\td\n", ["a", "b", "c\td"], None),  # one line of three: its TAB is named as unknown
        ("\u3000\n\u00a0ab\u00a0\n", ["", "ab"], None),
    ],
)
def test_sources_of_a_file(write, content, texts, said):
    told = []
    assert read_sources(write(content), told.append) == texts
    assert bool(told) == bool(said)
    assert said is None or any(said in text for text in told)


def test_commas_part_columns_only_where_they_are_in_no_text(write):
    path, told = write('word,phones\n"ab",X Y\ncd,Z\n'), []
    assert read_sources(path, told.append, reading=Reading(separators=",;")) == ["", "ab", "cd"]
    assert len(told) == 2
    assert read_sources(path) == ["word,phones", '"ab",X Y', "cd,Z"]
    assert read_sources(write("ab\ncd\ne,f\n"), reading=Reading(separators=",;")) == ["ab", "cd", "e,f"]


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("ab\tV;PST\n\n", ["ab\tV;PST", ""]),
        ("ab\tV;PST\tabx\n", ["ab\tV;PST"]),
        ("ab\tabx\tV;PST\ncd\tcdx\tN;PL\n", ["ab\tV;PST", "cd\tN;PL"]),
    ],
)
def test_sources_of_inflections_are_lemma_and_features(write, content, texts):
    assert read_sources(write(content), reading=Reading(inflected=True)) == texts


@pytest.mark.parametrize(
    ("content", "inflected", "message"),
    [
        ("ab\ncd\n", True, r"own\.txt:1: a lemma without features \(no TAB in the line\) \(and 1 more"),
        ("ab\t\n", True, r"own\.txt:1: empty source"),
        ("ab\tX\n\tX\n", False, r"own\.txt:2: empty source"),
    ],
)
def test_lines_without_a_source_are_named(write, content, inflected, message):
    with pytest.raises(DataError, match=message):
        read_sources(write(content), reading=Reading(inflected=inflected))


THREE = "1\tab\tX Y\n2\tcd\tZ\n"
HEADED = "id,word,ipa\n1,ab,X Y\n2,cd,Z\n"


@pytest.mark.parametrize(
    ("content", "reading", "texts"),
    [
        ("ab\tX Y\ncd\tZ\n", Reading(reverse=True), ["X Y", "Z"]),
        ("X Y\nZ\n", Reading(reverse=True), ["X Y", "Z"]),
        (THREE, Reading(columns="2,3"), ["ab", "cd"]),
        (THREE, Reading(columns="2,3", reverse=True), ["X Y", "Z"]),
        ("ab\tX Y\n", Reading(columns="2,3"), ["ab"]),
        (HEADED, Reading(separators=","), ["", "ab", "cd"]),
        (HEADED, Reading(separators=",", reverse=True), ["", "X Y", "Z"]),
        ("nr,wort,laut\n1,ab,X\n", Reading(separators=",", columns="wort,laut"), ["", "ab"]),
        ("sep=;\nword;ipa\nab;X Y\n", Reading(separators=";"), ["", "", "ab"]),
        (";;; c\nAB  EY B IY\nAB(2)  AE B\n", Reading(of_words=True), ["", "AB", "AB"]),
        ("ab cd\nef\n", Reading(of_words=True), ["ab cd", "ef"]),
        ("\ufeffab\n\u200fcd\u200e\n\u200b\n", Reading(), ["ab", "cd", ""]),
        ("ab\rcd\r", Reading(), ["ab", "cd"]),
    ],
)
def test_the_side_that_a_run_reads_is_read(write, content, reading, texts):
    assert read_sources(write(content), reading=reading) == texts


def test_lines_that_cannot_be_used_are_left_out_where_that_is_asked_for(tmp_path):
    path, told = tmp_path / "own.txt", []
    path.write_bytes(b"ab\n\xe9\ncd\n")
    with pytest.raises(DataError, match=r"own\.txt:2: not UTF-8"):
        read_sources(path)
    assert read_sources(path, told.append, Reading(on_bad="skip")) == ["ab", "", "cd"]
    assert told == [f"left out: {path}:2: not UTF-8 (byte 0xe9 at byte 1)"]
