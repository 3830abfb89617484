"""What training sees of dev and test is told."""

from hardpp.data.transduction.overlap import seen_in_training
from hardpp.data.transduction.pairs import Corpus, Pair
from hardpp.data.transduction.tokenizers import Words


def pairs(*words: str, target: str = "x") -> list[Pair]:
    return [Pair((word,), (target,), ((target,),)) for word in words]


def corpus(dev: list[Pair], test: list[Pair], *, sentences: bool = False) -> Corpus:
    return Corpus("mine", pairs(*"abcdefgh"), dev, test, Words(sentences), Words(sentences))


def test_parts_of_which_much_is_in_train_are_told_of() -> None:
    (told,) = seen_in_training(corpus(pairs("i", "j"), pairs("a", "k", target="y")))
    assert told.startswith("warning: mine: 1 of 2 test pairs stand in train, too")


def test_of_sentences_the_whole_pair_counts() -> None:
    other = pairs("a", "b", target="y")
    assert list(seen_in_training(corpus(other, other, sentences=True))) == []
    assert len(list(seen_in_training(corpus(other, pairs("a"), sentences=True)))) == 1


def test_a_few_are_no_matter() -> None:
    many = pairs("a", *(f"{number}" for number in range(9)))
    assert list(seen_in_training(corpus(many, many))) == []
