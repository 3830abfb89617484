import gzip
import re

import pytest

from hardpp.data.transduction.pair_lists import ListOfPairs
from hardpp.errors import DataError, UsageError

FEATURES = ["V;PST", "V;PRS;NOM(3,SG)", "N;PL"]


@pytest.fixture
def write(tmp_path):
    def write(content, name="mine.dict"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def read(path, **how):
    told = []
    lines = ListOfPairs(**how, report=told.append).lines(path)
    return [tuple(line.pair) for line in lines], told


CMUDICT = (
    ";;; # CMUdict -- 0.7b\n;;;\naalen  AE1 L AH0 N # place, german\naalen(2)  AA1 L AH0 N\nabbe  AE1 B IY0\n"
)
CMUDICT += "#hash-mark  HH AE1 SH\n"


@pytest.mark.parametrize("separator", ["  ", " ", "\t"])
def test_cmudict_as_it_is_published(write, separator):
    path = write(CMUDICT.replace("  ", separator))
    pairs, told = read(path)
    assert pairs == [
        ("aalen", "AE1 L AH0 N"),
        ("aalen", "AA1 L AH0 N"),
        ("abbe", "AE1 B IY0"),
        ("#hash-mark", "HH AE1 SH"),
    ]
    assert f"{path}:1 and 1 more: a heading, comment or blank line, which is no pair" in told
    assert f"{path}:3: a comment, from # on, is no part of the phones" in told
    assert any("'aalen(2)' is taken for further lines of the word before the number" in text for text in told)


def test_nothing_is_taken_for_anything_where_that_is_said(write):
    path = write("word\tphones\naalen\tAE1 # L\naalen(2)\tAA1\n")
    pairs, told = read(path, format="tsv")
    assert pairs == [("word", "phones"), ("aalen", "AE1 # L"), ("aalen(2)", "AA1")]
    assert told == []


def test_numbers_in_brackets_are_kept_where_no_word_is_without_one(write):
    pairs, told = read(write("f(2)\tx y\ng(3)\ty x\nh\tx x\n"))
    assert [source for source, _ in pairs] == ["f(2)", "g(3)", "h"]
    assert not any("before the number" in text for text in told)


def test_variants_are_of_words_in_any_part(write):
    for part, text in {"train": "ab\tA B\ncd\tC D\n", "dev": "ab(2)\tB A\n", "test": "e\tE E\n"}.items():
        folder = write(text, f"d/{part}.tsv").parent
    assert ListOfPairs().bitext(folder).dev == [("ab", "B A")]


@pytest.mark.parametrize(
    ("content", "pairs"),
    [
        ('word,phones\n"a, b","X Y"\n"say ""hi""",Z Z\n', [("a, b", "X Y"), ('say "hi"', "Z Z")]),
        ("ab;X Y\ncd;Z Z\n", [("ab", "X Y"), ("cd", "Z Z")]),
        ("ab,X Y\n\ncd,Z Z\n", [("ab", "X Y"), ("cd", "Z Z")]),
        ('"ab"\t"X Y"\n"cd"\t"Z Z"\n', [("ab", "X Y"), ("cd", "Z Z")]),
        ("ab\t0.9\tX Y\ncd\t0.25\tZ Z\n", [("ab", "X Y"), ("cd", "Z Z")]),
        ("ab 0.9 X Y\ncd 0.25 Z Z\n", [("ab", "X Y"), ("cd", "Z Z")]),
        ("das ab ||| the AB\n das cd |||the CD\n", [("das ab", "the AB"), ("das cd", "the CD")]),
        ("a\tV;PST\tax\nb\tN;PL\tby\n", [("a\tV;PST", "ax"), ("b\tN;PL", "by")]),
        ("a\tax\tV;PST\nb\tby\tN;PL\n", [("a\tV;PST", "ax"), ("b\tN;PL", "by")]),
        ("lemma,form,tags\na,ax,V;PST\nb,by,N;PL\n", [("a\tV;PST", "ax"), ("b\tN;PL", "by")]),
        (gzip.compress(b"ab\tX\ncd\tY\n", mtime=0), [("ab", "X"), ("cd", "Y")]),
        ("ab\tX\ncd\tY\n".encode("utf-16"), [("ab", "X"), ("cd", "Y")]),
        ("ab\tX\r\ncd\tY\r\n".encode("utf-16"), [("ab", "X"), ("cd", "Y")]),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["mine.dict", "mine.csv", "mine", "mine.tsv"])
def test_lists_of_every_kind_under_any_name(write, content, pairs, name):
    found, told = read(write(content, name))
    assert found == pairs
    assert sum("read as" in text for text in told) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\nc,d\ne\nf,g\n" + "h,i\n" * 9, "3: 1 columns found where 2 are wanted"),
        ("a ||| b\nc ||| d\ne\n", "3: no ||| in the line"),
        ("a ||| b\nc ||| d ||| e\n", "2: 3 columns found where 2 are wanted"),
        ("a 0.5 X\nb 0.5 Y\nc Z\n", "3: no 1 number and phones after the word"),
        (
            "ab X Y\ncd Y X\nx\n" * 4 + "ab X\n" * 30,
            "3: a word without phones (and 3 more bad lines: 6, 9, 12)",
        ),
        ("a\tV;PST\tax\nb\tN;PL\tby\nc\tN;SG\t\n", "3: empty form"),
        ("a\tV;PST\tax\nb\tN;PL\tby\nc\tcx\n", "3: 2 columns found where 3 are wanted"),
        ('"a","b"\n"c\n","d"\n' * 3, "2: a line break or NUL within a field (and 2 more bad lines: 5, 8)"),
        (b'"a","b"\n"c","\xff"\n', "2: not UTF-8"),
    ],
)
def test_bad_lines_of_every_kind_are_named(write, content, message):
    path = write(content)
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}:{message}')}") as caught:
        read(path)
    assert "data.columns=1,3" in caught.value.hint


