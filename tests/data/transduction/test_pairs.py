import pytest

from hardpp.data.transduction.pairs import Corpus, Pair
from hardpp.data.transduction.tokenizers import Characters, Words

PAIR = Pair(("a", "b"), ("x",), (("x",), ("y",)))
OTHER = Pair(("c",), ("z",), (("z",),))


CORPUS = Corpus("name", [PAIR, OTHER], [PAIR], [OTHER], Characters(), Words())


def test_the_fingerprint_does_not_depend_on_the_name():
    assert CORPUS._replace(name="moved").fingerprint() == CORPUS.fingerprint()
    assert len(CORPUS.fingerprint()) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"train": [OTHER, PAIR]},
        {"train": [PAIR], "dev": [OTHER, PAIR]},
        {"train": [PAIR, OTHER, PAIR], "dev": []},
        {"dev": [PAIR._replace(source=("ab",))]},
        {"dev": [PAIR._replace(target=("y",))]},
        {"dev": [PAIR._replace(references=(("x",),))]},
        {"test": []},
        {"source": Words()},
        {"target": Characters()},
    ],
    ids=lambda change: "-".join(change),
)
def test_the_fingerprint_sees_every_change_of_content(change):
    assert CORPUS._replace(**change).fingerprint() != CORPUS.fingerprint()
