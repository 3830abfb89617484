import pytest

from hardpp.data.transduction.pairs import Bitext, Pair, TextPair
from hardpp.data.transduction.tokenised import reversed_corpus, tokenised, tokenizers
from hardpp.data.transduction.tokens import Characters, Words
from hardpp.errors import DataError

LINES = [TextPair("ab", "x y"), TextPair("c", "z"), TextPair("ab", "y")]
BITEXT = Bitext("mine", LINES, LINES, LINES[::-1])


def test_pooled_lines_share_their_right_answers():
    corpus = tokenised(BITEXT, Characters(), Words(), pooled=True)
    both = (("x", "y"), ("y",))
    assert corpus.train[2] == Pair(("a", "b"), ("y",), both)
    assert corpus.dev == [Pair(("a", "b"), ("x", "y"), both), Pair(("c",), ("z",), (("z",),))]
    assert [pair.target for pair in corpus.test] == [("y",), ("z",)]


def test_translations_keep_every_line_and_their_own_answer():
    corpus = tokenised(BITEXT, Characters(), Words(), pooled=False)
    assert [pair.references for pair in corpus.dev] == [(("x", "y"),), (("z",),), (("y",),)]


def test_long_pairs_leave_train_alone_and_are_counted():
    told = []
    corpus = tokenised(BITEXT, Characters(), Words(), pooled=False, max_length=1, report=told.append)
    assert (len(corpus.train), len(corpus.dev), len(corpus.test)) == (1, 3, 3)
    assert told == ["2 training pairs of more than 1 symbols left out"]
    with pytest.raises(DataError, match="no training pair has at most 1"):
        tokenised(Bitext("mine", LINES[:1], LINES, LINES), Characters(), Words(), pooled=False, max_length=1)


def test_both_sides_share_their_pieces():
    source, target = tokenizers(BITEXT, "pieces", "pieces", 20)
    assert source is target
    source, target = tokenizers(BITEXT, "auto", "auto", 20)
    assert (source.kind, target.kind) == ("characters", "words")


def test_the_other_direction_turns_links():
    corpus = tokenised(BITEXT, Characters(), Words(), pooled=True)
    linked = corpus._replace(train=[corpus.train[0]._replace(links=((0, 1), (1, 0), (1, 1)))])
    turned = reversed_corpus(linked)
    assert turned.train == [Pair(("x", "y"), ("a", "b"), (("a", "b"),), ((0, 1), (1, 0), (1, 1)))]
    assert (turned.source.kind, turned.target.kind) == ("words", "characters")
    assert reversed_corpus(turned).train[0].links == linked.train[0].links
