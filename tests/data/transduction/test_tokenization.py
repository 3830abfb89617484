import re

import pytest

from hardpp.data.lines import Place
from hardpp.data.transduction.pairs import Bitext, Line, Pair
from hardpp.data.transduction.text_pairs import TextPair
from hardpp.data.transduction.tokenization import tokenize_bitext, tokenize_lines, tokenizers
from hardpp.data.transduction.tokenizers import Characters, Words
from hardpp.errors import DataError

LINES = [TextPair("ab", "x y"), TextPair("c", "z"), TextPair("ab", "y")]
BITEXT = Bitext("mine", LINES, LINES, LINES[::-1], sentences=False)


def test_pooled_lines_share_their_right_answers():
    corpus = tokenize_bitext(BITEXT, Characters(), Words(), pooled=True)
    both = (("x", "y"), ("y",))
    assert corpus.train[2] == Pair(("a", "b"), ("y",), both)
    assert corpus.dev == [Pair(("a", "b"), ("x", "y"), both), Pair(("c",), ("z",), (("z",),))]
    assert [pair.target for pair in corpus.test] == [("y",), ("z",)]


def test_translations_keep_every_line_and_their_own_answer():
    corpus = tokenize_bitext(BITEXT, Characters(), Words(), pooled=False)
    assert [pair.references for pair in corpus.dev] == [(("x", "y"),), (("z",),), (("y",),)]


def test_long_pairs_leave_train_alone_and_are_counted():
    told = []
    how = {"pooled": False, "max_length": 1, "report": told.append}
    corpus = tokenize_bitext(BITEXT, Characters(), Words(), **how)
    assert (len(corpus.train), len(corpus.dev), len(corpus.test)) == (1, 3, 3)
    tokenize_bitext(Bitext("mine", LINES[:2], LINES, LINES), Characters(), Words(), **how)
    assert told == [
        "2 training pairs of more than 1 symbols left out",
        "1 training pair of more than 1 symbols left out",
    ]
    with pytest.raises(DataError, match="no train pair has at most 1"):
        tokenize_bitext(
            Bitext("mine", LINES[:1], LINES, LINES), Characters(), Words(), pooled=False, max_length=1
        )


def at(path, part, *texts):
    files = [path / f"{part}.{side}" for side in "xy"]
    return [
        Line(TextPair(*text), (Place(files[0], number), Place(files[1], number)))
        for number, text in enumerate(texts, start=1)
    ]


def placed(path):
    parts = {
        "train": at(path, "train", ("ab", "x"), ("c", "z"), ("a", "x y z")),
        "dev": at(path, "dev", ("a", "x")),
        "test": at(path, "test", ("b", "y y"), ("b", "y")),
    }
    return Bitext.of_lines("mine", parts)


def test_a_users_pair_that_is_too_long_stops_or_is_left_out_of_every_part(tmp_path):
    bitext, told = placed(tmp_path), []
    how = {"pooled": False, "max_length": 1}
    reason = f"{tmp_path}/train.x:1: source of 2 symbols, data.max_length is 1"
    reason += " (and 2 more bad lines: train.y:3, test.y:1)"
    with pytest.raises(DataError) as caught:
        tokenize_bitext(bitext, Characters(), Words(), **how, report=pytest.fail)
    assert str(caught.value) == reason
    assert all(way in caught.value.hint for way in ("data.max_length", "--on-bad skip"))
    corpus = tokenize_bitext(bitext, Characters(), Words(), **how, on_bad="skip", report=told.append)
    assert [[pair.source for pair in part] for part in corpus[1:4]] == [[("c",)], [("a",)], [("b",)]]
    assert told == [f"left out: {reason}"]
    tokenize_bitext(bitext, Characters(), Words(), pooled=False, max_length=3, report=pytest.fail)


def test_a_part_of_which_nothing_is_left_is_refused(tmp_path):
    bitext = placed(tmp_path)._replace(places={"dev": [(Place(tmp_path, 1),) * 2]}, dev=[TextPair("ab", "x")])
    what = f"{tmp_path}: no dev pair has at most 1 symbols a side: the shortest has 2"
    with pytest.raises(DataError, match=re.escape(what)):
        tokenize_bitext(bitext, Characters(), Words(), pooled=False, max_length=1, on_bad="skip")


def test_lines_that_are_not_parted_are_checked_too(tmp_path):
    lines, told = at(tmp_path, "all", ("a", "x"), ("a", "x y"), ("a", "y")), []
    how = {"pooled": True, "max_length": 1}
    with pytest.raises(DataError, match=f"^{tmp_path}/all.y:2: target of 2 symbols, data.max_length is 1$"):
        tokenize_lines(lines, Characters(), Words(), **how, on_bad="stop", report=pytest.fail)
    found = tokenize_lines(lines, Characters(), Words(), **how, on_bad="skip", report=told.append)
    both = (("x",), ("y",))
    assert found == [Pair(("a",), ("x",), both), Pair(("a",), ("y",), both)]
    assert told == [f"left out: {tmp_path}/all.y:2: target of 2 symbols, data.max_length is 1"]


def test_both_sides_share_their_pieces():
    pytest.importorskip("sentencepiece")
    source, target = tokenizers(BITEXT, "pieces", "pieces", 20)
    assert source is target
    source, target = tokenizers(BITEXT, "auto", "auto", 20)
    assert (source.kind, target.kind) == ("characters", "characters")  # as most texts say


MARKED = [TextPair("un@@ ter", "be@@ low ."), TextPair("haus", "house .")]
PLAIN = [TextPair("unter", "below ."), TextPair("haus", "house .")]


@pytest.mark.parametrize(
    ("source", "target", "kinds"),
    [(MARKED, MARKED, ("bpe", "bpe")), (PLAIN, PLAIN, ("pieces",) * 2), (MARKED, PLAIN, ("bpe", "pieces"))],
)
def test_sentences_in_parts_stay_so_and_others_become_pieces(source, target, kinds):
    if "pieces" in kinds:
        pytest.importorskip("sentencepiece")
    train = [TextPair(one.source, other.target) for one, other in zip(source, target, strict=True)]
    bitext = Bitext("mine", train, MARKED, MARKED)  # what is trained on decides
    found = tokenizers(bitext, "auto", "auto", 30, pytest.fail)
    assert tuple(side.kind for side in found) == kinds


def test_who_wants_pieces_of_parts_gets_them_and_is_told():
    pytest.importorskip("sentencepiece")
    told = []
    bitext = Bitext("mine", MARKED, MARKED, MARKED)
    source, target = tokenizers(bitext, "pieces", "auto", 30, told.append)
    assert (source.kind, target.kind) == ("pieces", "bpe")
    tokenizers(bitext, "pieces", "pieces", 30, told.append)
    tokenizers(bitext, "words", "characters", 30, pytest.fail)
    assert [sentence.partition("; ")[2].partition(" leaves")[0] for sentence in told] == [
        "data.source_tokens=bpe",
        "data.source_tokens=bpe and data.target_tokens=bpe",
    ]


@pytest.mark.parametrize("sentences", [False, True])
def test_tokenizers_know_whether_texts_are_sentences(sentences):
    bitext = BITEXT._replace(sentences=sentences)
    assert [side.sentences for side in tokenizers(bitext, "words", "characters", 20)] == [sentences] * 2
