import errno
import os
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from hardpp.data.digests import sha256_of_tensors
from hardpp.data.fetch.cache import cache_folder
from hardpp.data.speech import features, log_mel
from hardpp.data.speech.recordings import Recording
from hardpp.data.speech.sound_remarks import levels_of, remarks
from hardpp.data.speech.utterances import Segment
from hardpp.errors import DataError, ResourceError


class Noise:
    """Sound that counts how often it is asked for."""

    def __init__(self, seed: int, length: int = 8000):
        generator = torch.Generator().manual_seed(seed)
        self.wave = 0.1 * torch.randn(length, generator=generator)
        self.asked = 0

    def read(self) -> torch.Tensor:
        self.asked += 1
        return self.wave

    def digest(self) -> str:
        return sha256_of_tensors(self.wave)


class Counted(Noise):
    """Sound that knows how many waves are in memory."""

    alive: ClassVar[weakref.WeakSet[torch.Tensor]] = weakref.WeakSet()
    most = 0

    def read(self) -> torch.Tensor:
        wave = super().read().clone()
        Counted.alive.add(wave)
        Counted.most = max(Counted.most, len(Counted.alive))
        return wave


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HARDPP_DATA", str(tmp_path / "cache"))


def recording(seed: int, length: int = 8000) -> Recording:
    return Recording(
        f"u{seed}", "s", "m", Noise(seed, length), (Segment(0.0, 0.3, "a"), Segment(0.3, 0.5, "b"))
    )


def parts() -> dict[str, list[Recording]]:
    return {
        "train": [recording(0), recording(1, 5200), recording(2, 123)],
        "dev": [recording(3)],
        "test": [recording(4)],
    }


def asked(recordings: dict[str, list[Recording]]) -> list[int]:
    return [one.sound.asked for part in recordings.values() for one in part]  # type: ignore[attr-defined]


def test_frames_are_those_computed_at_once() -> None:
    given = parts()
    corpus = features.corpus("c", given, lambda text: None, folding={"a": None})
    assert [u.length for u in (*corpus.train, *corpus.dev, *corpus.test)] == [17, 11, 1, 17, 17]
    assert corpus.frame_seconds == pytest.approx(0.03)
    assert corpus.folding == {"a": None}
    deltas = [log_mel.with_deltas(log_mel.static(one.sound.read()).half().float()) for one in given["train"]]
    found = log_mel.normalisation(deltas)
    for utterance, rows in zip(corpus.train, deltas, strict=True):
        assert torch.equal(utterance.read(), log_mel.stack(found(rows)))
        assert utterance.read().dtype == torch.float32
        assert utterance.read().shape == (utterance.length, 369)
    assert corpus.train[0].tokens == ("a", "b")
    assert corpus.normalisation is not None
    assert torch.equal(corpus.normalisation.mean, found.mean)
    plain = features.corpus("c", given, pytest.fail, folding={}, stacked=1)
    assert plain.train[1].read().shape == (33, 123)
    assert plain.frame_seconds == 0.01


def test_features_are_computed_once() -> None:
    told: list[str] = []
    first = features.corpus("c", parts(), told.append, folding={})
    assert told == ["computing features of 5 utterances"]
    again = parts()
    second = features.corpus("renamed", again, pytest.fail, folding={})
    assert asked(again) == [0] * 5
    assert first.fingerprint() == second.fingerprint()
    third = parts()
    third["dev"][0] = recording(9)
    assert features.corpus("c", third, told.append, folding={}).fingerprint() != first.fingerprint()
    assert asked(third) == [1] * 5
    fourth = parts()
    fourth["dev"] = [fourth["train"].pop()] + fourth[
        "dev"
    ]  # the same sounds, but not the same to normalise by
    features.corpus("c", fourth, told.append, folding={})
    assert asked(fourth) == [1] * 5
    names = [path.name for path in cache_folder().iterdir()]
    assert len(names) == 3
    assert all(name.startswith("features-") for name in names)