def test_quotes_that_are_never_closed_name_the_row(write):
    path = write("a,b\n" * 20 + '"c,d\n' + "e,f\n" * 3)
    with pytest.raises(DataError, match=r"mine\.dict:21: not CSV") as caught:
        read(path)
    assert "doubled" in caught.value.hint


def test_columns_can_be_chosen(write):
    path = write("1\ten\tab\tX Y\n2\ten\tcd\tZ Z\n")
    assert read(path, columns="3,4")[0] == [("ab", "X Y"), ("cd", "Z Z")]
    with pytest.raises(UsageError, match=r"data\.columns=3,5: the table has 4 columns"):
        read(path, columns="3,5")


@pytest.mark.parametrize("content", [b"\x1f\x8bnot", b"\xff\xfea"])
def test_files_that_are_not_what_they_begin_as_are_refused(write, content):
    with pytest.raises(DataError, match=r"mine\.dict: (cannot be unpacked|not UTF-16)"):
        read(write(content))


def test_columns_that_say_nothing_are_asked_about(write):
    path = write("id\tword\tlaut\n1\ta\tb\n2\tc\td\n")
    with pytest.raises(
        DataError, match=rf"^{re.escape(str(path))}: lines have 3 columns \(id, word, laut\)"
    ) as caught:
        read(path)
    assert "data.columns=1,3" in caught.value.hint
    assert read(path, columns="word,laut")[0] == [("a", "b"), ("c", "d")]


def test_unimorph_has_blank_lines_between_lemmas(write):
    assert read(write("a\tax\tN;PL\na\ta\tN;SG\n\nb\tbx\tN;PL\n"))[0][2] == ("b\tN;PL", "bx")


def test_a_file_of_comments_is_refused(write):
    with pytest.raises(DataError, match=r"mine\.dict: no line is left"):
        read(write(";;; a\n;;; b\n"))
