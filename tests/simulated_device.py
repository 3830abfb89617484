"""A second device in software: the CPU's numbers behind a device of its own, for what a GPU would refuse.

    device = simulated_device()
    with host_questions() as questions:
        module.to(device)(batch.to(device)).backward()
    assert questions == []

An operation on tensors of both devices raises, but for the exceptions that CUDA makes: numbers without
dims, and indices. Whatever would make the host wait for the device is a question of the host: a number or a
list that is read, indices of a mask, a copy back. Random numbers are the CPU's: a seed gives both the same.

torch knows one such device a process and keeps it; it has to be asked for before the first gradient is taken,
as the threads that take gradients are started then. So tests on it run in a process of their own.
"""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from recurrent_cells import RECURRENT
from torch import Tensor
from torch.utils import backend_registration

NAME = "simulated"
aten = torch.ops.aten

WAITING = {  # operations whose result, or its size, the host has to know
    *(aten._local_scalar_dense.default, aten.nonzero.default, aten.equal.default, aten.is_nonzero.default),
    *(
        aten.masked_select.default,
        aten._unique2.default,
        aten.repeat_interleave.Tensor,
        aten.bincount.default,
    ),
}
# Operations that may take indices from the host.
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}
COPIES = {aten.copy_.default, aten._to_copy.default}
# What makes tensors without being given any, which the type of its arguments cannot send here.
FACTORIES = (
    *("empty.memory_format", "empty_strided", "_copy_from", "_to_copy"),
    *(
        "scalar_tensor",
        "full",
        "zeros",
        "ones",
        "arange",
        "arange.start",
        "arange.start_step",
        "linspace",
        "eye",
        "eye.m",
    ),
    *("rand", "randn", "randint", "randint.low", "randperm", "randperm.generator"),
)

_asked: list[str] | None = None


@cache
def simulated_device() -> torch.device:
    """The device; torch learns of it at the first call."""
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Backend())
    for name in FACTORIES:
        packet, _, overload = name.partition(".")
        _register(f"aten::{name}", getattr(getattr(aten, packet), overload or "default"))
    return torch.device(f"{NAME}:0")


@contextmanager
def host_questions() -> Iterator[list[str]]:
    """What the host asks the device in this block: each operation with the line that it comes from."""
    global _asked
    before, _asked = _asked, []
    try:
        yield _asked
    finally:
        _asked = before


class SimulatedTensor(Tensor):
    """A tensor on the device; `host` holds its numbers."""

    host: Tensor

    @staticmethod
    def __new__(cls, host: Tensor) -> "SimulatedTensor":
        layout = {"strides": host.stride(), "storage_offset": host.storage_offset(), "layout": host.layout}
        tensor = Tensor._make_wrapper_subclass(
            cls, host.size(), dtype=host.dtype, device=simulated_device(), **layout
        )
        tensor.host = host
        return tensor

    def tolist(self) -> Any:
        _ask("tolist")
        return self.host.tolist()

    def __repr__(self) -> str:
        return f"SimulatedTensor({self.host})"

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            if (
                function in (torch.lstm, torch.gru, torch.rnn_relu, torch.rnn_tanh)
                and len(args) == 9
                and args[-1] is True
            ):
                # Batch first, which torch turns round in a way that tensors like these do not bear.
                output, *states = function(args[0].transpose(0, 1), *args[1:-1], False)
                return output.transpose(0, 1), *states
            return function(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(operation, args, kwargs or {})


class _Backend(backend_registration._DummyBackendModule):  # type: ignore[misc, name-defined]
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]

    def is_autocast_enabled(self) -> bool:
        return False

    def set_autocast_enabled(self, enabled: bool) -> None:
        pass

    def get_autocast_dtype(self) -> torch.dtype:
        return torch.bfloat16

    def set_autocast_dtype(self, dtype: torch.dtype) -> None:
        pass

    def get_rng_state(self, device: Any = None) -> Tensor:
        return torch.get_rng_state()

    def set_rng_state(self, state: Tensor, device: Any = None) -> None:
        torch.set_rng_state(state)


def _register(name: str, operation: Any) -> None:
    @torch.library.impl(name, "PrivateUse1")
    def run(*args: Any, **kwargs: Any) -> Any:
        return _run(operation, args, kwargs)


def _run(operation: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    if operation in RECURRENT:
        return _to_device(RECURRENT[operation](*_to_host(args), **_to_host(kwargs)))
    tensors = _tensors((args, kwargs))
    on_device = [tensor for tensor in tensors if isinstance(tensor, SimulatedTensor)]
    if operation in COPIES:
        return _copy(operation, args, kwargs)
    foreign = [tuple(t.shape) for t in tensors if t.dim() > 0 and not isinstance(t, SimulatedTensor)]
    if on_device and foreign and operation not in INDEXING:
        raise RuntimeError(f"{operation}: tensors on two devices, of shapes {foreign} on the CPU")
    masks = (torch.bool, torch.uint8)
    by_mask = operation in INDEXING and any(index is not None and index.dtype in masks for index in args[1])
    if operation in WAITING or (by_mask and operation is aten.index.Tensor):
        _ask(str(operation))
    target = kwargs.get("device")
    kwargs = {**kwargs, "device": torch.device("cpu")} if target is not None else kwargs
    result = operation(*_to_host(args), **_to_host(kwargs))
    for tensor in on_device:  # what works in place returns the tensor that it was given
        if result is tensor.host:
            return tensor
    stays = bool(on_device) if target is None else torch.device(target).type == NAME
    return _to_device(result) if stays else result


def _copy(operation: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    if operation is aten.copy_.default:
        target, source = args[:2]
        if isinstance(source, SimulatedTensor) and not isinstance(target, SimulatedTensor):
            _ask("copy to the host")
        _to_host(target).copy_(_to_host(source))
        return target
    (source,), device = args, kwargs.get("device")
    there = isinstance(source, SimulatedTensor)
    stays = there if device is None else torch.device(device).type == NAME
    if there and not stays:
        _ask("copy to the host")
    copy = operation(_to_host(source), **{key: value for key, value in kwargs.items() if key != "device"})
    copy = copy.clone() if copy is _to_host(source) else copy
    return SimulatedTensor(copy) if stays else copy


def _ask(what: str) -> None:
    if _asked is not None:
        frames = [f for f in traceback.extract_stack() if "/hardpp/" in f.filename or "/pyro/" in f.filename]
        _asked.append(f"{what}: {', '.join(f'{frame.filename}:{frame.lineno}' for frame in frames[-3:])}")


def _to_host(tree: Any) -> Any:
    return _mapped(SimulatedTensor, lambda tensor: tensor.host, tree)


def _to_device(tree: Any) -> Any:
    return _mapped(Tensor, SimulatedTensor, tree)


# As torch's own walks over trees, which take half of the time of all operations.
def _mapped(kind: type, change: Callable[[Any], Any], tree: Any) -> Any:
    if isinstance(tree, kind):
        return change(tree)
    if isinstance(tree, tuple | list):
        parts = [_mapped(kind, change, part) for part in tree]
        return parts if isinstance(tree, list) else tuple(parts)
    if isinstance(tree, dict):
        return {key: _mapped(kind, change, part) for key, part in tree.items()}
    return tree


def _tensors(tree: Any) -> list[Tensor]:
    found: list[Tensor] = []
    _mapped(Tensor, found.append, tree)
    return found
