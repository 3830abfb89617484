"""SHA-256 of files, tensors and plain values, as 64 hex digits."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def sha256_of_file(path: Path) -> str:
    """SHA-256 of the bytes of a file; an OSError where it cannot be read."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_tensors(*tensors: "Tensor") -> str:
    """SHA-256 of the shapes, kinds and bytes of tensors."""
    import torch  # slow to import, and `hardpp data list` never needs it

    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tuple(tensor.shape)} {tensor.dtype}\n".encode())
        # As bytes and without their shape: not every kind of number has a counterpart in numpy.
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def sha256_of_json(value: Any) -> str:
    """SHA-256 of a value as it is written in JSON."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def sha256_of_parts(head: str, parts: Iterable[Iterable[str]]) -> str:
    """SHA-256 of a head and of the items of every part of a corpus, each described by a line."""
    digest = hashlib.sha256(head.encode())
    for part in parts:
        digest.update(b"\npart\n")
        for line in part:
            digest.update(line.encode() + b"\n")
    return digest.hexdigest()
