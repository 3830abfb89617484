"""The factors of a program whose latents are enumerated, and what their letters mean.

Shapes: B data; plates as in the program; S values of a latent.
"""

from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from hardpp.errors import ResourceError, UsageError
from hardpp.ops.available_memory import available_bytes
from hardpp.ops.elimination import CrossedPlates, Elimination, eliminate, largest_table
from hardpp.ops.marginal import Factor, Reduce, infinite, log_sum, spread, without

SMALL = 10**6  # numbers in a table that always fits
COPIES = 3  # of a table in memory: itself, the sum's parts, and its gradient

Scale = float | Tensor | Factor  # one number, or a factor over plates


class FactorGraph(NamedTuple):
    """The factors of a program, and what their letters mean."""

    factors: dict[str, Factor]  # log-probabilities (masked, unscaled) by site, in program order
    latents: dict[str, str]  # the letter of every latent site, in program order
    masks: dict[str, Factor]  # by latent site, True where it counts; a site without counts everywhere
    plates: dict[str, frozenset[str]]  # by letter of a latent, the letters of its plates
    places: dict[str, int]  # by letter of a plate, its dim in the program, negative
    sizes: dict[str, int]  # by letter of a plate
    data: str  # the letter of the plate of data; "" where the whole batch is one datum
    dtype: torch.dtype  # of the program's log-probabilities
    scales: dict[str, Scale]  # by site, what plates and poutine.scale multiply it with
    scale: Scale  # the one scale of all sites that depend on latents
    constants: tuple[Factor, ...]  # scaled, of sites that depend on no latent and have another scale
    letters: dict[str, str]  # of plates, by name

    def plates_in_order(self, latent: str) -> str:
        """The letters of a latent's plates as they stand in the program, outermost first."""
        return "".join(sorted(self.plates[self.latents[latent]], key=self.places.__getitem__))

    def eliminate(self, reduce: Reduce = log_sum) -> Elimination:
        """Sums out all latents (see `hardpp.ops.elimination.eliminate`).

        Raises:
            ResourceError: a table on the way does not fit into memory.
            UsageError: the sum does not factorise.
        """
        self._check_memory()
        try:
            return eliminate(self.factors.values(), self.plates, reduce)
        except CrossedPlates as fault:
            name = {letter: site for site, letter in self.latents.items()}
            first, second = (name[letter] for letter in fault.variables)
            raise UsageError(
                f"sites {first!r} and {second!r} depend on each other, but neither is inside all plates of "
                "the other: such a sum does not factorise"
            ) from fault

    def _check_memory(self) -> None:
        held = [factor for factor in self.factors.values() if factor.log_value.numel() > 1]
        sizes = {d: n for f in held for d, n in zip(f.dims, f.log_value.shape, strict=True)}
        if prod(sizes.values()) < SMALL:
            return
        number, letters = largest_table(held, self.plates, sizes)
        left = available_bytes(held[0].log_value.device)
        if left is not None and number * 8 * COPIES > left:
            over = [f"{name!r} ({sizes[d]} values)" for name, d in self.latents.items() if d in letters]
            shown = ", ".join(over[:4]) + (f" and {len(over) - 4} more" if len(over) > 4 else "")
            raise ResourceError(
                f"to sum out the latents takes a table of {number:.3g} numbers "
                f"({number * 8 / 2**30:.3g} GiB) over {shown}, which does not fit into memory"
            )

    def log_marginal(self) -> Tensor:
        """The log of the sum over all latents, scaled: (B,)."""
        return self.scaled(self.eliminate().left)

    def scaled(self, left: list[Factor]) -> Tensor:
        """What an elimination left, scaled, and added up as `per_datum` does: (B,)."""
        return self.per_datum([*(times(factor, self.scale) for factor in left), *self.constants])

    def per_datum(self, left: list[Factor]) -> Tensor:
        """Adds up factors over all plates but that of data, (B,); data share what is outside of it."""
        data, by_dims = self.data, dict[str, Tensor]()
        for value, dims in left:
            by_dims[dims] = by_dims[dims] + value if dims in by_dims else value
        size = self.sizes[data] if data else 1
        total = left[0].log_value.new_zeros(size)
        for dims, value in by_dims.items():
            each = spread(without(Factor(value, dims), set(dims) - set(data)), data)
            total = total + (each if data in dims else each / size)
        return infinite(total).to(self.dtype)


def times(factor: Factor, scale: Scale) -> Factor:
    """A factor whose log values are multiplied by a scale."""
    value, dims = factor
    if not isinstance(scale, Factor):
        return factor if isinstance(scale, float) and scale == 1.0 else Factor(value * scale, dims)
    dims = "".join(sorted(set(scale.dims) - set(dims))) + dims
    return Factor(spread(factor, dims) * spread(scale, dims), dims)
