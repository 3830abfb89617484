"""A torch module of the user's own that classifies patches: imported by its name, with its weights.

Shapes: N patches, p pixels a side, V labels.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from hardpp.errors import DataError, UsageError, out_of_memory
from hardpp.tasks.named_classes import import_class


def named_module(name: str, weights: Path, classes: int) -> nn.Module:
    """The module `package.module:Class`, made with the number of classes alone, with weights of a file.

    Raises:
        UsageError: there is no such class, it cannot be made, or the weights are of another one.
        DataError: the file cannot be read, or holds weights that are not finite.
    """
    module = _made(name, classes)
    _load(module, name, weights)
    return module


@torch.no_grad()
def check_reads(module: nn.Module, name: str, patches: Tensor, classes: int) -> None:
    """Refuses, by a UsageError, a module that does not map patches (N, 3, p, p) to logits (N, V)."""
    shape = tuple(patches.shape)
    try:
        logits = module(patches)
    except Exception as error:
        if out_of_memory(error):
            raise
        what = f"decoding.second: {name} does not read patches of shape {shape}"
        raise UsageError(f"{what} ({type(error).__name__}: {error})") from error
    given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if given != (len(patches), classes):
        what = f"decoding.second: {name} gives {given} of patches of shape {shape}"
        raise UsageError(what, f"logits of shape {(len(patches), classes)} are wanted")


def _made(name: str, classes: int) -> nn.Module:
    kind = import_class("decoding.second", name)
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise UsageError(f"decoding.second: {name} is no class of torch modules")
    try:
        return kind(classes)
    except Exception as error:  # whatever somebody else's class does when it is made
        what = f"decoding.second: {name} is not made by the number of classes, {classes}, alone"
        raise UsageError(f"{what} ({type(error).__name__}: {error})") from error


def _load(module: nn.Module, name: str, path: Path) -> None:
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: weights of decoding.second cannot be read ({error})") from error
    ours = module.state_dict()
    for key in [*ours, *weights]:
        if key not in ours or key not in weights:
            where = "is not in" if key in ours else "is too much in"
            raise UsageError(f"decoding.second_weights: {key} of {name} {where} {path}")
        if ours[key].shape != weights[key].shape:
            shapes = f"{tuple(weights[key].shape)} there and {tuple(ours[key].shape)} in {name}"
            raise UsageError(f"decoding.second_weights: {key} of {path} has shape {shapes}")
        if not weights[key].isfinite().all():
            raise DataError(f"{path}: {key} holds what is no number, or infinite")
    module.load_state_dict(weights)
