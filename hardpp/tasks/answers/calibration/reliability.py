"""Reliability: do things that are called 80 % probable come true 80 times in 100?

Of probabilities p[n] and whether each came true, y[n], in bins b of equal width:

    predicted[b] = mean of p in b        observed[b] = share of y in b
    ECE = sum over b (share of data in b) |observed[b] - predicted[b]|

Of intervals there is a row for each probability that they claim: how many hold what they should. Their ECE
is the mean of |observed - predicted| over the rows.

Sources: Guo, Pleiss, Sun and Weinberger (2017), On Calibration of Modern Neural Networks, equation 3; for
intervals Kuleshov, Fenner and Ermon (2018), Accurate Uncertainties for Deep Learning Using Calibrated
Regression.
Shapes: N probabilities, L levels.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

BINS = 10

# `what` it is of, `ece`, `count` and `rows`: dicts of `bin` (text), `predicted`, `observed`, `error` (the
# standard error of `observed`, if data are independent) and `count`.
Curve = dict[str, Any]


def of_probabilities(what: str, probabilities: ArrayLike, came_true: ArrayLike, bins: int = BINS) -> Curve:
    """The curve of probabilities (N,), 0 to 1, of things that came true or not, (N,) bool.

    Empty bins have no row. Without anything there are no rows, and the ECE is NaN.

    Raises:
        ValueError: unequal numbers, or a probability outside 0 to 1.
    """
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(came_true, dtype=bool)
    if p.ndim != 1 or p.shape != y.shape:
        raise ValueError(f"expected as many probabilities as outcomes, got {p.shape} and {y.shape}")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("expected probabilities from 0 to 1")
    index = np.minimum((p * bins).astype(np.int64), bins - 1)
    rows = []
    for b in range(bins):
        inside = index == b
        if inside.any():
            name = f"{b / bins:.4g}-{(b + 1) / bins:.4g}"
            rows.append(_row(name, float(p[inside].mean()), int(y[inside].sum()), int(inside.sum())))
    gaps = [row["count"] * abs(row["observed"] - row["predicted"]) for row in rows]
    ece = sum(gaps) / len(p) if len(p) else float("nan")
    return {"what": what, "ece": ece, "count": len(p), "rows": rows}


def of_intervals(what: str, levels: Sequence[float], held: ArrayLike) -> Curve:
    """The curve of intervals that claim to hold the truth with each of L levels: held (L, N) bool.

    Raises:
        ValueError: not as many rows as levels.
    """
    inside = np.asarray(held, dtype=bool)
    if inside.ndim != 2 or len(inside) != len(levels):
        raise ValueError(f"expected a row for each of {len(levels)} levels, got {inside.shape}")
    count = inside.shape[1]
    rows = [
        _row(f"{level:.0%}", level, int(row.sum()), count)
        for level, row in zip(levels, inside, strict=True)
        if count
    ]
    gaps = [abs(row["observed"] - row["predicted"]) for row in rows]
    return {
        "what": what,
        "ece": sum(gaps) / len(gaps) if gaps else float("nan"),
        "count": count,
        "rows": rows,
    }


def _row(name: str, predicted: float, true: int, count: int) -> dict[str, Any]:
    observed = true / count
    # Of a share of a few: Agresti and Coull's, which is not zero where all or none came true.
    share = (true + 2) / (count + 4)
    error = sqrt(share * (1 - share) / (count + 4))
    return {"bin": name, "predicted": predicted, "observed": observed, "error": error, "count": count}
