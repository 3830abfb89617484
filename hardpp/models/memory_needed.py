"""What cannot fit into memory is refused before it is tried, as the system would just end the process."""

import torch

from hardpp.errors import ResourceError
from hardpp.ops.available_memory import available_bytes

_LITTLE = 1_000_000_000  # bytes about which the system is not asked


def check_memory(needed: int, device: torch.device, what: str, hint: str) -> None:
    """Refuses sums of about so many bytes, `what` says of what, if less is free on the device.

    Raises:
        ResourceError: it cannot fit.
    """
    if needed < _LITTLE or (free := available_bytes(device)) is None or needed < free:
        return
    sizes = f"about {needed / 1e9:.0f} GB, and {free / 1e9:.0f} GB are free"
    raise ResourceError(f"all alignments of {what} need {sizes}", hint)
