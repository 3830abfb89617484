"""metrics.jsonl: what was recorded of a training, one flat JSON object a line.

A line has `split` ("train" or "dev"), `step`, `epoch`, `bound` (nats a symbol) and `time`; of a training step
also `learning_rate` and what the objective says of itself, of a dev bound `best` and figures of a few dev
items. Runs in stages add `stage`; a step that was left out has `why`, one that is warned of has `warning`.
"""

import json
from pathlib import Path
from typing import Any

from hardpp.data.atomic_files import write_file
from hardpp.errors import CheckpointError

FILE = "metrics.jsonl"
_NUMBERS = ("step", "epoch")


def records(run: Path) -> list[dict[str, Any]]:
    """The records of a run in their order; lines that are not whole, as a kill leaves them, are passed over.

    Raises:
        CheckpointError: the file is not there or cannot be read.
    """
    try:
        text = (run / FILE).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise CheckpointError(f"{run / FILE} cannot be read: {error.strerror}") from error
    return [record for _, record in _parsed(text)]


def warnings(run: Path) -> list[str]:
    """The warnings of a run's training, each with its step; none where nothing was recorded."""
    if not (run / FILE).exists():
        return []
    told = [(record["step"], record.get("warning")) for record in records(run)]
    return [f"step {step}: {text}" for step, text in told if isinstance(text, str)]


def cut(run: Path, *, trained: int, validated: int) -> None:
    """Takes away what was recorded after the steps of a checkpoint, which would stand there twice.

    Args:
        run: its folder; a link in place of the file is replaced, too.
        trained: the last step of the checkpoint, counted through all stages.
        validated: the step of its last dev bound, likewise.
    """
    path = run / FILE
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    last = {"train": trained, "dev": validated}
    lines = [line for line, record in _parsed(text) if record["step"] <= last[record["split"]]]
    write_file(path, "".join(f"{line}\n" for line in lines).encode())


# Whole lines with what they say.
def _parsed(text: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for line in text.split("\n"):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        numbered = isinstance(record, dict) and all(type(record.get(key)) is int for key in _NUMBERS)
        if numbered and record.get("split") in ("train", "dev"):
            found.append((line, record))
    return found
