"""What a checkpoint says of itself in state.json, read without its tensors.

For whoever asks about many runs, or about the number of threads: sizes of files are checked, and the SHA-256
of state.json; those of the tensors are not.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from hardpp.errors import CheckpointError
from hardpp.runs import checkpoint
from hardpp.runs.checkpoint_format import check_sizes, read


def best_state(run: Path) -> dict[str, Any]:
    """The state of the checkpoint of the best dev bound, or of the newest whole one while none is marked.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    if os.path.lexists(run / "checkpoints" / "best"):
        folder = checkpoint.marked(run, "best")
    elif whole := checkpoint.complete(run):
        folder = whole[-1]
    else:
        raise CheckpointError(f"{run} has no checkpoint")
    stated, path = check_sizes(folder), folder / "state.json"
    data = read(path)
    if hashlib.sha256(data).hexdigest() != stated[path.name]:
        raise CheckpointError(f"{path} was altered: its SHA-256 is not the one in its manifest")
    try:
        state = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read ({error})") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} holds no JSON object")
    return state
