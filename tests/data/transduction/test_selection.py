import pytest

from hardpp.data.parts import bucket
from hardpp.data.transduction.pairs import Bitext
from hardpp.data.transduction.selection import (
    select_pairs,
    split_by_group,
    split_into_sentences,
    without_leaks,
    words,
)
from hardpp.data.transduction.text_pairs import TextPair

PART = {0: "test", 1: "dev"}


def group_of(part, number=0):
    """The n-th made-up group that the checksum puts into a part."""
    names = (f"g{count}" for count in range(10_000))
    return [name for name in names if PART.get(bucket(name), "train") == part][number]


def text(length, mark="w"):
    return " ".join(f"{mark}{number}" for number in range(length))


def test_marks_count_like_words():
    assert words("L'été, c'est «fini».") == ["L", "'", "été", ",", "c", "'", "est", "«", "fini", "»", "."]


@pytest.mark.parametrize(
    ("source", "target", "kept"),
    [
        (3, 3, True),
        (2, 3, False),
        (3, 2, False),
        (50, 50, True),
        (51, 50, False),
        (50, 51, False),
        (20, 49, True),
        (20, 50, False),
        (50, 20, False),
        (49, 20, True),
    ],
)
def test_length_and_ratio_decide(source, target, kept):
    pair = TextPair(text(source), text(target, "v"))
    assert select_pairs([("g", pair)]) == ([("g", pair)] if kept else [])


def test_what_is_not_translated_is_left_out():
    assert select_pairs([("g", TextPair("a b c", "a  b c"))]) == []


def test_every_text_becomes_one_line_and_a_pair_stays_with_its_first_group():
    pairs = [
        ("g", TextPair("a b\u2028c", " x\ty z\n")),
        ("h", TextPair("a  b c", "x y z")),
        ("h", TextPair("a b c", "x y v")),
    ]
    assert select_pairs(pairs) == [("g", TextPair("a b c", "x y z")), ("h", TextPair("a b c", "x y v"))]


def test_paragraphs_are_cut_where_both_sides_have_equally_many_sentences():
    both = TextPair("Eins. Zwei? Drei!", "One. Two? Three!")
    assert split_into_sentences(both) == [("Eins.", "One."), ("Zwei?", "Two?"), ("Drei!", "Three!")]
    unequal = TextPair("Eins, zwei. Drei.", "One, two, three.")
    assert split_into_sentences(unequal) == [unequal]
    assert split_into_sentences(TextPair("z. B. das", "e.g. that")) == [("z. B. das", "e.g. that")]


def test_groups_are_never_divided():
    groups = [group_of(part, number) for part in ("train", "dev", "test") for number in range(3)]
    pairs = [(group, TextPair(f"{group} {n}", f"en {group} {n}")) for n in range(4) for group in groups]
    bitext = split_by_group("toy", pairs)
    assert bitext.name == "toy"
    for part in ("train", "dev", "test"):
        expected = [pair for group, pair in pairs if PART.get(bucket(group), "train") == part]
        assert getattr(bitext, part) == expected
        assert len(expected) == 12


def test_no_text_of_test_or_dev_is_seen_before():
    test = [TextPair("t", "T-en")]
    dev = [TextPair("d", "D-en"), TextPair("T", "other"), TextPair("other", "t-EN")]
    train = [
        TextPair("a", "A-en"),
        TextPair("t", "x"),
        TextPair("x", "t-en"),
        TextPair("D", "y"),
        TextPair("y", "d-en"),
        TextPair("other", "z"),  # of a pair that dev lost
    ]
    clean = without_leaks(Bitext("toy", train, dev, test))
    assert clean[:4] == ("toy", [train[0], train[5]], dev[:1], test)
