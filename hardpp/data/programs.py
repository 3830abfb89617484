"""Run a program of the user's (pip, apt, flite) to its end, without a question asked."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from hardpp.errors import DataError

PATIENCE = 1800  # seconds a download may take


def run_program(
    name: str,
    command: Sequence[str],
    complaint: str,
    hint: str,
    *,
    folder: Path | None = None,
    patience: int = PATIENCE,
) -> "subprocess.CompletedProcess[str]":
    """Run a program; returns its output and its exit status, which is not judged here.

    Args:
        name: What people call the program.
        command: It and its arguments.
        complaint: What could not be done if it cannot be started or takes too long, for the DataError.
        hint: What people could do then.
        folder: Where it runs.
        patience: Seconds it may take.
    """
    try:
        return subprocess.run(
            command,
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
