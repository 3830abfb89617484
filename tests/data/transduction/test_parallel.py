import gzip
from pathlib import Path

import pytest

from hardpp.data.parts import PARTS, bucket
from hardpp.data.transduction import parallel
from hardpp.data.transduction.own_files import layout
from hardpp.errors import DataError, UsageError

PART = {0: "test", 1: "dev"}
# The oddities of a prepared IWSLT14: marks of subwords, escapes, a line separator, an empty line.
DE = ["das ist ein te@@ st .", "eine zeile mit \u2028 trenn@@ zeichen", "&apos;s war gut , 50 @-@ 50 .", ""]
EN = ["this is a te@@ st .", "a line with \u2028 sep@@ arator", "it was good , 50 @-@ 50 .", "orphan line"]


def joined(lines):
    return "".join(f"{line}\n" for line in lines)


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def prepared(write):
    """A folder as fairseq prepares it; parts and sides can be given other lines."""

    def prepared(folder="iwslt14.tokenized.de-en", dev="valid", **files):
        for part in ("train", dev, "test"):
            for language, lines in (("de", DE[:3]), ("en", EN[:3])):
                write(f"{folder}/{part}.{language}", files.get(f"{part}_{language}", joined(lines)))
        return write(f"{folder}/code", "#version: 0.2\nt e\ns t</w>\n").parent

    return prepared


def test_a_prepared_folder_is_read_as_it_is(prepared):
    bitext = parallel.bitext(prepared())
    assert bitext.name == "iwslt14.tokenized.de-en"
    assert bitext.train == bitext.dev == bitext.test == list(zip(DE[:3], EN[:3], strict=True))


@pytest.mark.parametrize("dev", ["dev", "val", "valid"])
def test_the_dev_part_has_three_names(prepared, dev):
    bitext = parallel.bitext(prepared(dev=dev, **{f"{dev}_de": "eins\n", f"{dev}_en": "one\n"}))
    assert bitext.dev == [("eins", "one")]


def test_names_may_tell_the_pair_of_languages(write):
    for part in ("train", "valid", "test"):
        write(f"d/{part}.de-en.de", f"{part} deutsch\n")
        path = write(f"d/{part}.de-en.en", f"{part} english\n")
    assert parallel.bitext(path.parent).test == [("test deutsch", "test english")]


def test_other_files_in_the_folder_are_passed_over(prepared, write):
    folder = prepared()
    for name in ("train.old.de", "train.tsv", "train.de.gz", "train", "trainer.de", "train.de-en.de.bak"):
        write(f"iwslt14.tokenized.de-en/{name}", "not to be read\n")
    assert parallel.bitext(folder).train == list(zip(DE[:3], EN[:3], strict=True))


def test_the_direction_can_be_turned(prepared):
    assert parallel.bitext(prepared(), source="en").train[0] == (EN[0], DE[0])


def test_languages_may_have_any_name_when_it_is_said(write):
    for part in ("train", "dev", "test"):
        write(f"d/{part}.question", "q\n")
        path = write(f"d/{part}.sparql", "s\n")
    assert parallel.bitext(path.parent, source="question", target="sparql").train == [("q", "s")]


def test_unclear_languages_are_a_usage_error(prepared, write):
    folder = prepared()
    write("iwslt14.tokenized.de-en/train.fr", "un\n")
    with pytest.raises(UsageError, match="which is translated into 'en'"):
        parallel.bitext(folder)
    assert parallel.bitext(folder, source="de").train[0] == (DE[0], EN[0])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.removesuffix("\n"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", " \n").replace("das", "\tdas"),
    ],
    ids=["no final newline", "crlf", "bom", "blanks around a line"],
)
def test_ways_of_writing_the_same_text(prepared, change):
    folder = prepared(train_de=change(joined(DE[:3])))
    assert parallel.bitext(folder).train == list(zip(DE[:3], EN[:3], strict=True))


@pytest.mark.parametrize("character", ["\u2028", "\x85", "\x0b", "\x0c", "\x1c", "\r", "\u00a0"])
def test_nothing_but_a_newline_ends_a_line(prepared, character):
    folder = prepared(train_de=f"a{character}b\n{character}c\n", train_en="x\ny\n")
    assert parallel.bitext(folder).train == [(f"a{character}b", "x"), (f"{character}c", "y")]


