"""The device that a run computes on, and the versions it was made with."""

import platform
from importlib.metadata import version

import torch

from hardpp.errors import UsageError


def choose_device(name: str) -> torch.device:
    """The torch device of `auto` (cuda when there is one), `cpu` or `cuda`.

    Raises:
        UsageError: cuda was asked for and is not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("there is no CUDA device here", "use --device cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def versions() -> dict[str, str]:
    """What the run was made with."""
    names = ("hardpp", "torch", "pyro-ppl", "numpy", "arviz", "safetensors")
    return {"python": platform.python_version(), "platform": platform.platform()} | {
        name: version(name) for name in names
    }
