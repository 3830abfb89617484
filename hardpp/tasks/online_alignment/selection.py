"""Which utterances a run on speech is asked about: of its corpus, of another, or recordings of no corpus.

All go through what those of the run's train part went through.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from hardpp.data.speech import features
from hardpp.data.speech.batches import check_lengths
from hardpp.data.speech.recordings import Recording
from hardpp.data.speech.transcripts import is_list, read_list, read_sound_list
from hardpp.data.speech.utterances import Normalisation, Utterance
from hardpp.errors import DataError, UsageError
from hardpp.tasks.family import Run
from hardpp.tasks.online_alignment.data import load, vocabulary
from hardpp.tasks.online_alignment.network import topology


def select(
    run: Run, data: str | None, part: str | None, limit: int | None, report: Callable[[str], None]
) -> list[Utterance]:
    """A part of the run's corpus, or of other data.

    Args:
        run: the trained run.
        data: other data than the run's own.
        part: "train", "dev", "test" or "all"; left out, the test part, or all of one other list.
        limit: only the first so many.
        report: told in a few words what is going on.

    Raises:
        DataError: the data cannot be read, its frames are of another kind than the run's, or an utterance has
            more tokens than the run's topology allows for its frames.
        UsageError: recordings, and a run that hears something else.
    """
    config = run.reading(data)
    if data is not None and part in (None, "all") and is_list(Path(data)):
        chosen = _heard(read_list(Path(data), config.on_bad, report)[:limit], run)
    else:
        found = load(config, report)
        size = found.test[0].read().shape[-1]
        if size != run.description["features"]:
            raise DataError(
                f"{found.name}: frames have {size} features, and this run was trained on "
                f"{run.description['features']}"
            )
        every = {"all": [*found.train, *found.dev, *found.test], **found._asdict()}
        chosen = _as_in_training(every[part or "test"][:limit], run.description)
    check_lengths(chosen, vocabulary(run.description), topology(run.config))
    return chosen


def sources(run: Run, path: Path) -> list[Utterance]:
    """The sounds that a file names, one a line; what is said in them is not known.

    Raises:
        DataError: the file or a sound cannot be read; the message names file and line.
        UsageError: the run does not hear sound.
    """
    return _heard(read_sound_list(path), run)


def _as_in_training(utterances: Sequence[Utterance], description: Mapping[str, Any]) -> list[Utterance]:
    """Utterances whose features went through what those of the run's train part went through.

    Another folder's own mean and variance would make other features of the same sound. Runs older than
    this kept none: theirs stay as the folder has them.
    """
    kept = _normalisation(description)
    return list(utterances) if kept is None else features.renormalise(utterances, kept)


def _heard(recordings: Sequence[Recording], run: Run) -> list[Utterance]:
    kept, config = _normalisation(run.description), run.reading(None)
    if kept is None:
        raise UsageError(
            "this run hears features that came with its data, and not sound", "train one on recordings"
        )
    return features.utterances_of(recordings, kept, config.stacked)


def _normalisation(description: Mapping[str, Any]) -> Normalisation | None:
    kept = {name: torch.tensor(value) for name, value in description.get("normalisation", {}).items()}
    return Normalisation(**kept) if kept else None
