import pytest

from hardpp.data.tokens import Characters, Words
from hardpp.data.transduction import Corpus, Pair, bucket

PAIR = Pair(("a", "b"), ("x",), (("x",), ("y",)))
OTHER = Pair(("c",), ("z",), (("z",),))


@pytest.mark.parametrize(
    ("text", "expected"),
    # CRC-32 check values: "" is 0, "123456789" is 0xCBF43926, "a" is 0xE8B7BE43.
    [("", 0), ("123456789", 0xCBF43926 % 20), ("a", 0xE8B7BE43 % 20)],
)
def test_the_split_rule_is_frozen(text, expected):
    assert bucket(text) == expected


def test_all_buckets_occur_about_equally_often():
    counts = [0] * 20
    for number in range(4000):
        counts[bucket(f"word{number}")] += 1
    assert min(counts) > 120
    assert max(counts) < 280


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
    ids=str,
)
def test_the_fingerprint_sees_every_change_of_content(change):
    assert CORPUS._replace(**change).fingerprint() != CORPUS.fingerprint()
