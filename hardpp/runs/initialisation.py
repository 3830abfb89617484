"""Weights to begin with: those of another run, on the same data or on others with the same symbols."""

from pathlib import Path
from typing import Any

from hardpp.config import RunConfig
from hardpp.errors import UsageError
from hardpp.runs.folder import differing, open_run
from hardpp.tasks.family import Description, Programs


def initialise(programs: Programs, config: RunConfig, description: Description, folder: Path) -> None:
    """Gives programs the weights of another run's best checkpoint; the guide's if it has the same name.

    The data may be others, as long as symbols keep their numbers.

    Args:
        programs: of the run that begins.
        config: its configuration.
        description: its data's.
        folder: the other run.

    Raises:
        UsageError: the other run has other symbols, or networks of other sizes.
        CheckpointError: it is no run.
    """
    other = open_run(folder, "cpu")
    theirs, ours = _symbols(other.description), _symbols(description)
    if apart := [key for key in {**theirs, **ours} if theirs.get(key) != ours.get(key)]:
        raise UsageError(
            f"--init-from {folder}: that run has other symbols ({', '.join(apart)})",
            "train it on data with the same ones",
        )
    try:
        programs.model.load_state_dict(other.programs.model.state_dict())
        if config.guide == other.config.guide:
            programs.guide.load_state_dict(other.programs.guide.state_dict())
    except RuntimeError as error:
        theirs, ours = ({"model": which.model, "network": which.network} for which in (other.config, config))
        difference = differing(theirs, ours) or "made for data of another size"
        raise UsageError(f"--init-from {folder}: that run has another network ({difference})") from error


# What rows of the parameters stand for. All else shows in the parameters' shapes, or is a figure.
def _symbols(description: Description) -> dict[str, Any]:
    return {
        key: value
        for key, value in description.model_dump().items()
        if isinstance(value, list) and all(isinstance(name, str) for name in value)
    }
