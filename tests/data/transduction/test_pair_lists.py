import re

import pytest

from hardpp.data.parts import bucket
from hardpp.data.transduction.pair_lists import ListOfPairs
from hardpp.data.transduction.tokenization import tokenize_bitext, tokenizers
from hardpp.errors import DataError, UsageError

PART = {0: "test", 1: "dev"}


def read(path, **how):
    return ListOfPairs(**how).bitext(path)


def corpus_of(path, source_tokens="auto", target_tokens="auto"):
    bitext = read(path)
    return tokenize_bitext(bitext, *tokenizers(bitext, source_tokens, target_tokens, 1), pooled=True)


def words_of(part, count=1):
    """Made-up sources that the checksum puts into a part."""
    words = (f"w{number}" for number in range(10_000))
    return [word for word in words if PART.get(bucket(word), "train") == part][:count]


(TRAIN, TRAIN2), (DEV,), (TEST,) = words_of("train", 2), words_of("dev"), words_of("test")
GOOD = f"{TRAIN}\tx\n{DEV}\ty\n{TEST}\tz\n".encode()


@pytest.fixture
def write(tmp_path):
    def write(content, name="words.tsv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def folder(write, tmp_path):
    def folder(train="a\tx\n", dev="b\ty\n", test="c\tz\n"):
        for name, content in {"train": train, "dev": dev, "test": test}.items():
            write(content, f"mine.v2/{name}.tsv")
        return tmp_path / "mine.v2"

    return folder


def sources(pairs):
    return ["".join(pair.source) for pair in pairs]


def test_a_file_is_split_by_the_checksum_of_the_source(write):
    corpus = corpus_of(write("".join(f"w{number}\tx\n" for number in range(300))))
    for name in ("train", "dev", "test"):
        expected = [f"w{n}" for n in range(300) if PART.get(bucket(f"w{n}"), "train") == name]
        assert sources(getattr(corpus, name)) == expected
    assert corpus.name == "words"


def test_a_folder_brings_its_own_split(folder):
    corpus = corpus_of(folder())
    assert (sources(corpus.train), sources(corpus.dev), sources(corpus.test)) == (["a"], ["b"], ["c"])
    assert corpus.name == "mine.v2"


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.removesuffix(b"\n"),
        GOOD.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + GOOD,
        GOOD.replace(b"\t", b" \t "),
    ],
    ids=["plain", "no final newline", "crlf", "bom", "blanks around fields"],
)
def test_ways_of_writing_the_same_pairs(write, content):
    corpus = corpus_of(write(content, "other.txt"))
    assert corpus.train[0].source == tuple(TRAIN)
    assert corpus.train[0].target == ("x",)
    assert corpus.fingerprint() == corpus_of(write(GOOD)).fingerprint()


@pytest.mark.parametrize("character", ["\u2028", "\x85", "\x0b", "\x0c", "\x1c", "\r", "\u00a0", "\u3000"])
def test_only_a_newline_ends_a_line(folder, character):
    corpus = corpus_of(folder(train=f"a{character}b\tx\n"))
    assert corpus.train[0].source == ("a", character, "b")


def test_white_space_is_dropped_around_a_field(folder):
    corpus = corpus_of(folder(train=" \u00a0a \t \x85x\u2028 \n"))
    assert corpus.train[0].source == ("a",)
    assert corpus.train[0].target == ("x",)


@pytest.mark.parametrize(
    ("how", "expected", "separator"),
    [("auto", ("ab", "c"), " "), ("words", ("ab", "c"), " "), ("characters", tuple("ab  c"), "")],
)
def test_a_side_with_blanks_in_most_lines_is_words_unless_told_otherwise(folder, how, expected, separator):
    corpus = corpus_of(folder(train="ab  c\txy\nc b\tx\na b\tx\n"), source_tokens=how)
    assert corpus.train[0].source == expected
    assert corpus.source.detokenize(["", ""]) == separator
    assert corpus.train[0].target == ("x", "y")
    assert corpus.target.kind == "characters"


def test_a_blank_in_few_lines_is_a_character(folder):
    corpus = corpus_of(folder(train="ab\txy\nde\tyx\n", test="c a\tz  w\n"))
    assert corpus.train[0].target == ("x", "y")
    assert corpus.test[0].source == ("c", " ", "a")
    assert corpus.test[0].target == ("z", " ", " ", "w")
    assert corpus.target.detokenize(corpus.test[0].target) == "z  w"


