"""Where the time of training steps goes: a trace of some of them, and its largest costs in words.

Steps are taken as a training takes them, from fresh weights, and nothing of them is kept. Times are those of
the device: on CUDA of its kernels. What is no operation (Python, autograd's bookkeeping, waiting for a batch)
is the rest of the time that a step takes.
"""

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyro
import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from hardpp.data.atomic_files import write_file
from hardpp.errors import ResourceError, UsageError
from hardpp.runs.session import Session
from hardpp.types import Record

WARM, PROFILED = 5, 10  # steps before, which fill caches, and those that are looked at

# What an operation is for -> parts of its name; the first that fits counts.
_PURPOSES = {
    "optimiser, clipping and average": ("fused_adam", "Optimizer.", "lerp", "vector_norm", "_foreach"),
    "recurrent layers": ("rnn", "lstm", "gru"),
    "convolutions": ("conv",),
    "matrix products": ("mm", "linear", "matmul", "mv", "einsum"),
    "random numbers": (
        "bernoulli",
        "random_",
        "uniform",
        "normal_",
        "exponential_",
        "multinomial",
        "dropout",
    ),
    "softmax and sums": ("softmax", "logsumexp", "sum", "mean", "amax", "argmax", "::max"),
    "gathering and scattering": ("gather", "scatter", "index", "embedding", "take"),
    "copying": ("copy", "cat", "stack", "clone", "fill_", "zero_", "zeros", "ones", "empty", "pad"),
}
_ELEMENTWISE = "arithmetic, element by element"
_REST = "Python, autograd's bookkeeping and waiting"

Row = dict[str, Any]


class Profile(NamedTuple):
    """What was found out about a step, on average."""

    milliseconds: float  # of a step, while nothing watches
    costs: list[Row]  # cost, share, ms, calls: a row a purpose, the largest first
    calls: float  # operations a step
    memory: int  # bytes of the process at its highest; 0 where the system does not say
    device_memory: int  # bytes on the GPU at its highest; 0 without one

    def sentences(self) -> list[str]:
        """The whole in words, the three largest costs first."""
        told = [
            f"{place}. {row['cost']}: {row['share']:.0%} of a step ({row['ms']:.1f} ms)"
            for place, row in enumerate(self.costs[:3], 1)
        ]
        told.append(
            f"a step takes {self.milliseconds:.1f} ms and {self.calls:,.0f} operations, views included"
        )
        places = {"the process": self.memory, "the GPU": self.device_memory}
        at_most = " and ".join(
            f"{size / 2**20:,.0f} MiB of {place}" for place, size in places.items() if size
        )
        return [*told, f"memory at its highest: {at_most or 'not known'}"]


def profile_steps(session: Session, trace: Path) -> Profile:
    """Takes some training steps, and writes the trace of the last of them.

    Args:
        session: whose data and programs are trained; its weights change.
        trace: file in Chrome's format, for chrome://tracing or ui.perfetto.dev.

    Raises:
        UsageError: the training has too few steps, or something stands in the place of the file.
        ResourceError: the file cannot be written, or not prepared in the folder for temporary files.
    """
    records = (record for record in session.trainer().records() if record.split == "train")
    activities = [ProfilerActivity.CPU]
    if session.device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
        torch.cuda.reset_peak_memory_stats(session.device)
    with pyro.validation_enabled(True):
        _take(records, 1, session.device)
    with pyro.validation_enabled(False):
        _take(records, WARM - 1, session.device)
        milliseconds = _take(records, PROFILED, session.device)
        with profile(activities=activities) as found:
            watched = _take(records, PROFILED, session.device)
    if watched is None or milliseconds is None:
        needed = f"the profile needs {WARM + 2 * PROFILED} steps, and this training has fewer"
        raise UsageError(needed, "give more --max-epochs or --max-steps, or more data")
    write_file(trace, _trace_of(found))
    cuda = session.device.type == "cuda"
    costs = _costs(found.key_averages(), watched, milliseconds, cuda=cuda)
    device_memory = torch.cuda.max_memory_allocated(session.device) if cuda else 0
    calls = sum(row["calls"] for row in costs)
    return Profile(milliseconds, costs, calls, peak_memory(), device_memory)


def peak_memory() -> int:
    """Bytes of memory that this process has had at its highest; 0 where the system does not say."""
    with suppress(ImportError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return int(peak if sys.platform == "darwin" else 1024 * peak)
    return 0


# Takes so many steps: milliseconds of one, or None where the training ends before.
def _take(records: Iterator[Record], steps: int, device: torch.device) -> float | None:
    began = time.perf_counter()
    taken = sum(1 for _ in islice(records, steps))
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return 1e3 * (time.perf_counter() - began) / steps if taken == steps else None


def _trace_of(found: profile) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        found.export_chrome_trace(str(path))  # which raises nothing where it cannot write
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            hint = "make room there, or name another folder in the environment variable TMPDIR"
            raise ResourceError(f"{Path(folder).parent} has no room for the trace", hint) from error


# A row a purpose. A step that is watched takes longer, and its times are scaled to those of one that is not.
def _costs(events: Sequence[Any], watched: float, milliseconds: float, *, cuda: bool) -> list[Row]:
    spent: dict[str, float] = defaultdict(float)
    calls: dict[str, float] = defaultdict(float)
    for event in events:
        if event.device_type == DeviceType.CPU and (purpose := _purpose(event.key)):
            time_of = event.self_device_time_total if cuda else event.self_cpu_time_total
            spent[purpose] += time_of / 1e3 / PROFILED
            calls[purpose] += event.count / PROFILED
    spent[_REST] = max(0.0, watched - sum(spent.values()))
    shares = {purpose: each / max(watched, sum(spent.values())) for purpose, each in spent.items()}
    rows = [
        {"cost": purpose, "share": share, "ms": share * milliseconds, "calls": calls[purpose]}
        for purpose, share in shares.items()
    ]
    return sorted(rows, key=lambda row: -row["share"])


# What an operation is for; nothing of what is none.
def _purpose(name: str) -> str | None:
    if not name.startswith(("aten::", "mkldnn::", "Optimizer.")):
        return None
    return next(
        (purpose for purpose, parts in _PURPOSES.items() if any(part in name for part in parts)), _ELEMENTWISE
    )
