"""Draws for several data at once, each from a stream of random numbers of its own.

What is drawn for a datum must not depend on which others are asked about with it. Taken one by one each has
a seed to itself, and pays for a run of the programs. Here they share the run, and the numbers drawn in it are
dealt out: of a tensor of them the part of every datum comes from that datum's generator, which gives what it
would give alone. Generators are the CPU's, so a seed means the same on every device.

Only what is drawn a datum at a time can be dealt out: `torch.rand`, and the rows of `multinomial`. A program
that draws otherwise is found out, as it has moved the global generator; its data are then taken one by one.

Shapes: B data; ... = any dims.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from hardpp.diagnostics.seeds import seeded, stream

T = TypeVar("T")

_RAND = (torch.rand,)
_MULTINOMIAL = (torch.multinomial, Tensor.multinomial)


class Undealt(Exception):
    """Something was drawn of which it cannot be told which numbers are whose."""


class DatumStreams(TorchFunctionMode):
    """Deals out random numbers among B data, while it is open.

    The data are the second dim of what is drawn where that has B, as in (particles, data, ...), else the
    first. Rows of a `multinomial` are (..., B) made flat.

    Args:
        seeds: B, one of each stream.

    Raises:
        Undealt: numbers of another shape.
    """

    def __init__(self, seeds: Sequence[int]):
        super().__init__()
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if "generator" not in kwargs:
            if function in _RAND:
                return self._rand(*args, **kwargs)
            if function in _MULTINOMIAL:
                return self._multinomial(*args, **kwargs)
        return function(*args, **kwargs)

    def _rand(self, *size: Any, device: Any = None, **options: Any) -> Tensor:
        shape = list(size[0]) if size and not isinstance(size[0], int) else list(size)
        B = len(self.generators)
        dim = 1 if len(shape) > 1 and shape[1] == B else 0
        if not shape or shape[dim] != B:
            raise Undealt(f"numbers of shape {tuple(shape)} for {B} data")
        del shape[dim]
        parts = [torch.rand(shape, generator=each, **options) for each in self.generators]
        return torch.stack(parts, dim).to(device)

    def _multinomial(self, weights: Tensor, *arguments: Any, **options: Any) -> Tensor:
        B = len(self.generators)
        if weights.dim() != 2 or len(weights) % B:
            raise Undealt(f"choices by weights of shape {tuple(weights.shape)} for {B} data")
        of_data = weights.cpu().unflatten(0, (-1, B)).unbind(1)
        parts = [
            rows.multinomial(*arguments, generator=each, **options)
            for rows, each in zip(of_data, self.generators, strict=True)
        ]
        return torch.stack(parts, 1).flatten(0, 1).to(weights.device)


def drawn_alike(
    compute: Callable[[slice], T], numbers: Sequence[int], seed: int, device: torch.device
) -> list[T]:
    """Computes something of some data, all at once if it can be, that is random and the same for each alone.

    Args:
        compute: takes which of the data (a part of them that follow one another), and draws.
        numbers: B, by which the streams of the data are told apart.
        seed: of all streams.
        device: where it draws.

    Returns:
        What was computed of all data, or of one after the other.
    """
    seeds, B = [stream(seed, number) for number in numbers], len(numbers)
    # Of 2 by 2 numbers it could not be told which dim is that of the data.
    if B > 2:
        with seeded(0, device):
            before = _state(device)
            try:
                with DatumStreams(seeds):
                    found = compute(slice(0, B))
            except Undealt:
                pass
            else:
                if torch.equal(_state(device), before):
                    return [found]
    alone = []
    for row in range(B):
        with seeded(seeds[row], device):
            alone.append(compute(slice(row, row + 1)))
    return alone


# Where the global random numbers are that a program on a device may draw from.
def _state(device: torch.device) -> Tensor:
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return torch.cat(states)
