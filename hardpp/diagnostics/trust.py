"""Which posteriors can be trusted: a word for every datum, the numbers behind it, and the rule.

    exact                 the exact posterior is beside the draws
    good                  the weighted draws can be averaged: a probability is right to about .1 or better
    few effective draws   the weights leave fewer than 25 draws
    heavy tail            pareto_k is above min(1 - 1 / log10(K), .7): what a few more draws would change is
                          unknown
    unseen values         no tail can be fitted, as the draws repeat discrete values, and more than a tenth of
                          the weight is on values drawn once: as much is likely to be on values not drawn
    too few draws         fewer than 30, which say nothing of their tail

The first line that is true from the bottom up counts, and `exact` before all. Weights are those of a whole
datum; an average over parts of it that are independent (`attention.marginal` where its weights are per step)
is better than the word says.

Source: the limit of pareto_k is that of Vehtari et al. (2024), section 3.2.4.
Shapes: K draws, N data.
"""

from collections import Counter
from math import log10
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hardpp.diagnostics.importance import (
    FEWEST_DRAWS,
    effective_sample_size,
    equal_draws,
    pareto_k,
    weight_drawn_once,
)

TRUSTED = ("exact", "good")
_FEWEST_EFFECTIVE = 25  # draws, among which the standard error of a probability is at most .1
_MOST_UNSEEN = 0.1
_RULE = (
    "exact: the exact posterior is in the group attention; too few draws: fewer than {fewest}; few "
    "effective draws: ess < {effective}; where pareto_k is finite, heavy tail: it is above {limit:.2f}; "
    "elsewhere, unseen values: weight_drawn_once > {unseen}; good: the rest"
)
_NO_TAIL = (
    "a number where the largest weights are at least 5 different ones; inf where 1 to 4 stand out and -inf "
    "where none does, as when draws repeat discrete values: trust then goes by weight_drawn_once"
)
_LEFT_OUT = f"left out: fewer than {FEWEST_DRAWS} draws have no tail that could be fitted"


def weight_statistics(
    log_weight: NDArray[Any], drawn: NDArray[Any], dim: str, *, exact: bool
) -> dict[str, xr.Variable]:
    """Log weights (K, N) in nats of draws (K, N, ...) of data along `dim`, and how far they can be trusted.

    The word of every datum is `trust`, whose attributes hold the rule.
    """
    K, firsts = len(log_weight), equal_draws(drawn)
    ess, once = effective_sample_size(log_weight), weight_drawn_once(log_weight, firsts)
    # Equal draws weigh the same, whatever rounding made of it.
    shape = pareto_k(np.take_along_axis(log_weight, firsts, 0))
    limit = pareto_limit(K)
    words = np.full(log_weight.shape[1], "good", dtype="<U19")
    words[np.where(np.isfinite(shape), False, once > _MOST_UNSEEN)] = "unseen values"
    words[np.where(np.isfinite(shape), shape > limit, False)] = "heavy tail"
    words[~(ess >= _FEWEST_EFFECTIVE)] = "few effective draws"
    if K < FEWEST_DRAWS:
        words[:] = "too few draws"
    if exact:
        words[:] = "exact"
    facts = {"fewest": FEWEST_DRAWS, "effective": _FEWEST_EFFECTIVE, "unseen": _MOST_UNSEEN, "limit": limit}
    about = {"rule": _RULE.format(**facts), "pareto_k": _NO_TAIL if K >= FEWEST_DRAWS else _LEFT_OUT}
    statistics = {
        "log_weight": xr.Variable(("chain", "draw", dim), log_weight[None], {"units": "nats"}),
        "ess": xr.Variable(("chain", dim), ess[None], {"units": "draws"}),
        "weight_drawn_once": xr.Variable(("chain", dim), once[None], {"units": "probability"}),
        "trust": xr.Variable(("chain", dim), np.array([words.tolist()]), about),
    }
    if K >= FEWEST_DRAWS:
        statistics["pareto_k"] = xr.Variable(("chain", dim), shape[None], {"where": _NO_TAIL})
    return statistics


def pareto_limit(draws: int) -> float:
    """The largest k with which an average over so many draws can be used."""
    return min(1 - 1 / log10(max(draws, 2)), 0.7)


def trust_summary(tree: xr.DataTree) -> str:
    """One sentence: how many data of a posterior can be trusted, and what helps the others."""
    if "sample_stats" not in tree.children or "trust" not in tree["sample_stats"]:
        return "nothing is said of how far these posteriors can be trusted"
    trust = tree["sample_stats"].to_dataset()["trust"]
    counts = Counter(map(str, trust.values.reshape(-1)))
    total, trusted = counts.total(), sum(counts[word] for word in TRUSTED)
    words = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    sentence = f"{trusted} of {total} posteriors can be trusted ({words})"
    if trusted == total:
        return sentence
    return f"{sentence}; what helps: more draws, the exact posterior where the model has one, a better guide"
