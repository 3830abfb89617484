from pathlib import Path
from typing import Any

import numpy as np
import pytest
import speech_files
import torch

from hardpp.data.fetch.sources import cache_folder
from hardpp.data.speech import spoken_digits
from hardpp.data.speech.utterances import SpeechCorpus, Utterance
from hardpp.errors import DataError

FETCHED = cache_folder() / "spoken-digits-2.6.0"  # of the user, before the tests have a cache of their own

SIZES = {"train": 60, "dev": 20, "test": 20}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return speech_files.write_digits(tmp_path / spoken_digits.MEMBER)


def corpus(path: Path, seed: int = 0) -> SpeechCorpus:
    return spoken_digits.corpus(path, seed=seed, sizes=SIZES)


def measured(corpus: SpeechCorpus, utterance: Utterance) -> torch.Tensor:
    # The frames before they were normalised.
    assert corpus.normalisation is not None
    return utterance.read() * corpus.normalisation.deviation + corpus.normalisation.mean


def pieces(corpus: SpeechCorpus, utterance: Utterance) -> list[tuple[str, torch.Tensor]]:
    """Each digit with its frames."""
    frames = measured(corpus, utterance)
    places = [(round(s.start / 0.025), round(s.end / 0.025), s.label) for s in utterance.segments]
    return [(label, frames[start:end]) for start, end, label in places]


def test_segments_are_whole_recordings_of_their_digit(path: Path) -> None:
    found = corpus(path)
    known = {one.number: one for one in spoken_digits.recordings(path)}
    for utterance in (*found.train, *found.dev, *found.test):
        assert 3 <= len(utterance.tokens) <= 6
        assert utterance.tokens == tuple(segment.label for segment in utterance.segments)
        for label, frames in pieces(found, utterance):
            recording = known[round(frames[0, 1].item()) % 1000]
            assert spoken_digits.DIGITS[recording.digit] == label
            torch.testing.assert_close(frames, recording.frames, atol=1e-2, rtol=1e-4)


def test_no_recording_is_in_two_parts(path: Path) -> None:
    found = corpus(path)
    used: list[set[int]] = []
    for part in (found.train, found.dev, found.test):
        numbers = torch.cat([measured(found, utterance)[:, 1] for utterance in part])  # gaps too
        used.append({round(number) % 1000 for number in numbers.tolist()})
    assert not used[0] & used[1]
    assert not used[0] & used[2]
    assert not used[1] & used[2]
    assert [len(one) <= limit for one, limit in zip(used, (160, 20, 20), strict=True)] == [True] * 3
    assert min(map(len, used)) > 10


def test_gaps_are_quiet_and_of_two_to_six_frames(path: Path) -> None:
    found = corpus(path)
    every = torch.cat([one.frames for one in spoken_digits.recordings(path)])
    for utterance in found.train:
        ends = [0.0, *(segment.end for segment in utterance.segments)]
        starts = [*(segment.start for segment in utterance.segments), utterance.length * 0.025]
        frames = measured(found, utterance)
        for end, start in zip(ends, starts, strict=True):
            here, there = round(end / 0.025), round(start / 0.025)
            assert 2 <= there - here <= 6
            assert frames[here:there, 0].max() < every[:, 0].quantile(0.1)


def test_strings_follow_from_the_seed(path: Path) -> None:
    assert corpus(path).fingerprint() == corpus(path).fingerprint()
    assert corpus(path).fingerprint() != corpus(path, seed=1).fingerprint()
    assert corpus(path).train[0].tokens == ("three", "nine", "five", "three", "zero", "eight")
    larger = spoken_digits.corpus(path, sizes={**SIZES, "train": 80})
    assert [one.tokens for one in larger.train[:60]] == [one.tokens for one in corpus(path).train]


def test_frames_are_normalised_by_the_train_part(path: Path) -> None:
    found = corpus(path)
    every = torch.cat([utterance.read() for utterance in found.train])
    torch.testing.assert_close(every.mean(0), torch.zeros(13), atol=1e-4, rtol=0)
    torch.testing.assert_close(every.std(0, correction=0), torch.ones(13), atol=1e-4, rtol=0)
    assert found.frame_seconds == 0.025
    assert every.dtype == torch.float32


def test_the_data_may_lie_as_the_package_has_them(path: Path, tmp_path: Path) -> None:
    assert corpus(tmp_path).fingerprint() == corpus(path).fingerprint()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y": np.array([object()], dtype=object)}, "not the recordings"),  # a pickle, which is not opened
        ({"lengths": np.ones(3, int)}, "disagree"),
        ({"X": np.zeros((5, 13))}, "disagree"),
        ({"X": None}, "not the recordings"),
        ({"y": np.full(200, 11)}, "something else than digits"),
        ({"y": np.full(200, 3)}, "has 0 recordings of 'zero', and needs ten"),
    ],
)
def test_other_files_are_refused_by_name(path: Path, changed: dict[str, Any], message: str) -> None:
    with np.load(path) as kept:
        arrays = {**kept, **changed}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(DataError, match=message) as error:
        corpus(path)
    assert str(path) in str(error.value)


def test_torn_and_missing_files_are_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match="not the recordings"):
        corpus(path)
    path.unlink()
    with pytest.raises(DataError, match="not the recordings") as error:
        corpus(path)
    assert error.value.hint == "hardpp data fetch spoken-digits"
    with pytest.raises(ValueError, match="at least one string"):
        spoken_digits.corpus(path, sizes={**SIZES, "dev": 0})


@pytest.mark.skipif(not FETCHED.is_dir(), reason="needs the data fetched")
def test_the_published_data() -> None:
    found = spoken_digits.corpus(FETCHED)
    assert [len(part) for part in (found.train, found.dev, found.test)] == [2000, 200, 200]
    every = spoken_digits.recordings(FETCHED / spoken_digits.MEMBER)
    assert [sum(one.digit == digit for one in every) for digit in range(10)] == [300] * 10
    assert {len(one.frames) for one in every} >= {6, 92}
    # The first coefficient is how loud it is: lower at the ends of a recording than in its middle.
    ends = torch.stack([one.frames[place, 0] for one in every for place in (0, -1)])
    middles = torch.stack([one.frames[len(one.frames) // 2, 0] for one in every])
    assert ends.median() < middles.median() - 100
