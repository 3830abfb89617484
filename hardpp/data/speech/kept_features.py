"""Static features of recordings in files of numbers that are looked at where they lie (memory-mapped).

A folder holds `static.bin`, the 41 static features of all frames of all recordings in half precision, one
after the other; `about.safetensors`, what is asked of all recordings whenever training begins, so that their
frames need not be read for it; and `digests-N.json`, their digests where N frames become one, from when they
were first asked for. One recording is in memory while they are computed.

Shapes: n recordings, M frames of one.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from hardpp.data.atomic_files import write_file
from hardpp.data.speech import log_mel
from hardpp.data.speech.utterances import Normalisation
from hardpp.errors import DataError, ResourceError

STATIC = log_mel.BANDS + 1
_FRAMES, _ABOUT = "static.bin", "about.safetensors"


class Loudness(NamedTuple):
    """How loud a recording is; energies of windows, in nats."""

    loud: float  # of its loudest tenth, the least
    loudest: float

    @classmethod
    def of(cls, static: Tensor) -> "Loudness":
        """That of static features (M, 41)."""
        energy = static[:, log_mel.BANDS].float()
        return cls(float(energy.quantile(_LOUD)), float(energy.max()))

    @property
    def level(self) -> float:
        """How loud the loudest tenth is: decibels from full scale, minus infinity of digital silence."""
        return log_mel.decibels(self.loud) if self.loud > 0 else -float("inf")


_LOUD = 0.9  # quantile of the energies of windows


class KeptFeatures:
    """The features of a folder.

    Raises:
        DataError: what lies there is damaged.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        try:
            about = safetensors.torch.load_file(folder / _ABOUT)
            self.lengths: list[int] = about["lengths"].tolist()
            self.normalisation = Normalisation(about["mean"], about["deviation"])
            self.levelled = Normalisation(about["levelled_mean"], about["levelled_deviation"])
            self.loudness = [Loudness(*row) for row in about["loudness"].tolist()]
            size = STATIC * sum(self.lengths)
            if os.path.getsize(folder / _FRAMES) != 2 * size:
                raise OSError(f"{_FRAMES} is not of {2 * size:,} bytes")
            frames = torch.from_file(str(folder / _FRAMES), shared=False, size=size, dtype=torch.float16)
        except (OSError, KeyError, RuntimeError, SafetensorError) as error:
            raise _damaged(folder, str(error)) from error
        self.static = frames.view(-1, STATIC).split(self.lengths)
        self._digests: dict[int, list[str]] = {}

    def digest(self, number: int, stacked: int, compute: Callable[[int], str]) -> str:
        """The digest of a recording, where `compute` gives that of any; all are computed once, and kept.

        Raises:
            DataError: the frames have been changed since.
        """
        if stacked not in self._digests:
            self._digests[stacked] = self._kept_digests(stacked, compute)
        return self._digests[stacked][number]

    def _kept_digests(self, stacked: int, compute: Callable[[int], str]) -> list[str]:
        path, before, written_before = self.folder / f"digests-{stacked}.json", None, None
        with suppress(OSError, ValueError, KeyError, TypeError):
            table = json.loads(path.read_bytes())
            before, written_before = table["digests"], table["written"]
        written = (self.folder / _FRAMES).stat().st_mtime_ns
        if not isinstance(before, list) or len(before) != len(self.lengths):
            before = None  # nothing to compare with
        if before is not None and written == written_before:
            return before
        digests = [compute(each) for each in range(len(self.lengths))]
        if before is not None and before != digests:
            raise _damaged(self.folder, f"{_FRAMES} holds other numbers than it did")
        with suppress(ResourceError):  # of a cache that can only be read
            write_file(path, json.dumps({"written": written, "digests": digests}).encode())
        return digests


def keep(folder: Path, features: Iterable[Tensor], train: int, shift: Callable[[Loudness], float]) -> None:
    """Writes the static features (M, 41) of recordings, of which the first `train` are to normalise by.

    `shift` is what levelling adds to the features of a recording of some loudness.
    """
    lengths, loudness = [], []
    with (folder / _FRAMES).open("wb") as file:
        for static in features:
            file.write(static.numpy().tobytes())
            lengths.append(len(static))
            loudness.append(Loudness.of(static))
    size = STATIC * sum(lengths[:train])
    frames = torch.from_file(str(folder / _FRAMES), shared=False, size=size, dtype=torch.float16)
    rows = frames.view(-1, STATIC).split(lengths[:train])
    recorded = log_mel.normalisation(_with_deltas(rows, [0.0] * train))
    levelled = log_mel.normalisation(_with_deltas(rows, [shift(each) for each in loudness[:train]]))
    tensors = {
        "lengths": torch.tensor(lengths),
        "loudness": torch.tensor(loudness),
        "mean": recorded.mean,
        "deviation": recorded.deviation,
        "levelled_mean": levelled.mean,
        "levelled_deviation": levelled.deviation,
    }
    (folder / _ABOUT).write_bytes(
        safetensors.torch.save(tensors)
    )  # save_file raises no OSError on a full disk


def _damaged(folder: Path, what: str) -> DataError:
    return DataError(f"{folder}: damaged features ({what})", "remove the folder and try again")


def _with_deltas(rows: Sequence[Tensor], shifts: Sequence[float]) -> Iterator[Tensor]:
    return (log_mel.with_deltas(static.float() + shift) for static, shift in zip(rows, shifts, strict=True))
