from pathlib import Path

import pytest

from hardpp.data.lines import Place
from hardpp.data.transduction.pairs import Bitext, Pair, PlacedPair
from hardpp.data.transduction.reversal import reverse_corpus, reverse_pair, reverse_pairs
from hardpp.data.transduction.text_pairs import TextPair
from hardpp.data.transduction.tokenization import distinct_sources, tokenize_bitext
from hardpp.data.transduction.tokenizers import Characters, MarkedWords, Words

BITEXT = Bitext("tiny", *([TextPair("ab", "x y"), TextPair("c", "x z")],) * 3)
# Words with several pronunciations, and pronunciations of several words.
TEST = [TextPair(*pair) for pair in (("to", "t uw"), ("to", "t ax"), ("two", "t uw"), ("a", "ax"))]
SOUNDS = Bitext("sounds", [TextPair("too", "t uw")], [TextPair("ah", "aa")], TEST, sentences=False)


def answers(pairs: list[Pair]) -> dict[str, set[str]]:
    return {" ".join(pair.source): {"".join(right) for right in pair.references} for pair in pairs}


def test_links_are_turned() -> None:
    corpus = tokenize_bitext(BITEXT, Characters(), Words(), pooled=True)
    linked = corpus._replace(train=[corpus.train[0]._replace(links=((0, 1), (1, 0), (1, 1)))])
    turned = reverse_corpus(linked)
    assert turned.train == [Pair(("x", "y"), ("a", "b"), (("a", "b"),), ((0, 1), (1, 0), (1, 1)))]
    assert (turned.source.kind, turned.target.kind) == ("words", "characters")
    assert reverse_corpus(turned).train[0].links == linked.train[0].links


def test_the_spellings_of_a_sound_are_all_right() -> None:
    turned = reverse_corpus(tokenize_bitext(SOUNDS, Characters(), Words(), pooled=True))
    # No sound is lost, though the words' first one stood for all of them, and each is asked about once.
    expected = {"t uw": {"to", "two", "too"}, "t ax": {"to"}, "ax": {"a"}}
    assert answers(turned.test) == expected
    assert len(turned.test) == 3
    assert answers(turned.train) == {"t uw": expected["t uw"]}


def test_translations_have_their_own_alone() -> None:
    texts = [TextPair("das haus", "the house"), TextPair("dies haus", "the house")]
    corpus = tokenize_bitext(Bitext("t", texts, texts, texts), MarkedWords(), MarkedWords(), pooled=False)
    turned = reverse_corpus(corpus)
    assert [pair.references for pair in turned.test] == [(pair.target,) for pair in turned.test]
    assert len(turned.test) == 2


def test_a_pair_keeps_its_place_and_its_possible_links() -> None:
    pair = PlacedPair.at(Place(Path("f"), 3), Pair(("a",), ("b",), (("b",),), ((0, 0),)))
    pair.possible = ((0, 1), (2, 0))
    turned = reverse_pair(pair)
    assert isinstance(turned, PlacedPair)
    assert (turned.place, turned.possible) == (Place(Path("f"), 3), ((0, 2), (1, 0)))
    (again,) = reverse_pairs([pair._replace(links=())], pooled=True)
    assert again == Pair(("b",), ("a",), (("a",),))


@pytest.mark.parametrize("links", [(), ((0, 0),)])
def test_sources_are_distinct_unless_their_links_are_known(links: tuple[tuple[int, int], ...]) -> None:
    pair = Pair(("a",), ("b",), (("b",),), links)
    assert distinct_sources([pair, pair]) == [pair] * (2 if links else 1)
    other = pair._replace(references=(("c",),))  # of data whose answers are not pooled
    assert distinct_sources([pair, other]) == [pair, other]
