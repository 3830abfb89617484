"""Are all numbers of some tensors finite? What is not is named, and never saved."""

from collections.abc import Mapping

import torch
from torch import Tensor

from hardpp.errors import NumericalError

HINT = "lower optimiser.learning_rate or optimiser.clip_norm; the checkpoints are older than that, and sound"


def check_finite(tensors: Mapping[str, Tensor], step: int, device: torch.device) -> None:
    """Makes sure that what is about to be saved is finite; waits for the device once.

    Tensors may have any shapes; those that hold no floating-point numbers are passed over. The device is that
    of most of them, the step the one after which they are saved.

    Raises:
        NumericalError: a tensor is not finite; the message names the first.
    """
    if bad := not_finite(tensors, device):
        more = f" (and {len(bad) - 1} other tensors)" if len(bad) > 1 else ""
        raise NumericalError(f"{bad[0]}{more} stopped being finite by step {step}, which is not saved", HINT)


def not_finite(tensors: Mapping[str, Tensor], device: torch.device) -> list[str]:
    """The names of those tensors that are not finite, as `check_finite` takes them."""
    names = [name for name, tensor in tensors.items() if tensor.is_floating_point()]
    if not names:
        return []
    finite = torch.stack([tensors[name].isfinite().all().to(device, non_blocking=True) for name in names])
    return [name for name, is_finite in zip(names, finite.tolist(), strict=True) if not is_finite]
