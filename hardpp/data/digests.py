"""SHA-256 of files, tensors and plain values, as 64 hex digits."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardpp.data.undecoded import utf8

if TYPE_CHECKING:
    from torch import Tensor

_WHOLE = 4 * 2**30  # bytes of files that are read from end to end
_END = 2**16  # bytes at both ends of files that are not
_AT_ONCE = 4  # files read together


def sha256_of_file(path: Path) -> str:
    """SHA-256 of the bytes of a file; an OSError where it cannot be read."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class FileContents:
    """What is in some files, in order and whatever they are called, as one SHA-256.

    It is of every byte, if all files together have at most 4 GiB; of larger collections it is of the size and
    of the first and the last 64 KiB of each file. It is computed when it is first asked for, and then kept.
    """

    def __init__(self, paths: Sequence[Path]):
        self.paths = paths

    @cached_property
    def sha256(self) -> str:
        """The hash, in hex; an OSError where a file cannot be read."""
        sizes = [path.stat().st_size for path in self.paths]
        of_one = sha256_of_file if sum(sizes) <= _WHOLE else _sha256_of_ends
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            hashes = pool.map(of_one, self.paths)
            return sha256_of_json([sizes, list(hashes)])


def _sha256_of_ends(path: Path) -> str:
    with path.open("rb") as stream:
        digest = hashlib.sha256(stream.read(_END))
        stream.seek(max(stream.tell(), path.stat().st_size - _END))
        digest.update(stream.read(_END))
    return digest.hexdigest()


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
    digest = hashlib.sha256(utf8(head))
    for part in parts:
        digest.update(b"\npart\n")
        for line in part:
            digest.update(utf8(line) + b"\n")
    return digest.hexdigest()
