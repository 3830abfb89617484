"""Made-up words and their sounds, letter by letter, and networks of a few numbers."""

from hardpp.data.transduction.pairs import Corpus, Pair
from hardpp.data.transduction.tokenizers import Characters, Words
from hardpp.tasks.family import Toy

_SOUNDS = {"a": "AH", "b": "B", "c": "K", "d": "D", "e": "EH"}
_TRAIN, _OTHERS = ("ab", "cabe", "dec", "bade", "daceb"), ("ba", "cade", "ebc")


def toy() -> Toy:
    """Nine words; the first has three source positions and three output steps, end marks included."""
    train, others = ([_pair(word) for word in words] for words in (_TRAIN, _OTHERS))
    network = {"embedding": 8, "encoder": 8, "decoder": 8, "guide": 8, "dropout": 0.2}
    settings = {
        "network": network,
        "training": {"batch_size": 8, "log_every": 1},
        "optimiser": {"warmup_steps": 2},
    }
    return Toy(Corpus("toy", train, others, others, Characters(), Words()), settings)


def _pair(word: str) -> Pair:
    target = tuple(_SOUNDS[letter] for letter in word)
    return Pair(tuple(word), target, (target,))
