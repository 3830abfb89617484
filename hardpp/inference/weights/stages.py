"""Stages of a program: which latent a term of log p comes after.

Stage 0 is what a program does before its first latent, stage s what it does from the s-th latent of the guide
up to the next one. A term of an earlier stage cannot depend on a later latent (a program runs forwards), so
sums over stages >= s are all that the s-th latent is to be credited with: the causal credit of
`pyro.infer.TraceGraph_ELBO`, without its provenance.

A model may draw the latents in another order than the guide. Its terms then belong to the last of the
guide's latents that it has drawn so far, for they may depend on any of these.

A `StepIndependent` site is as many latents as it has steps, so it fills a block of stages; a
`StepIndependent` observation of as many steps after it is spread over the same block.

Source: Schulman et al. (2015), Gradient Estimation Using Stochastic Computation Graphs.
Shapes: K particles, I instances, N stages, T steps of a `StepIndependent` site.
"""

from collections.abc import Sequence
from functools import reduce
from operator import add

import torch
from torch import Tensor

from hardpp.inference.weights.sample_sites import Site, steps_of


class Stages:
    """Model terms by the latent of the guide that they come after: a stage, or a block of T stages."""

    def __init__(self, guide_sites: dict[str, Site]):
        self.number = {name: i for i, name in enumerate(guide_sites, start=1)}
        self.steps = [None, *(steps_of(site) for site in guide_sites.values())]
        self.blocks: list[list[Tensor]] = [[] for _ in self.steps]
        self.last: list[list[Tensor]] = [[] for _ in self.steps]  # of the last stage of a block
        self.reached = 0

    def add(self, name: str, steps: int | None, term: Tensor | None) -> None:
        """Takes the term of a site, (K or 1, *I), or (K or 1, *I, T) by step; sites come in program order.

        None stands for a site without a term, which is passed all the same.
        """
        own = self.number.get(name, 0)
        self.reached = max(self.reached, own)
        if term is None:
            return
        # A latent that the guide draws before the reached one may depend on any of its steps.
        if steps is not None and steps == self.steps[self.reached] and own in (0, self.reached):
            self.blocks[self.reached].append(term)
        else:
            self.last[self.reached].append(term if steps is None else term.sum(-1))

    def sums(self, none: Tensor) -> Tensor:
        """What each stage adds up to, (rows, *I, N), given zeros (rows, *I)."""
        if all(steps is None for steps in self.steps):
            return self._one_column_each(none)
        out = []
        for steps, block, last in zip(self.steps, self.blocks, self.last, strict=True):
            total = sum(last, none)
            if steps is not None:
                each = sum(block, none.unsqueeze(-1).expand(*none.shape, steps))
                total = torch.cat([each[..., :-1], (each[..., -1] + total).unsqueeze(-1)], -1)
            out.append(total)
        return side_by_side(out, none.shape)

    # First and further terms are summed as two tables, and not stage by stage.
    def _one_column_each(self, none: Tensor) -> Tensor:
        first = side_by_side([last[0] if last else none for last in self.last], none.shape)
        if all(len(last) < 2 for last in self.last):
            return first
        more = [reduce(add, last[1:]) if last[1:] else none for last in self.last]
        return first + side_by_side(more, none.shape)


def side_by_side(columns: Sequence[Tensor], shape: Sequence[int]) -> Tensor:
    """Columns and blocks of T columns as one tensor (rows, *I, N).

    Args:
        columns: what broadcasts to (rows, *I) or, with all its dims, to (rows, *I, T).
        shape: (rows, *I).
    """
    dims = len(shape)
    full = [column.expand(*shape, *column.shape[dims:]) for column in columns]
    if all(column.dim() == dims for column in full):
        return torch.stack(full, -1)
    return torch.cat([column if column.dim() > dims else column.unsqueeze(-1) for column in full], -1)