@pytest.mark.parametrize("blank", ["\u00a0", "\u2009", "\u3000", "\u202f"])
def test_all_white_space_counts_as_a_blank(folder, blank):
    corpus = corpus_of(folder(train=f"ab\tK{blank}AH\nb\tB{blank}AH\n", dev="a\tAH\n", test="k\tK\n"))
    assert corpus.train[0].target == ("K", "AH")
    assert corpus.dev[0].target == ("AH",)


def test_words_can_be_forced_on_a_side_without_blanks(folder):
    corpus = corpus_of(folder(train="ab\txy\n"), target_tokens="words")
    assert corpus.train[0].target == ("xy",)
    assert corpus.target.kind == "words"


def test_doubled_blanks_do_not_put_one_source_into_two_parts(write):
    text = "".join(f"a {n}\tx\na  {n}\ty\n" for n in range(100))
    corpus = corpus_of(write(text))
    train, dev, test = ({pair.source for pair in part} for part in corpus[1:4])
    assert not train & dev
    assert not train & test
    assert not dev & test


def test_train_keeps_every_line_and_scoring_keeps_every_distinct_source(folder):
    lines = "a\tx\nb\ty\na\tz\na\tx\n"
    corpus = corpus_of(folder(train=lines, dev=lines, test="a\tonly\n"))
    assert [(pair.source[0], pair.target[0]) for pair in corpus.train] == [
        ("a", "x"),
        ("b", "y"),
        ("a", "z"),
        ("a", "x"),
    ]
    assert {pair.references for pair in corpus.train if pair.source == ("a",)} == {(("x",), ("z",))}
    assert [(pair.target, pair.references) for pair in corpus.dev] == [
        (("x",), (("x",), ("z",))),
        (("y",), (("y",),)),
    ]
    assert corpus.test[0].references == (tuple("only"),)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\ty", "empty source"),
        (b"a\t", "empty target"),
        (b"a\t\r", "empty target"),
        (b" \ty", "source holds only blanks"),
        (b"a\t \xe3\x80\x80 ", "target holds only blanks"),
        (b"", "empty line"),
        (b"\r", "empty line"),
        (b"a b", r"missing target column (no TAB in the line)"),
        (b"a\tb\tc", "3 columns found where 2 are wanted"),
        (b"a\tb\t", "3 columns found where 2 are wanted"),
        (b"a\tb\xffc", "not UTF-8 (byte 0xff at byte 4)"),
        (b"\xe4\tb", "not UTF-8 (byte 0xe4 at byte 1)"),
        (b"a\tb\0", "holds a NUL character"),
    ],
    ids=str,
)
@pytest.mark.parametrize("place", [0, 2, 3])
def test_a_bad_line_is_named(write, line, reason, place):
    lines = GOOD.splitlines()
    path = write(b"\n".join([*lines[:place], line, *lines[place:]]) + b"\n")
    with pytest.raises(DataError) as caught:
        corpus_of(path)
    assert str(caught.value) == f"{path}:{place + 1}: {reason}"


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ([3], "3: empty target"),
        ([3, 7], "3: empty target (and 1 more bad line: 7)"),
        ([3, 7, 9], "3: empty target (and 2 more bad lines: 7, 9)"),
        ([1, 2, 3, 4, 5], "1: empty target (and 4 more bad lines: 2, 3, 4, 5)"),
        (list(range(1, 9)), "1: empty target (and 7 more bad lines: 2, 3, 4, 5, ...)"),
    ],
)
def test_several_bad_lines_are_counted_in_one_message(write, bad, expected):
    path = write("".join("a\t\n" if number in bad else "a\tx\n" for number in range(1, 12)))
    with pytest.raises(DataError) as caught:
        corpus_of(path)
    assert str(caught.value) == f"{path}:{expected}"


def test_bad_lines_are_left_out_on_request_and_told(folder):
    path = folder(train="a\tx\nb\n\nc\tz\n")
    told = []
    bitext = read(path, on_bad="skip", report=told.append)
    assert bitext.train == [("a", "x"), ("c", "z")]
    _, sentence = told
    assert sentence.startswith(f"left out: {path / 'train.tsv'}:2: missing target column")
    assert sentence.endswith("(and 1 more bad line: 3)")


