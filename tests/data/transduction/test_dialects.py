import pytest

from hardpp.data.transduction.dialects import Dialect, detect, sampled
from hardpp.errors import DataError, UsageError

WORDS = ["acid", "acne", "acorn", "acre", "actor", "add", "age", "aid", "air", "ale"]
PHONES = ["AE1 S IH0 D", "AE1 K N IY0", "EY1 K AO2 R N", "EY1 K ER0", "AE1 K T ER0", "AE1 D", "EY1 JH"]
PHONES += ["EY1 D", "EH1 R", "EY1 L"]
BOTH = list(zip(WORDS, PHONES, strict=True))
FEATURES = ["V;PST", "V;PRS;NOM(3,SG)", "N;PL", "N;SG;DAT", "V.PTCP;PST"] * 2


def told(lines, wanted="auto", columns=None):
    return detect(sampled([line.encode() for line in lines], len(lines)), wanted, columns)


def cut(dialect):
    return dialect.kind, dialect.separator, dialect.width, dialect.columns


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([f"{w}\t{p}" for w, p in BOTH], ("pairs", "\t", 2, (0, 1))),
        ([f"{w} {p}" for w, p in BOTH], ("lexicon", "", 2, (0, 1))),
        ([f"{w.upper()}  {p}" for w, p in BOTH], ("lexicon", "", 2, (0, 1))),
        ([f"{w},{p}" for w, p in BOTH], ("pairs", ",", 2, (0, 1))),
        ([f'"{w}";"{p}"' for w, p in BOTH], ("pairs", ";", 2, (0, 1))),
        ([f'"{w}, a";"{p}"' for w, p in BOTH], ("pairs", ";", 2, (0, 1))),
        ([f'"{w}"\t"{p}"' for w, p in BOTH], ("pairs", "\t", 2, (0, 1))),
        (["id,word,lang,ipa"] + [f"1,{w},en,{p}" for w, p in BOTH], ("pairs", ",", 4, (1, 3))),
        ([f"das {w} ||| the {w}" for w in WORDS], ("bars", "|||", 2, (0, 1))),
        (
            [f"{w}\t{f}\t{w}s" for w, f in zip(WORDS, FEATURES, strict=True)],
            ("inflection", "\t", 3, (0, 1, 2)),
        ),
        (
            [f"{w}\t{w}s\t{f}" for w, f in zip(WORDS, FEATURES, strict=True)],
            ("inflection", "\t", 3, (0, 2, 1)),
        ),
        ([f"{w}\tpos=V,tense=PST\t{w}s" for w in WORDS], ("inflection", "\t", 3, (0, 1, 2))),
        (["lemma,tags,form"] + [f"{w},N;PL,{w}s" for w in WORDS], ("inflection", ",", 3, (0, 1, 2))),
        ([f"the {w} is old" for w in WORDS], ("pairs", "\t", 2, (0, 1))),  # whose reader refuses every line
        ([], ("pairs", "\t", 2, (0, 1))),
    ],
    ids=lambda value: repr(value[:1]) if isinstance(value, list) else "",
)
def test_lists_are_told_by_what_most_lines_hold(lines, expected):
    assert cut(told(lines)) == expected
    for bad in (b"", b"\xff", b";;; comment"):  # one line decides nothing
        assert cut(detect(sampled([bad, *(line.encode() for line in lines)], len(lines) + 1))) == expected


@pytest.mark.parametrize(
    ("lines", "numbers"),
    [
        ([f"{w}\t0.99\t0.2\t1.0\t1\t{p}" for w, p in BOTH], 4),
        ([f"{w}\t0.5\t{p}" for w, p in BOTH], 1),
        ([f"{w} 0.123 1e-05 {p}" for w, p in BOTH], 2),
    ],
)
def test_probabilities_stand_between_a_word_and_its_phones(lines, numbers):
    found = told(lines)
    assert (found.kind, found.numbers) == ("lexicon", numbers)
    assert f"{numbers} number" in str(found)


