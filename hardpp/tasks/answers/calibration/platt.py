"""Platt scaling: a logistic regression from scores to probabilities that mean what they say.

    P(true | scores) = sigmoid(a + sum_f b[f] scores[f])

fitted to scores of things known to be true or false, by Newton's method within a trust region. As in Platt's
paper what is true counts as (n1 + 1) / (n1 + 2) true, and what is false as 1 / (n0 + 2), for n1 and n0 of
them, so that no slope runs away where both can be told apart.

Source: Platt (1999), Probabilistic Outputs for Support Vector Machines.
Shapes: N things, F scores of each.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating[Any]]

FEWEST = 20  # of each kind: fewer say nothing about two numbers
_SMALLEST = 1e-6  # probabilities nearer to 0 or 1 count as so much


class Platt(NamedTuple):
    """A fitted map."""

    intercept: float  # a
    slopes: tuple[float, ...]  # b, (F,)
    fitted_to: int  # N

    def __call__(self, scores: ArrayLike) -> Floats:
        """Scores (N, F) -> probabilities (N,)."""
        x = np.asarray(scores, dtype=np.float64).reshape(-1, len(self.slopes))
        probabilities: Floats = _sigmoid(self.intercept + x @ np.asarray(self.slopes))
        return probabilities


def logits(probabilities: ArrayLike) -> Floats:
    """log p - log (1 - p), of any shape; finite also for 0 and 1."""
    p = np.clip(np.asarray(probabilities, dtype=np.float64), _SMALLEST, 1 - _SMALLEST)
    out: Floats = np.log(p) - np.log1p(-p)
    return out


def fit(scores: ArrayLike, true: ArrayLike) -> Platt:
    """The map that makes the outcomes (N,) bool of scores (N, F) most probable.

    Raises:
        ValueError: fewer than `FEWEST` true ones, or false ones.
    """
    from scipy.optimize import minimize  # slow to import, and most verbs never need it

    x, y = np.asarray(scores, dtype=np.float64), np.asarray(true, dtype=bool)
    n1, n0 = int(y.sum()), int((~y).sum())
    if min(n1, n0) < FEWEST:
        raise ValueError(f"{FEWEST} true and {FEWEST} false ones are needed, there are {n1} and {n0}")
    target = np.where(y, (n1 + 1) / (n1 + 2), 1 / (n0 + 2))
    design = np.column_stack([np.ones(len(x)), x])
    weights = np.zeros(design.shape[1])
    weights[0] = np.log((n1 + 1) / (n0 + 1))

    def slope(weights: Floats) -> Floats:
        gradient: Floats = design.T @ (_sigmoid(design @ weights) - target)
        return gradient

    def curvature(weights: Floats) -> Floats:
        p = _sigmoid(design @ weights)
        hessian: Floats = (design * (p * (1 - p))[:, None]).T @ design
        return hessian

    # Scores that are all alike, or two that always agree, leave a direction open: it stays where it was.
    found = minimize(
        lambda weights: _loss(design @ weights, target),
        weights,
        jac=slope,
        hess=curvature,
        method="trust-exact",
        options={"gtol": 1e-9 * len(x)},
    )
    weights = found.x
    return Platt(float(weights[0]), tuple(map(float, weights[1:])), len(x))


def _sigmoid(x: Floats) -> Floats:
    out: Floats = np.exp(-np.logaddexp(0, -x))
    return out


def _loss(x: Floats, target: Floats) -> float:
    return float((np.logaddexp(0, x) - target * x).sum())