def test_a_bad_line_of_a_single_file_is_left_out_too(write):
    told = []
    path = write(GOOD + b"\ty\n")
    good = read(write(GOOD, "good/words.tsv"))
    assert read(path, on_bad="skip", report=told.append)[:4] == good[:4]
    assert told == [
        f"{path}: read as pairs, source TAB target",
        f"left out: {path}:4: empty source",
    ]


def test_pairs_know_their_lines(folder):
    path = folder(train="a\tx\n\nb\ty\n")
    places = read(path, on_bad="skip").places
    assert places["train"] == [((path / "train.tsv", number),) * 2 for number in (1, 3)]


def test_a_file_of_bad_lines_only_is_refused(write):
    with pytest.raises(DataError, match=r"words\.tsv: no line is left$"):
        read(write("a\nb\n"), on_bad="skip")


def test_a_bad_line_in_a_folder_names_the_file_in_it(folder):
    path = folder(dev="b\ty\nb\n")
    with pytest.raises(DataError, match=f"^{re.escape(str(path / 'dev.tsv'))}:2: missing target column"):
        corpus_of(path)


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"], ids=["no bytes", "only a bom"])
def test_an_empty_file_is_refused(write, content):
    with pytest.raises(DataError, match=r"words\.tsv: the file is empty"):
        corpus_of(write(content))


def test_an_empty_part_of_a_folder_is_refused(folder):
    with pytest.raises(DataError, match=r"test\.tsv: the file is empty"):
        corpus_of(folder(test=""))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"none\.tsv: there is no such file or folder"):
        corpus_of(tmp_path / "none.tsv")


def test_a_folder_that_lacks_parts_is_refused(folder):
    path = folder()
    (path / "dev.tsv").unlink()
    (path / "test.tsv").unlink()
    with pytest.raises(DataError, match=r"mine\.v2: the folder lacks dev\.tsv, test\.tsv"):
        corpus_of(path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([TRAIN, TRAIN2, DEV], "the test part is empty after splitting 3 lines"),
        ([TRAIN, TEST], "the dev part is empty after splitting 2 lines"),
        ([DEV, TEST], "the train part is empty after splitting 2 lines"),
        ([TRAIN], "the dev and test parts are empty after splitting 1 line by"),
    ],
)
def test_an_empty_part_after_splitting_is_refused_with_a_way_out(write, words, message):
    with pytest.raises(DataError, match=message) as caught:
        corpus_of(write("".join(f"{word}\tx\n" for word in words)))
    assert "train.tsv, dev.tsv and test.tsv" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "pairs"),
    [
        ("a\tx\rb\ty\rc\tz\r", [("a", "x"), ("b", "y"), ("c", "z")]),
        ("a\tx\n\ufeffb\ty\n\u200fc\u200e\tz\u200b\n", [("a", "x"), ("b", "y"), ("c", "z")]),
        ("sep=;\r\nWord;IPA\r\na;x x\r\nb;y\r\n", [("a", "x x"), ("b", "y")]),
        (
            "A  [A]  ax sp\nBE  [BE]  b iy sp\nC  s iy sp\n",
            [("A", "ax sp"), ("BE", "b iy sp"), ("C", "s iy sp")],
        ),
    ],
)
def test_files_of_old_macs_of_excel_of_htk_and_with_unseen_marks(write, content, pairs):
    assert [line.pair for line in ListOfPairs().lines(write(content))] == pairs


def test_columns_go_for_bars_too(write):
    path = write("0 ||| das haus ||| the house\n1 ||| ein hund ||| a dog\n")
    with pytest.raises(DataError, match=r"lines have 3 columns \(0, das haus, the house\)") as error:
        ListOfPairs().lines(path)
    assert "data.columns=2,3" in error.value.hint
    assert [line.pair.target for line in ListOfPairs(columns="2,3").lines(path)] == ["the house", "a dog"]


def test_a_run_may_be_asked_about_a_table_with_other_columns(write):
    path = write("a\tx\nb\ty\n")
    with pytest.raises(UsageError, match="the table has 2 columns"):
        ListOfPairs(columns="2,3").lines(path)
    assert [line.pair.target for line in ListOfPairs(columns="2,3", asked=True).lines(path)] == ["x", "y"]
    three = write("1\ta\tx\n2\tb\ty\n")
    assert [line.pair.source for line in ListOfPairs(columns="2,3", asked=True).lines(three)] == ["a", "b"]
    with pytest.raises(DataError) as error:
        ListOfPairs(asked=True).lines(three)
    assert "data.columns" not in error.value.hint  # no verb but train has it
