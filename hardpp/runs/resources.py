"""How much memory and disk a training needs, known before any of it is taken.

Linux grants memory that it does not have and ends whoever writes to it, so that networks which do not fit
would end the process without a word. A full disk is noticed only when the first checkpoint is written, after
an epoch of work.
"""

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from hardpp.errors import CheckpointError, ResourceError
from hardpp.tasks.family import Programs

_CHECKPOINT = 4  # of every parameter in a checkpoint: weights, their average, two moments
_KEPT = 2  # checkpoints at once, at least: the last one, and the next while it is written

COPIES = 5  # of every parameter in a training: weights, gradient, two moments, running average

_FILLS = (Tensor.normal_, Tensor.uniform_)
_GIB = 2**30
_FLOAT = 4  # bytes of a parameter
_LARGER, _SMALL = 2, 2**26  # how many times its weights a network may take, and bytes that any may


def check_fits(build: Callable[[], Programs], device: torch.device) -> None:
    """Refuses networks that cannot be trained in the memory that is free.

    Args:
        build: makes model and guide; they are made without memory here.
        device: where they are trained.

    Raises:
        ResourceError: weights, gradients, moments and average alone need more than is free.
    """
    size, left = bytes_of(build), free_memory(device)
    if size is not None and left is not None and COPIES * size > left:
        takes, free = (f"{number / _GIB:,.1f}" for number in (COPIES * size, left))
        what = f"to train {size // _FLOAT:,} parameters takes {takes} GiB, and {free} are free"
        raise ResourceError(what, "smaller sizes of network. (hardpp train --dry-run counts them)")


def check_same_size(build: Callable[[], Programs], weights: Mapping[str, Tensor], folder: Path) -> None:
    """Refuses a run folder whose networks would take far more memory than its weights do.

    Args:
        build: makes model and guide, as the run's configuration says; they are made without memory here.
        weights: the run's, on the CPU.
        folder: that holds them.

    Raises:
        CheckpointError: they would.
    """
    needed, has = bytes_of(build), sum(tensor.nbytes for tensor in weights.values())
    if needed is not None and needed > _LARGER * has + _SMALL:
        sizes = f"its networks would have {needed:,} bytes, and its weights have {has:,}"
        raise CheckpointError(f"{folder} does not fit its run's configuration ({sizes})")


def bytes_of(build: Callable[[], Programs]) -> int | None:
    """The bytes that parameters of programs will take; None where they cannot be made without memory."""
    with torch.device("meta"), _WithoutValues():
        try:
            programs = build()
        except Exception:  # what cannot be made without memory, or not at all, is told when it is made
            return None
    parameters = {id(p): p for program in programs for p in program.parameters() if p.is_meta}
    return sum(p.numel() * p.element_size() for p in parameters.values())


class _WithoutValues(TorchFunctionMode):
    """Leaves out what tensors would be filled with, as without memory it only loads torch's compiler."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == torch.nn.init.__name__ or func in _FILLS:
            return kwargs.get("tensor", *args[:1])
        out = kwargs.get("out")
        return func(*args, **kwargs) if out is None else out


def check_room(folder: Path, programs: Programs) -> None:
    """Refuses a training whose checkpoints find no room on the disk.

    Args:
        folder: the run folder, which need not be there yet.
        programs: that are trained.

    Raises:
        ResourceError: two checkpoints need more than is free.
    """
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    parameters = {id(p): p for program in programs for p in program.parameters()}
    needed = _KEPT * _CHECKPOINT * sum(p.numel() * p.element_size() for p in parameters.values())
    if needed > (left := shutil.disk_usage(place).free):
        takes, free = (f"{number / 2**20:,.0f}" for number in (needed, left))
        what = f"{folder}: checkpoints take {takes} MiB, and {free} are free on that disk"
        raise ResourceError(what, "make room there, or give another --out")


def free_memory(device: torch.device) -> int | None:
    """The bytes that a device has left for this process; None where that is not known."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return None
