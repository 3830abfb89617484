"""Labels for arrays over sentences: their names, and the tokens of every step and source position.

Shapes: N sentences, B of them a batch, T steps (the end mark included), S source positions.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from hardpp.diagnostics.labelled_tree import Array, Rows, text_labels
from hardpp.types import SequenceBatch


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

    def coordinates(self) -> dict[str, xr.Variable]:
        """Names, and tokens, which are "" where padded."""
        targets = [[*tokens, self.end] for tokens in self.targets]
        return {
            **text_labels({"sentence": self.names}, "sentence"),
            "target_token": xr.Variable(("sentence", "step"), _tokens(targets)),
            "source_token": xr.Variable(("sentence", "source"), _tokens(self.sources)),
        }

    def check(self) -> None:
        """Raises ValueError if the three lists differ in length, are empty, or a name occurs twice."""
        given = (len(self.names), len(self.sources), len(self.targets))
        if len(set(given)) != 1 or not self.names:
            raise ValueError(f"expected as many names as sources and targets, and at least 1, got {given}")
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice:
            raise ValueError(f"sentences need names of their own, but {twice[0]!r} occurs more than once")

    def check_batch(self, rows: Rows, batch: SequenceBatch) -> None:
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


def _mask(lengths: Sequence[int]) -> Array:
    mask: Array = np.arange(max(lengths)) < np.array(lengths)[:, None]
    return mask


def _tokens(sequences: Sequence[Sequence[str]]) -> Array:
    width = max(map(len, sequences))
    return np.array([[*tokens, *[""] * (width - len(tokens))] for tokens in sequences], dtype=str)
