"""Cross-fitting: what a datum is judged by is never fitted to that datum.

The data to fit to are dealt into folds in the order of what each is, equal ones together. A datum that is
among them gets the fit of all other folds; any other datum gets the fit of all of them.

Source: Chernozhukov et al. (2018), Double/debiased machine learning, definition 3.1.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

FOLDS = 5
Fit = TypeVar("Fit")


class CrossFit(NamedTuple, Generic[Fit]):
    """A fit to all data, and one without each fold."""

    whole: Fit
    without: tuple[Fit, ...]  # one a fold
    folds: Mapping[str, int]  # of what each datum is that was fitted to

    def fit_for(self, datum: str) -> Fit:
        """The fit to judge a datum by."""
        return self.without[self.folds[datum]] if datum in self.folds else self.whole


def folds_of(data: Sequence[str]) -> dict[str, int]:
    """The fold of each datum, by what it is."""
    return {datum: place % FOLDS for place, datum in enumerate(sorted(set(data)))}


def cross_fit(data: Sequence[str], fit: Callable[[Sequence[int]], Fit]) -> CrossFit[Fit]:
    """Fits to all data and without each fold, by a function of places in `data`, which say what each is.

    Raises:
        ValueError: as `fit` does, of too few.
    """
    folds, everywhere = folds_of(data), range(len(data))
    without = [fit([place for place in everywhere if folds[data[place]] != left]) for left in range(FOLDS)]
    return CrossFit(fit(everywhere), tuple(without), folds)
