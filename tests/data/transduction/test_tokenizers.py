import json

import pytest

from hardpp.data.transduction.pieces import Pieces
from hardpp.data.transduction.tokenizers import (
    Characters,
    MarkedWords,
    Words,
    guess_tokenizer,
    load_tokenizer,
)
from hardpp.errors import DataError

TEXTS = [f"the number {n} is nice, the größte" for n in range(150)]


@pytest.fixture(scope="module")
def learnt() -> Pieces:
    pytest.importorskip("sentencepiece")
    return Pieces.learn(TEXTS, 120)


@pytest.mark.parametrize(
    ("kind", "text", "tokens", "words"),
    [
        (Characters(), "a b", ("a", " ", "b"), [0, 1, 2]),
        (Words(), "ab  c ", ("ab", "c"), [0, 1]),
        (MarkedWords(), "un@@ der@@ s wo", ("un@@", "der@@", "s", "wo"), [0, 0, 0, 1]),
    ],
)
def test_simple_kinds(kind, text, tokens, words):
    assert kind.tokenize(text) == tokens
    assert kind.word_of(tokens) == words
    assert load_tokenizer(json.loads(json.dumps(kind.describe()))).tokenize(text) == tokens


@pytest.mark.parametrize("kind", [Characters, Words, MarkedWords])
def test_sentences_are_told_from_lists_of_words(kind):
    for sentences in (False, True):
        described = kind(sentences).describe()
        assert load_tokenizer(described).sentences == (sentences or kind is MarkedWords)
        assert ("sentences" in described) == (sentences and kind is not MarkedWords)
    assert load_tokenizer({"kind": "words"}).sentences is False  # as runs of before said it
    assert Pieces.sentences


def test_marks_are_undone():
    assert MarkedWords().detokenize(("un@@", "der@@", "s", "wo")) == "unders wo"
    assert MarkedWords().detokenize(("un@@",)) == "un"  # a decoder may stop anywhere


@pytest.mark.parametrize(
    "text", ["the größte number 17", "never seen: ωmega 😀!", "the\u00a0number", "A", "the  number"]
)
def test_pieces_put_together_are_the_text(learnt, text):
    tokens = learnt.tokenize(text)
    joined = learnt.detokenize(tokens)
    assert joined == " ".join(part for part in text.split(" ") if part)
    words = learnt.word_of(tokens)
    assert words == sorted(words)
    assert len(set(words)) == len(joined.split(" "))


def test_a_text_of_blanks_is_one_symbol(learnt):
    assert learnt.tokenize("\u2581") == ("\u2581",)


def test_words_of_pieces(learnt):
    tokens = learnt.tokenize("the number 17 is")
    spelt = {}
    for token, word in zip(tokens, learnt.word_of(tokens), strict=True):
        spelt[word] = spelt.get(word, "") + token
    assert list(spelt.values()) == ["▁the", "▁number", "▁17", "▁is"]


def test_pieces_are_learnt_alike_and_described(learnt):
    again = Pieces.learn(TEXTS, 120)
    assert again.model == learnt.model
    described = json.loads(json.dumps(learnt.describe()))
    assert load_tokenizer(described).tokenize(TEXTS[3]) == learnt.tokenize(TEXTS[3])
    assert len(Pieces.learn(TEXTS, 1).tokenize("number")) > len(learnt.tokenize("number"))


def test_more_pieces_than_there_are_is_as_many_as_there_are():
    pytest.importorskip("sentencepiece")
    assert Pieces.learn(TEXTS, 100_000).tokenize("the number") == ("▁the", "▁number")


def test_nothing_to_learn_from_is_refused():
    pytest.importorskip("sentencepiece")
    with pytest.raises(DataError, match="0 texts"):
        Pieces.learn([], 10)


@pytest.mark.parametrize("model", ["", "bm90IGEgbW9kZWw=", "%%"])
def test_what_is_no_model_is_refused(model):
    pytest.importorskip("sentencepiece")
    with pytest.raises(ValueError):  # noqa: PT011 - base64's own message, or ours
        load_tokenizer({"kind": "pieces", "model": model}).tokenize("a")


@pytest.mark.parametrize(
    ("texts", "kind"), [(["ab", "c"], "characters"), (["ab", "c d"], "words"), (["a@@ b", "c"], "bpe")]
)
def test_texts_show_how_they_are_cut(texts, kind):
    assert guess_tokenizer(texts).kind == kind
