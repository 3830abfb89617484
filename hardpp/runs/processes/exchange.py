"""Plain values that processes hand to one another: JSON, and tensors beside it, so that nothing can run code.

Numbers, texts, None, tensors, and lists, tuples, named tuples and dictionaries of them. A named tuple is one
of a class that the receiving process knows already.
"""

import json
import sys
from typing import Any

import safetensors.torch
import torch
import torch.distributed as dist
from torch import Tensor

from hardpp.errors import ResourceError
from hardpp.runs.processes import process_rank

_HEAD = 8  # bytes that say how long the JSON is


def encoded(value: Any) -> bytes:
    """A plain value as bytes; a TypeError if it holds anything else."""
    tensors: dict[str, Tensor] = {}
    skeleton = json.dumps(_skeleton(value, tensors)).encode()
    return len(skeleton).to_bytes(_HEAD, "big") + skeleton + safetensors.torch.save(tensors)


def decoded(content: bytes) -> Any:
    """The value of such bytes, tensors on the host."""
    end = _HEAD + int.from_bytes(content[:_HEAD], "big")
    return _value(json.loads(content[_HEAD:end]), safetensors.torch.load(content[end:]))


def gathered(value: Any, device: torch.device) -> list[Any]:
    """The values of all processes, in their order, in each; they go through tensors on a device.

    Raises:
        ResourceError: one of the others has ended.
    """
    content = torch.frombuffer(bytearray(encoded(value)), dtype=torch.uint8).to(device)
    try:
        sizes = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(dist.get_world_size())]
        dist.all_gather(sizes, torch.tensor([len(content)], device=device))
        most = max(int(size) for size in sizes)
        parts = [torch.empty(most, dtype=torch.uint8, device=device) for _ in sizes]
        dist.all_gather(parts, torch.nn.functional.pad(content, (0, most - len(content))))
    except RuntimeError as error:
        what = f"process {process_rank.rank()} lost the others, of which one has ended"
        raise ResourceError(f"{what} ({str(error).splitlines()[0]})", "its own message says why") from error
    return [
        decoded(part[: int(size)].cpu().numpy().tobytes()) for part, size in zip(parts, sizes, strict=True)
    ]


def _skeleton(value: Any, tensors: dict[str, Tensor]) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, list):
        return [_skeleton(part, tensors) for part in value]
    if isinstance(value, dict):
        return {"items": [[_skeleton(part, tensors) for part in pair] for pair in value.items()]}
    if isinstance(value, tuple):
        parts = [_skeleton(part, tensors) for part in value]
        kind = type(value)
        named = {"class": [kind.__module__, kind.__qualname__]} if hasattr(value, "_fields") else {}
        return {"tuple": parts, **named}
    raise TypeError(f"a {type(value).__name__} is not handed from one process to another")


def _value(skeleton: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(skeleton, list):
        return [_value(part, tensors) for part in skeleton]
    if not isinstance(skeleton, dict):
        return skeleton
    if "tensor" in skeleton:
        return tensors[skeleton["tensor"]]
    if "items" in skeleton:
        return {_value(key, tensors): _value(part, tensors) for key, part in skeleton["items"]}
    parts = [_value(part, tensors) for part in skeleton["tuple"]]
    if "class" not in skeleton:
        return tuple(parts)
    module, name = skeleton["class"]
    kind = getattr(sys.modules.get(module), name, None)
    if not (isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")):
        raise TypeError(f"there is no named tuple {module}.{name}")
    return kind(*parts)
