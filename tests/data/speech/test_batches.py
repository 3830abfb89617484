from itertools import pairwise, product
from pathlib import Path

import pytest
import torch

from hardpp.data.lines import Place
from hardpp.data.speech.batches import Topology, buckets, collate, fitting, token_vocabulary
from hardpp.data.speech.utterances import Segment, SpeechCorpus, Utterance
from hardpp.data.vocabulary import Vocabulary
from hardpp.errors import DataError

SYMBOLS = Vocabulary.of(["ab"])


def utterance(frames: int, tokens: str, name: str = "u", features: int = 2) -> Utterance:
    return Utterance(name, "", torch.randn(frames, features), (Segment(0, 1, "a"),), tuple(tokens))


def test_batches_are_padded_on_the_right() -> None:
    given = [utterance(2, "ab"), utterance(4, ""), utterance(1, "ba?")]
    batch = collate(given, SYMBOLS)
    assert batch.source.shape == (3, 4, 2)
    assert batch.source.dtype == torch.float32
    assert batch.source_mask.sum(1).tolist() == [2, 4, 1]
    for row, one in enumerate(given):
        assert torch.equal(batch.source[row, : one.length], one.read())
        assert (batch.source[row, one.length :] == 0).all()
        assert batch.source_mask[row].tolist() == [place < one.length for place in range(4)]
    assert batch.target.tolist() == [[2, 3, 0, 0], [0, 0, 0, 0], [3, 2, 1, 0]]
    assert batch.target_mask.tolist() == [[True] * 3 + [False], [True] + [False] * 3, [True] * 4]
    assert batch.size == 3
    assert int(batch.symbols) == 8


def test_frames_may_be_read_late() -> None:
    class Late:
        def __len__(self) -> int:
            return 3

        def read(self) -> torch.Tensor:
            return torch.ones(3, 2)

        def digest(self) -> str:
            return ""

    batch = collate([utterance(2, "a"), utterance(2, "a")._replace(frames=Late())], SYMBOLS)
    assert batch.source[1].tolist() == [[1, 1]] * 3


def test_what_cannot_be_collated() -> None:
    with pytest.raises(ValueError, match="at least one utterance"):
        collate([], SYMBOLS)
    with pytest.raises(ValueError, match=r"frames of 2 features, got .* in utterance second"):
        collate([utterance(3, "a"), utterance(3, "a", "second", features=4)], SYMBOLS)
    with pytest.raises(ValueError, match="in utterance empty"):
        collate([utterance(3, "a"), utterance(0, "a", "empty")], SYMBOLS)


def test_the_vocabulary_is_that_of_train() -> None:
    corpus = SpeechCorpus("c", [utterance(1, "ba")], [utterance(1, "z")], [utterance(1, "y")], 0.1)
    assert token_vocabulary(corpus).symbols == ("</s>", "<unk>", "a", "b")


def test_buckets_are_of_near_lengths_and_hold_every_utterance_once() -> None:
    given = [utterance(1 + (7 * n) % 50, "a" * (1 + n % 3)) for n in range(50)]
    found = buckets(given, 5, seed=0, epoch=1)
    assert sorted(place for batch in found for place in batch) == list(range(50))
    assert all(len(batch) == 5 for batch in found)
    assert max(max(given[p].length for p in b) - min(given[p].length for p in b) for b in found) <= 5
    assert found == buckets(given, 5, seed=0, epoch=1) != buckets(given, 5, seed=0, epoch=2)


def possible(frames: int, tokens: str, topology: Topology) -> bool:
    """Whether there is any path, by trying all of them."""
    said = tokens + "$"  # the end mark
    if topology == "dwell":
        return frames > 0
    if topology == "no-dwell":
        return any(sum(emits) == len(said) for emits in product((0, 1), repeat=frames))
    for labels in product("ab-", repeat=frames):
        joined = [here for before, here in pairwise(("-", *labels)) if here != before]
        if "".join(label for label in joined if label != "-") == tokens:
            return True
    return False


@pytest.mark.parametrize("topology", ["dwell", "no-dwell", "ctc"])
def test_an_utterance_passes_exactly_if_there_is_a_path(topology: Topology) -> None:
    for frames in range(1, 7):
        for n in range(5):
            for tokens in map("".join, product("ab", repeat=n)):
                given = [utterance(frames, tokens)]
                if possible(frames, tokens, topology):
                    assert fitting(given, SYMBOLS, topology, None) == given
                else:
                    with pytest.raises(DataError):
                        fitting(given, SYMBOLS, topology, None)


def test_utterances_that_are_too_short_are_named_with_settings_that_help_or_left_out() -> None:
    at = [Place(Path("train.tsv"), number) for number in (1, 2, 3)]
    given = [utterance(9, "a"), utterance(3, "aab", "short"), utterance(2, "abab", "shorter")]
    given = [one._replace(place=place) for one, place in zip(given, at, strict=True)]
    with pytest.raises(DataError) as error:
        fitting(given, SYMBOLS, "ctc", 3)
    assert str(error.value) == (
        "train.tsv:2: 3 frames and 3 tokens, for which network.form=ctc needs 4 frames "
        "(and 1 more bad recording: train.tsv:3)"
    )
    assert "data.stacked=1 (now 3)" in error.value.hint
    assert "network.form=transducer" in error.value.hint
    assert "--on-bad skip" in error.value.hint
    with pytest.raises(DataError) as error:
        fitting(given[:2], SYMBOLS, "no-dwell", 1)
    assert (
        str(error.value) == "train.tsv:2: 3 frames and 3 tokens, for which network.dwell=false needs 4 frames"
    )
    assert "network.dwell=true" in error.value.hint
    assert "data.stacked" not in error.value.hint
    told: list[str] = []
    assert fitting(given, SYMBOLS, "ctc", 3, "skip", told.append) == given[:1]
    assert told == [
        "left out: train.tsv:2: 3 frames and 3 tokens, for which network.form=ctc needs 4 frames "
        "(and 1 more bad recording: train.tsv:3)"
    ]
    # Tokens that the vocabulary lacks are one symbol to CTC.
    with pytest.raises(DataError, match="needs 3 frames"):
        fitting([utterance(2, "xy")], SYMBOLS, "ctc", None)
    assert fitting([utterance(2, "ay")], SYMBOLS, "ctc", None)
