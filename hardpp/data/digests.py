"""SHA-256 of files and of tensors."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def sha256_of_file(path: Path) -> str:
    """SHA-256 (64 hex digits) of the bytes of a file.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_tensors(*tensors: "Tensor") -> str:
    """SHA-256 (64 hex digits) of the shapes, kinds and bytes of tensors."""
    import torch  # slow to import, and `hardpp data list` never needs it

    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tuple(tensor.shape)} {tensor.dtype}\n".encode())
        # As bytes and without their shape: not every kind of number has a counterpart in numpy.
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
