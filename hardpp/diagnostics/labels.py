"""Labels for arrays over sentences: batches of different widths become one array that knows its tokens.

Shapes: N sentences, B of them a batch, T steps (the end mark included), S source positions; ... = dims
left of the sentences.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hardpp.types import SequenceBatch

Array = NDArray[Any]
Rows = Sequence[int]  # which sentences a batch holds
Variable = tuple[str, Array, Mapping[str, Any]]  # dims apart by spaces, value, attributes


class Sentences(NamedTuple):
    """What sentences are called and made of: a label for every axis of an array."""

    names: Sequence[str]  # N, all different
    sources: Sequence[Sequence[str]]  # N token sequences, a label for every position
    targets: Sequence[Sequence[str]]  # N token sequences, without an end mark
    end: str = "</s>"  # stands for the last step of every target

    def source_mask(self) -> Array:
        """(N, S) bool."""
        return _mask([len(tokens) for tokens in self.sources])

    def step_mask(self) -> Array:
        """(N, T) bool; each target has one step more than tokens."""
        return _mask([len(tokens) + 1 for tokens in self.targets])

    def coordinates(self) -> dict[str, tuple[tuple[str, ...], Array]]:
        """Names and tokens ("" where padded), and numbered steps and sources."""
        S, T = self.source_mask().shape[1], self.step_mask().shape[1]
        return {
            "sentence": (("sentence",), np.array(self.names, dtype=str)),
            "step": (("step",), np.arange(T)),
            "source": (("source",), np.arange(S)),
            "target_token": (("sentence", "step"), _tokens([[*t, self.end] for t in self.targets], T)),
            "source_token": (("sentence", "source"), _tokens(self.sources, S)),
        }

    def check(self) -> None:
        """Raises ValueError if the three lists differ in length, are empty, or a name occurs twice."""
        given = (len(self.names), len(self.sources), len(self.targets))
        if len(set(given)) != 1 or not self.names:
            raise ValueError(f"expected as many names as sources and targets, and at least 1, got {given}")
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice:
            raise ValueError(f"sentences need names of their own, but {twice[0]!r} occurs more than once")

    def check_batch(self, rows: Rows, batch: SequenceBatch | SequenceBatch | SequenceBatch) -> None:
        """Raises ValueError if a batch's masks are not those of the sentences it is said to hold."""
        if len(rows) != batch.target.shape[0]:
            raise ValueError(f"expected a sentence for each of {batch.target.shape[0]} rows, got {len(rows)}")
        lengths = zip(batch.source_mask.sum(-1).tolist(), batch.target_mask.sum(-1).tolist(), strict=True)
        for row, given in zip(rows, lengths, strict=True):
            if not 0 <= row < len(self.names):
                raise ValueError(f"expected sentences 0 to {len(self.names) - 1}, got {row}")
            expected = (len(self.sources[row]), len(self.targets[row]) + 1)
            if given != expected:
                raise ValueError(
                    f"sentence {self.names[row]!r} has {expected} source tokens and steps, its batch {given}"
                )

    def check_all_seen(self, rows: Iterable[int]) -> None:
        """Raises ValueError unless the rows are every sentence once."""
        counts = Counter(rows)
        for row, name in enumerate(self.names):
            if counts[row] != 1:
                raise ValueError(f"every sentence belongs in one batch, but {name!r} is in {counts[row]}")


def dataset(sentences: Sentences, variables: Mapping[str, Variable]) -> xr.Dataset:
    """A data set of variables (dims, value, attributes) with all labels their dims call for."""
    out = {
        name: (tuple(dims.split()), value, dict(attrs)) for name, (dims, value, attrs) in variables.items()
    }
    used = {dim: size for dims, value, _ in out.values() for dim, size in zip(dims, value.shape, strict=True)}
    coordinates = {name: c for name, c in sentences.coordinates().items() if set(c[0]) <= set(used)}
    numbered = {dim: ((dim,), np.arange(used[dim])) for dim in ("chain", "draw") if dim in used}
    return xr.Dataset(out, coords=numbered | coordinates)


def placed(
    parts: Sequence[tuple[Rows, Array]], shape: tuple[int, ...], axis: int, mask: Array, fill: float
) -> Array:
    """Puts the batches' arrays where they belong in one array.

    Args:
        parts: rows (B) and array (..., B, *) of each batch; narrower than `shape` or wider by padding.
        shape: (..., N, *).
        axis: where the sentences are.
        mask: (N, *) bool, broadcasting from the left; elsewhere is padding.
        fill: what padding holds.
    """
    out = np.full(shape, fill, dtype=parts[0][1].dtype)
    for rows, part in parts:
        sizes = [slice(min(size, width)) for size, width in zip(part.shape, shape, strict=True)][axis + 1 :]
        before: list[Any] = [slice(None)] * axis
        out[(*before, np.asarray(rows), *sizes)] = part[(*before, slice(None), *sizes)]
    return np.where(mask, out, np.array(fill, dtype=out.dtype))


def _mask(lengths: Sequence[int]) -> Array:
    mask: Array = np.arange(max(lengths)) < np.array(lengths)[:, None]
    return mask


def _tokens(sequences: Sequence[Sequence[str]], width: int) -> Array:
    return np.array([[*tokens, *[""] * (width - len(tokens))] for tokens in sequences], dtype=str)
