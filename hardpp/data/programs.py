"""Run a program of the user's (pip, apt, flite) to its end, without a question asked.

Python ends a program that it waits for when it is interrupted itself. Being killed leaves it no time for
that, so that Linux is asked to end the program then.
"""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hardpp.errors import DataError

PATIENCE = 1800  # seconds a download may take

# Asks to be killed when the process with the given number ends, and becomes the program. It is one itself, as
# what `subprocess` would run in the child is not safe beside threads.
_TIED = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[3:])
"""


def run_program(
    name: str,
    command: Sequence[str],
    complaint: str,
    hint: str,
    *,
    folder: Path | None = None,
    patience: int = PATIENCE,
    tied: bool = True,
) -> "subprocess.CompletedProcess[str]":
    """Run a program; returns its output and its exit status, which is not judged here.

    Args:
        name: What people call the program.
        command: It and its arguments.
        complaint: What could not be done if it cannot be started or takes too long, for the DataError.
        hint: What people could do then.
        folder: Where it runs.
        patience: Seconds it may take.
        tied: Is it to end with this process, however that ends? It costs a start of Python.
    """
    try:
        return subprocess.run(
            _tie(command) if tied else command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=patience,
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(f"{complaint}: {name} took over {patience} s", hint) from error
    except OSError as error:
        raise DataError(f"{complaint}: {name} cannot be started ({error.strerror or error})", hint) from error


def _tie(command: Sequence[str]) -> list[str]:
    if sys.platform != "linux":
        return list(command)
    if (path := shutil.which(command[0])) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
    return [sys.executable, "-ISc", _TIED, str(os.getpid()), path, *command]