def test_rounding_is_as_small_as_promised() -> None:
    wave = Noise(0, 160 * 500).wave
    exact = log_mel.static(wave)
    assert exact.max() < 32
    assert (features.static_features(wave).float() - exact).abs().max() <= 0.008


def test_what_the_cache_holds_may_be_damaged() -> None:
    features.corpus("c", parts(), lambda text: None, folding={})
    (path,) = cache_folder().glob("*/*.safetensors")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match="damaged features") as error:
        features.corpus("c", parts(), lambda text: None, folding={})
    assert str(path.parent) in str(error.value)


def test_a_full_disk_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ResourceError, match="No space left"):
        features.corpus("c", parts(), lambda text: None, folding={})
    assert list(cache_folder().iterdir()) == []


@pytest.mark.parametrize("length", [0, -82, 82])
def test_frames_that_are_too_few_or_too_many_are_damaged(length: int) -> None:
    features.corpus("c", parts(), lambda text: None, folding={})
    (path,) = cache_folder().glob("*/static.bin")
    content = path.read_bytes()
    path.write_bytes(content[:length] if length <= 0 else content + content[:length])
    with pytest.raises(DataError, match=r"damaged features \(static.bin"):
        features.corpus("c", parts(), lambda text: None, folding={})


@pytest.mark.parametrize("level", ["kept", "equal"])
def test_what_training_begins_with_reads_no_frames(level: features.Level) -> None:
    def asked_at_first() -> list[Any]:
        corpus = features.corpus("c", parts(), lambda text: None, folding={}, level=level)
        return [
            corpus.fingerprint(),
            levels_of(corpus.train),
            list(remarks(corpus.train)),
            corpus.normalisation,
        ]

    first = asked_at_first()
    (path,) = cache_folder().glob("*/static.bin")
    written = path.stat()
    path.write_bytes(bytes(written.st_size))
    os.utime(path, ns=(written.st_atime_ns, written.st_mtime_ns))  # else they are computed again
    again = asked_at_first()
    assert again[:3] == first[:3]
    assert all(torch.equal(*pair) for pair in zip(again[3], first[3], strict=True))


def test_kept_digests_are_those_of_the_frames() -> None:
    corpus = features.corpus("c", parts(), lambda text: None, folding={})
    frames: Any = corpus.train[0].frames
    plain = replace(frames, kept=None)
    assert frames.digest() == plain.digest()
    assert frames.level() == plain.level()
    other = log_mel.normalisation([torch.randn(9, 123)])
    (changed, *_) = features.renormalise(corpus.train, other)
    assert changed.frames.digest() != frames.digest()  # type: ignore[union-attr]
    for path in cache_folder().glob("*/digests-3.json"):
        path.write_text("[")
    assert features.corpus("c", parts(), pytest.fail, folding={}).fingerprint() == corpus.fingerprint()


def test_frames_that_changed_are_refused_once_their_digests_are_kept() -> None:
    kept = features.corpus("c", parts(), lambda text: None, folding={}).fingerprint()
    (path,) = cache_folder().glob("*/static.bin")
    os.utime(path, ns=(0, 0))  # written again, and the same
    assert features.corpus("c", parts(), pytest.fail, folding={}).fingerprint() == kept
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(DataError, match=r"damaged features \(static.bin holds other numbers than it did\)"):
        features.corpus("c", parts(), pytest.fail, folding={}).fingerprint()


def test_few_sounds_are_in_memory_at_once() -> None:
    given = parts()
    given["train"] = [recording(seed)._replace(sound=Counted(seed)) for seed in range(20)]
    features.corpus("c", given, lambda text: None, folding={})
    assert 1 <= Counted.most <= 3


def test_an_empty_part_is_refused() -> None:
    with pytest.raises(DataError, match="c: the dev part has no recordings"):
        features.corpus("c", {**parts(), "dev": []}, lambda text: None, folding={})
