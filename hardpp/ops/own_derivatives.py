"""How operations with derivatives of their own are run: plainly, within `torch.func` and `torch.compile`.

`torch.func.vmap` hands such an operation all elements at once, with a batch dim in some of its inputs. The
rules here need nothing but the operation itself: its inputs are brought to one shape, or it is run on each
element.

Source: PyTorch, Extending torch.func with autograd.Function, for the protocol.
Shapes: n elements.
"""

from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.autograd import forward_ad
from torch.overrides import has_torch_function

InDims = tuple[Any, ...]  # by input, its batch dim; None, or nested Nones, where it has none


def run(function: type[torch.autograd.Function], *inputs: Any) -> Any:
    """What an operation returns; without its bookkeeping where nobody can ask for a derivative.

    `torch.compile` leaves it alone: its loops are long, and what it does depends on values.
    """
    if torch.compiler.is_compiling():
        return torch.compiler.disable(_run)(function, *inputs)
    return _run(function, *inputs)


def _run(function: type[torch.autograd.Function], *inputs: Any) -> Any:
    return function.forward(*inputs) if is_plain(*inputs) else function.apply(*inputs)


def is_plain(*inputs: Any) -> bool:
    """Can nobody ask for a derivative of what is computed of these, nor are they several elements at once?"""
    wrapped = (is_functorch_wrapped_tensor(x) for x in inputs if isinstance(x, Tensor))
    return not (torch.is_grad_enabled() or any(wrapped))


def is_transformed(tensor: Tensor) -> bool:
    """Does anything but plain reverse mode look at a tensor: `torch.func`, forward mode, autocast?"""
    return (
        is_functorch_wrapped_tensor(tensor)
        or torch.compiler.is_compiling()
        or torch.is_autocast_enabled(tensor.device.type)
        or forward_ad._current_level >= 0
    )


def is_watched(tensor: Tensor) -> bool:
    """The same, or is it of a subclass, which a Function of torch's drops, as Pyro's provenance is?"""
    return has_torch_function((tensor,)) or is_transformed(tensor)


def batch_first(each: Tensor, dim: int | None, n: int) -> Tensor:
    """The tensor with its batch dim in front, repeated n times if it has none."""
    return each.expand(n, *each.shape) if dim is None else each.movedim(dim, 0)


def one_by_one(
    function: type[torch.autograd.Function], info: Any, in_dims: InDims, *inputs: Any
) -> tuple[tuple[Any, ...], InDims]:
    """Runs an operation with several outputs on each element, and stacks what it returns."""
    found = []
    for i in range(info.batch_size):
        each = [x.select(d, i) if isinstance(d, int) else x for x, d in zip(inputs, in_dims, strict=True)]
        found.append(run(function, *each))
    stacked = tuple(None if each[0] is None else torch.stack(each) for each in zip(*found, strict=True))
    return stacked, tuple(None if each is None else 0 for each in stacked)
