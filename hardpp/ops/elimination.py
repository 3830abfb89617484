"""Variable elimination: sums over all variables, and draws, the mode and expectations from the same steps.

The product f of all factors is summed over its variables one by one. To sum out v, multiply the factors
that contain v and sum the product over v; the result is a factor over the neighbours of v:

    m(later) = sum_v  g(v, later),    g = product of the factors (and messages) with v

On a chain, taken from its start, m is the forward recursion, whose cost is linear in the length. After
the last variable the logarithm of the whole sum is left. The products g are kept, because

    p(v | later) = g(v, later) / m(later)                                               (*)

is the distribution of v given the variables eliminated after it, with the rest summed out: by the chain
rule their product is the joint distribution f / sum f. Hence

- *draws*: go back through the eliminations and draw each variable from (*) at the values drawn so far.
  On a chain that is forward filtering, backward sampling.
- *the mode*: eliminate with max in place of sum and take the largest value of each g on the way back.
  On a chain that is the Viterbi algorithm.
- *expectations*: E[h(v, later)] given `later` is sum_v p(v | later) h(v, later); go forward through the
  eliminations and push h through each.

Marginals are gradients of the log of the sum. A variable in a plate stands for one variable an element;
factors inside the plate are multiplied over it before a variable outside is summed out.

Source: Koller and Friedman (2009), Probabilistic Graphical Models, chapters 9, 12 and 13; Obermeyer et
al. (2019), Tensor Variable Elimination for Plated Factor Graphs (plates).
"""

import heapq
from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import NamedTuple

import torch

from hardpp.ops.marginal import IMPOSSIBLE, Factor, Plates, Reduce, align, at, log_sum, spread, without


class CrossedPlates(ValueError):
    """Two variables depend on each other, and each is in a plate that the other is not in."""

    def __init__(self, variables: tuple[str, str]):
        super().__init__(f"variables {variables[0]!r} and {variables[1]!r} are in plates that cross")
        self.variables = variables


class Step(NamedTuple):
    """One elimination."""

    variable: str
    product: Factor  # g, over the variable and those eliminated after it


class Elimination(NamedTuple):
    """All steps in order."""

    steps: list[Step]
    left: list[Factor]  # over plates only


def eliminate(factors: Iterable[Factor], plates: Plates, reduce: Reduce = log_sum) -> Elimination:
    """Sums all variables out of a product of factors, innermost plates first.

    Args:
        factors: the factors of a model; a letter that is no variable is a plate.
        plates: every variable, in the order of the program, with the letters of its plates.
        reduce: `log_sum`, or `torch.amax` for the largest term in place of the sum.

    Raises:
        CrossedPlates: the sum does not factorise over plates; no variable may be summed out first.
    """
    factors = list(factors)
    order = elimination_order(factors, plates)
    waiting = _Waiting(order, factors)
    steps = []
    for variable in order:
        holding = waiting.holding[variable]
        if holding:  # a variable of one value may have no dim
            product = align([_multiplied(factor, variable, plates) for factor in holding])
            steps.append(Step(variable, product))
            waiting.add(without(product, variable, reduce))
    return Elimination(steps, waiting.left)


def _multiplied(factor: Factor, variable: str, plates: Plates) -> Factor:
    outer = _outer(factor, variable, plates)
    for other in factor.dims if outer else "":
        if other in plates and not plates[other].isdisjoint(outer):
            raise CrossedPlates((variable, other))
    return without(factor, outer)


# The plates of a factor that the variable is outside of.
def _outer(factor: Factor, variable: str, plates: Plates) -> list[str]:
    own = plates[variable]
    return [d for d in factor.dims if d not in plates and d not in own]


def elimination_order(factors: Iterable[Factor], plates: Plates) -> list[str]:
    """Innermost plates first; among equals the variable with the fewest neighbours, then program order.

    On a chain that is program order. A variable that many others depend on (the class of a sequence, the
    root of a star) waits for them: summed out first, it would tie all of them into one table.
    """
    near: dict[str, set[str]] = {variable: set() for variable in plates}
    for factor in factors:
        held = {d for d in factor.dims if d in near}
        for variable in held:
            near[variable] |= held - {variable}
    order_of = {variable: i for i, variable in enumerate(plates)}
    depth = {variable: -len(own) for variable, own in plates.items()}
    queue = [(depth[v], len(near[v]), order_of[v], v) for v in plates]
    heapq.heapify(queue)
    order = []
    while queue:
        _, degree, _, variable = heapq.heappop(queue)
        if variable not in near or degree != len(near[variable]):  # done, or no longer true
            continue
        order.append(variable)
        others = near.pop(variable)
        for other in others:
            near[other] = (near[other] | others) - {variable, other}
            heapq.heappush(queue, (depth[other], len(near[other]), order_of[other], other))
    return order


