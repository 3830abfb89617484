"""Sums over all paths of a long lattice, whose arcs are made block by block and never kept together.

One pass forwards keeps the messages at the beginnings of blocks alone. A pass backwards makes the arcs of
each block once more, its messages from the kept one on, and from them the probabilities of its arcs. So arcs
are made twice, and with blocks of sqrt(N) steps about 2 sqrt(N) messages of N are held. The answer is that of
`hardpp.ops.lattice` but for rounding.

Source: Chen, Xu, Zhang and Guestrin (2016), Training Deep Nets with Sublinear Memory Cost, for the blocks.
Shapes: N steps, S states, J transitions, R steps of a block.
"""

from collections.abc import Callable, Iterator
from math import isqrt
from typing import NamedTuple

import torch
from torch import Tensor

from hardpp.ops.lattice_messages import (
    arc_marginals_and_message,
    data_first,
    first_message,
    forward_messages,
    steps_first,
)

ArcsOf = Callable[[int, int], Tensor]  # steps from the first to before the last -> their arcs (R, S, J)


class PathBlocks(NamedTuple):
    """All paths of one datum, whose arcs are made block by block; O emissions are looked for."""

    arcs: ArcsOf
    # First step and probabilities (R, S, J) of arcs -> of each emission at each step, (R, O), and its frame.
    emissions: Callable[[int, Tensor], tuple[Tensor, Tensor]]
    steps: int  # N
    end: Tensor  # (S,)


@torch.no_grad()
def blocked_log_total(arcs_of: ArcsOf, steps: int, end: Tensor) -> Tensor:
    """The log of the sum over all paths, (), as `log_total` has it; `end` is (S,)."""
    alpha, total = None, end.new_zeros(())
    for first, last in _blocks(steps):
        messages, centres = forward_messages(steps_first(arcs_of(first, last)), start=alpha)
        alpha, total = messages[-1], total + centres.sum()
    return end[0] if alpha is None else total + (alpha + end).logsumexp(-1)


@torch.no_grad()
def blocked_marginals(arcs_of: ArcsOf, steps: int, end: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Probabilities of arcs by blocks, the last block first: its first step, and (R, S, J).

    Args:
        arcs_of: makes the arcs of a block, the same each time.
        steps: N.
        end: (S,), the weight of ending in each state.
    """
    kept: list[Tensor] = []
    alpha = None
    for first, last in _blocks(steps):
        by_step = steps_first(arcs_of(first, last))
        kept.append(first_message(by_step) if alpha is None else alpha)
        alpha = forward_messages(by_step, start=kept[-1])[0][-1]
    beta = end
    for (first, last), start in zip(reversed(_blocks(steps)), reversed(kept), strict=True):
        by_step = steps_first(arcs_of(first, last))
        messages, _ = forward_messages(by_step, start=start)
        marginals, beta = arc_marginals_and_message(by_step, messages, beta)
        yield first, data_first(marginals)


def _blocks(steps: int) -> list[tuple[int, int]]:
    length = max(1, isqrt(steps))
    return [(first, min(first + length, steps)) for first in range(0, steps, length)]