@pytest.mark.parametrize("side", ["de", "en"])
@pytest.mark.parametrize("on_bad", ["stop", "skip"])
def test_unequal_numbers_of_lines_are_always_refused(prepared, side, on_bad):
    folder = prepared(**{f"test_{side}": "eins\n"})
    numbers = (1, 3) if side == "de" else (3, 1)
    with pytest.raises(DataError) as caught:
        parallel.bitext(folder, on_bad=on_bad)
    assert str(caught.value) == (
        f"{folder}/test.de has {numbers[0]} lines of text but {folder}/test.en has {numbers[1]}"
    )


def test_an_empty_last_line_is_a_text_that_lacks_its_translation(prepared):
    folder = prepared(train_de=joined(DE), train_en=joined(EN))
    with pytest.raises(DataError) as caught:
        parallel.bitext(folder)
    assert str(caught.value) == f"{folder}/train.de:4: empty line"
    assert "--on-bad skip" in caught.value.hint
    told = []
    assert len(parallel.bitext(folder, on_bad="skip", report=told.append).train) == 3
    assert told == [f"{folder}: from de to en", f"left out: {folder}/train.de:4: empty line"]


def test_an_empty_last_line_that_is_cut_off_makes_the_files_unequal(prepared):
    folder = prepared(train_de=joined(DE).rstrip("\n"), train_en=joined(EN))
    with pytest.raises(DataError, match=r"train\.de has 3 lines of text but .*train\.en has 4"):
        parallel.bitext(folder)


BAD = [
    (b"", "empty line"),
    (b" \t", "holds only blanks"),
    ("\u3000".encode(), "holds only blanks"),
    (b"a\0b", "holds a NUL character"),
    (b"ab\xffc", "not UTF-8 (byte 0xff at byte 3)"),
]


@pytest.mark.parametrize(("line", "reason"), BAD, ids=[reason for _, reason in BAD])
@pytest.mark.parametrize("side", ["de", "en"])
def test_a_bad_line_is_named_or_left_out(prepared, line, reason, side):
    folder = prepared(train_de="a\nb\nc\n", train_en="x\ny\nz\n", **{})
    path = folder / f"train.{side}"
    path.write_bytes(path.read_bytes().replace(b"b" if side == "de" else b"y", line))
    with pytest.raises(DataError) as caught:
        parallel.bitext(folder)
    assert str(caught.value) == f"{path}:2: {reason}"
    told = []
    assert parallel.bitext(folder, on_bad="skip", report=told.append).train == [("a", "x"), ("c", "z")]
    assert told == [f"{folder}: from de to en", f"left out: {path}:2: {reason}"]


def test_bad_lines_of_both_files_are_counted_together(prepared):
    folder = prepared(train_de="a\n\n\nd\ne\n", train_en="x\ny\n\n\nv\n")
    with pytest.raises(DataError, match=r"train\.de:2: empty line \(and 2 more bad lines: 3, train\.en:4\)$"):
        parallel.bitext(folder)
    assert parallel.bitext(folder, on_bad="skip").train == [("a", "x"), ("e", "v")]


def test_pairs_know_their_lines_in_both_files(prepared, pair):
    folder = prepared(train_de="a\n\nc\n", train_en="x\ny\nz\n")
    places = parallel.bitext(folder, on_bad="skip").places
    assert places["train"] == [((folder / "train.de", n), (folder / "train.en", n)) for n in (1, 3)]
    bitext = parallel.bitext(pair())
    for part in PARTS:
        numbers = [int(text.source.removeprefix("satz ")) + 1 for text in getattr(bitext, part)]
        assert [tuple(place.number for place in at) for at in bitext.places[part]] == [
            (number, number) for number in numbers
        ]


def test_when_all_lines_are_bad_nothing_is_left(prepared):
    folder = prepared(train_de="\n\n", train_en="x\ny\n")
    with pytest.raises(DataError, match=r"train\.de: no pair of texts is left"):
        parallel.bitext(folder, on_bad="skip")


def test_a_folder_that_lacks_files_is_refused(prepared, tmp_path):
    folder = prepared()
    (folder / "test.en").unlink()
    (folder / "valid.de").unlink()
    with pytest.raises(DataError, match=r"the folder lacks dev\.de, test\.en$"):
        parallel.bitext(folder)
    (tmp_path / "none").mkdir()
    (tmp_path / "none/train.tsv").write_text("a\tb\n")
    with pytest.raises(DataError, match=r"none: the folder has no train, dev and test$"):
        parallel.bitext(tmp_path / "none")


def test_a_part_under_two_names_is_refused(prepared, write):
    folder = prepared()
    write("iwslt14.tokenized.de-en/dev.de", "eins\n")
    with pytest.raises(DataError, match=r"both dev\.de and valid\.de are the dev part in 'de'"):
        parallel.bitext(folder)


