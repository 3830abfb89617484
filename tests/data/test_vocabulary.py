import re

import pytest

from hardpp.data.vocabulary import BOUNDARY, UNKNOWN, Vocabulary


def test_symbols_are_sorted_after_the_reserved_ones_whatever_the_order_of_the_data():
    first = Vocabulary.of([("b", "a"), ("ä", "B")])
    second = Vocabulary.of([("ä",), ("B", "b"), ("a", "a")])
    assert first.symbols == ("</s>", "<unk>", "B", "a", "b", "ä")
    assert first == second
    assert len(first) == 6


def test_decode_undoes_encode_and_unknown_tokens_become_unknown():
    vocabulary = Vocabulary.of(["hello"])
    assert vocabulary.decode(vocabulary.encode("hole")) == list("hole")
    assert vocabulary.encode(["h", "Z"]) == [3, UNKNOWN]
    assert vocabulary.decode([BOUNDARY, UNKNOWN]) == ["</s>", "<unk>"]


@pytest.mark.parametrize("literal", ["</s>", "<unk>"])
def test_a_literal_reserved_text_in_the_data_gets_an_id_of_its_own(literal):
    vocabulary = Vocabulary.of([("a", literal, "b")])
    ids = vocabulary.encode(["a", literal, "b"])
    assert min(ids) >= 2
    assert len(set(ids)) == 3
    assert vocabulary.decode(ids) == ["a", literal, "b"]
    assert Vocabulary(vocabulary.symbols).encode([literal]) == vocabulary.encode([literal])


@pytest.mark.parametrize("literal", ["</s>", "<unk>"])
def test_a_literal_reserved_text_that_the_data_lacked_is_unknown(literal):
    assert Vocabulary.of(["ab"]).encode([literal]) == [UNKNOWN]


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        ((), "starts with"),
        (("a", "b"), "starts with"),
        (("<unk>", "</s>", "a"), "starts with"),
        (("</s>", "<unk>", "a", "b", "a"), "1 symbols of the vocabulary occur twice"),
    ],
)
def test_malformed_symbols_are_refused(symbols, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(symbols)


@pytest.mark.parametrize("id", [-1, 4])
def test_ids_outside_the_vocabulary_are_refused(id):
    with pytest.raises(ValueError, match=re.escape(f"expected ids from 0 to 3, got {id}")):
        Vocabulary.of(["ab"]).decode([2, id])