def test_numbers_before_targets_are_asked_about_if_they_may_be_probabilities():
    lines = [f"{w}\t0.123 {p}" for w, p in BOTH]
    with pytest.raises(DataError, match="targets begin with a number in most lines") as caught:
        told(lines)
    assert "data.format=lexicon" in caught.value.hint
    assert told(lines, "lexicon").numbers == 1
    assert told(lines, "tsv") == Dialect()
    assert told([f"{n}.5\t{n}.25 mg" for n in range(9)]).kind == "pairs"


def test_quotes_within_a_text_are_of_the_text():
    assert not told([f'he said "{w}"\tsagt "{w}" er' for w in WORDS]).quoted
    assert told([f'"{w}"\t"{w}"' for w in WORDS]).quoted


def test_what_follows_a_hash_is_a_comment_or_a_symbol():
    lines = [f"{w}\t{p}" for w, p in BOTH]
    assert told([*lines, "aim\tEY1 M # foreign, french"]).kind == "lexicon"
    assert told([*lines, "aim\tEY1 D # AE1 D"]).kind == "pairs"
    with pytest.raises(DataError, match="what follows # in 1 of 11 lines may be comments") as caught:
        told([*lines, "aim\tEY1 D # AE1 old"])
    assert "data.format=lexicon" in caught.value.hint
    assert told([*lines, "aim\tEY1 D # AE1 old"], "lexicon").kind == "lexicon"
    assert told([*lines, "aim\tEY1 D # old"], "tsv") == Dialect()
    assert told(["# a comment", *lines]).kind == "lexicon"


@pytest.mark.parametrize(
    ("heading", "is_one"),
    [
        ("word\tphones", True),
        ("Wort\tIPA", True),
        ("word\tpron", True),
        ("English\tGerman", True),
        ("word\tAE1 D", False),
        ("words\tD", False),  # a phone
        ("acidic\tform", True),
        ("input\tinput", False),
    ],
)
def test_headings(heading, is_one):
    assert bool(told([heading, *(f"{w}\t{p}" for w, p in BOTH)]).heading) == is_one


def test_a_dictionary_of_words_keeps_its_first_line():
    assert not told(["word\tWort", "acid\tSäure", "age\tAlter"]).heading


@pytest.mark.parametrize("columns", ["3,1", "ipa,word", "IPA, 1"])
def test_columns_are_what_is_said(columns):
    lines = ["word,lang,ipa"] + [f"{w},en,{p}" for w, p in BOTH]
    assert told(lines, columns=columns).columns == (2, 0)


@pytest.mark.parametrize("columns", ["1", "1,1", "1,4", "0,1", "word,phones", "1,2,3,4", ""])
def test_columns_that_are_not_there_are_refused_with_those_that_are(columns):
    lines = ["word,lang,ipa"] + [f"{w},en,{p}" for w, p in BOTH]
    with pytest.raises(UsageError, match="the table has 3 columns"):
        told(lines, columns=columns)


def test_what_is_said_goes_before_what_is_seen():
    sentences = [f"the {w} is old" for w in WORDS]
    assert told(sentences, "lexicon").kind == "lexicon"
    assert told([f"{w} ||| x" for w in WORDS], "tsv") == Dialect()
    assert told([f"{w}\ta,b" for w in WORDS], "csv").separator == "\t"
    with pytest.raises(DataError, match="no column holds features"):
        told([f"{w}\t{w}s" for w in WORDS], "inflection")
    with pytest.raises(DataError, match="lines have 3 columns") as caught:
        told([f"{w}\tx\t{w}s" for w in WORDS], "inflection")
    assert "data.columns=1,2,3 lemma, features, form" in caught.value.hint
    odd = told([f"{w}\tx\t{w}s" for w in WORDS], "inflection", "1,2,3")
    assert (odd.kind, odd.columns, odd.features) == ("inflection", (0, 1, 2), ";")