@pytest.fixture
def pair(write):
    def pair(name="corpus", first="de", second="en", count=300):
        write(f"{name}.{first}", joined(f"satz {number}" for number in range(count)))
        path = write(f"{name}.{second}", joined(f"sentence {number}" for number in range(count)))
        return path.with_suffix("")

    return pair


def test_a_pair_of_files_is_split_by_the_checksum_of_the_source(pair):
    stem = pair()
    bitext = parallel.bitext(stem)
    assert bitext.name == "corpus"
    for name in ("train", "dev", "test"):
        numbers = [n for n in range(300) if PART.get(bucket(f"satz {n}"), "train") == name]
        assert getattr(bitext, name) == [(f"satz {n}", f"sentence {n}") for n in numbers]
    assert parallel.bitext(f"{stem}.de") == parallel.bitext(f"{stem}.en") == bitext


def test_the_file_that_is_named_is_the_source_when_it_is_not_english(pair):
    stem = pair("corpus.fr-de", "fr", "de")
    assert parallel.bitext(f"{stem}.de").train[0] == ("sentence 0", "satz 0")
    assert parallel.bitext(f"{stem}.fr").name == "corpus.fr-de"
    with pytest.raises(UsageError, match="which is translated into"):
        parallel.bitext(stem)
    assert parallel.bitext(stem, target="de").train[0] == ("satz 0", "sentence 0")


def test_doubled_blanks_do_not_put_one_source_into_two_parts(write):
    write("c.de", joined(f"satz {n // 2}" if n % 2 else f"satz  {n // 2}" for n in range(400)))
    stem = write("c.en", joined(map(str, range(400)))).with_suffix("")
    train, dev, test = ({" ".join(p.source.split()) for p in part} for part in parallel.bitext(stem)[1:4])
    assert not train & dev
    assert not train & test
    assert not dev & test


def test_a_part_that_is_empty_after_splitting_is_refused(pair):
    with pytest.raises(DataError, match=r"parts are empty after splitting 1 line by checksum") as caught:
        parallel.bitext(pair(count=1))
    assert "bring a folder" in caught.value.hint


def test_what_is_not_there_is_refused(tmp_path, write):
    with pytest.raises(DataError, match="none: there is no such file or folder"):
        parallel.bitext(tmp_path / "none")
    with pytest.raises(DataError, match="there is no such file or folder"):
        parallel.bitext(tmp_path / "no folder" / "none")
    with pytest.raises(UsageError, match="there is text in de, and two languages are needed"):
        parallel.bitext(write("lonely.de", "eins\n"))
    write("d/f.de", "")
    write("d/f.en", "x\n")
    with pytest.raises(DataError, match=r"f\.de: the file is empty"):
        parallel.bitext(tmp_path / "d/f")


def test_a_pair_of_files_in_one_piece(pair):
    stem = pair(count=3)
    for path in (stem, f"{stem}.de", f"{stem}.en"):
        assert [line.pair for line in parallel.lines(path)] == [
            (f"satz {n}", f"sentence {n}") for n in range(3)
        ]
    with pytest.raises(DataError, match="there is no such file or folder"):
        parallel.lines(stem.with_name("none"))


def test_two_files_begin_with_a_name_that_nothing_else_has(pair, write, tmp_path):
    assert parallel.is_beginning(pair("news.2020"))
    assert not parallel.is_beginning(tmp_path / "news.2020.de")
    for name in ("notes.txt", "notes.tsv", "one.de", "both.de", "both.en", "both"):
        write(name, "x\n")
    assert not any(parallel.is_beginning(tmp_path / name) for name in ("notes", "one", "both", "none", "x/y"))


@pytest.mark.parametrize("given", ["texts", "texts.de.gz"])
def test_files_that_gzip_has_packed(tmp_path: Path, given: str) -> None:
    for language, text in (("de", "das haus\nein hund\n"), ("en", "the house\na dog\n")):
        (tmp_path / f"texts.{language}.gz").write_bytes(gzip.compress(text.encode()))
    assert layout(tmp_path / given) == "parallel"
    found = parallel.lines(tmp_path / given)
    assert [line.pair for line in found] == [("das haus", "the house"), ("ein hund", "a dog")]
    folder = tmp_path / "folder"
    folder.mkdir()
    for part in ("train", "dev", "test"):
        for language in ("de", "en"):
            (folder / f"{part}.{language}.gz").write_bytes(gzip.compress(f"{part} {language}\n".encode()))
    assert parallel.bitext(folder).dev == [("dev de", "dev en")]