def largest_table(factors: Iterable[Factor], plates: Plates, sizes: Mapping[str, int]) -> tuple[int, str]:
    """How many numbers the largest product of an elimination would have, and over which letters.

    Args:
        factors: the factors of a model.
        plates: every variable, with the letters of its plates.
        sizes: how many values each letter has.
    """
    waiting = [set(factor.dims) for factor in factors]
    most, over = 1, ""
    for variable in elimination_order(factors, plates):
        holding = [dims for dims in waiting if variable in dims]
        waiting = [dims for dims in waiting if variable not in dims]
        outer = {d for dims in holding for d in dims if d not in plates and d not in plates[variable]}
        product = set().union(*holding) - outer
        number = prod(sizes.get(d, 1) for d in product)
        if number > most:
            most, over = number, "".join(sorted(product))
        waiting.append(product - {variable})
    return most, over


def trace_back(steps: list[Step], choose: Callable[[str, Factor], Factor]) -> dict[str, Factor]:
    """A value of every variable, each chosen given those eliminated after it.

    `choose` is given a variable and its factor at the values chosen so far (up to a constant the logarithm of
    (*) above, unless the elimination took the maximum). It returns an index tensor over the other dims of the
    factor or more.
    """
    values: dict[str, Factor] = {}
    for variable, product in reversed(steps):
        values[variable] = choose(variable, at(product, values))
    return values


def expectation(steps: list[Step], terms: Iterable[Factor], plates: Plates) -> list[Factor]:
    """The mean of a sum of terms under the distribution that was eliminated.

    Args:
        steps: of an elimination with `log_sum`.
        terms: the values to average (not their logarithms); they add up over plates.
        plates: every variable, with the letters of its plates.

    Returns:
        Terms over plates only, whose sum is the mean. A value of probability zero adds nothing, even where
        its term is infinite; if a term is infinite at another value so is the mean, without a gradient.
    """
    waiting = _Waiting([step.variable for step in steps], terms)
    for variable, (log_weight, dims) in steps:
        weight = Factor(log_weight.clamp_min(IMPOSSIBLE).softmax(dims.index(variable)), dims)
        holding = [_added_up(term, variable, plates) for term in waiting.holding[variable]]
        # Terms over dims of the weight only become one sum; the others would make it larger.
        narrow = [term for term in holding if set(term.dims) <= set(dims)]
        wide = [term for term in holding if not set(term.dims) <= set(dims)]
        for term in [align(narrow), *wide] if narrow else wide:
            waiting.add(_mean(weight, term, variable))
    return waiting.left


# Plates of other variables wait for those: means add up over plates, in whichever order.
def _added_up(term: Factor, variable: str, plates: Plates) -> Factor:
    others = {d for other in term.dims if other in plates for d in plates[other]}
    return without(term, [d for d in _outer(term, variable, plates) if d not in others])


def _mean(weight: Factor, term: Factor, variable: str) -> Factor:
    dims = "".join(sorted(set(term.dims) - set(weight.dims))) + weight.dims
    probability = spread(weight, dims)
    value = spread(term, dims).where(probability > 0, 0.0)
    never = value.isinf()
    axis = dims.index(variable)
    mean = (probability * value.masked_fill(never, 0.0)).sum(axis)
    return Factor(mean.masked_fill(never.any(axis), -torch.inf), dims.replace(variable, ""))


class _Waiting:
    """Factors by the first of their variables to be eliminated, so that no step searches all of them."""

    def __init__(self, order: list[str], factors: Iterable[Factor]):
        self.rank = {variable: place for place, variable in enumerate(order)}
        self.holding: dict[str, list[Factor]] = {variable: [] for variable in order}
        self.left: list[Factor] = []
        for factor in factors:
            self.add(factor)

    def add(self, factor: Factor) -> None:
        held = [d for d in factor.dims if d in self.rank]
        (self.holding[min(held, key=self.rank.__getitem__)] if held else self.left).append(factor)
