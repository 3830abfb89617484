"""Which utterances a run on speech is asked about: of its corpus, of another, or recordings of no corpus.

All go through what those of the run's train part went through.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from hardpp.data.speech import features
from hardpp.data.speech.batches import check_lengths
from hardpp.data.speech.recordings import Recording
from hardpp.data.speech.transcripts import is_list, read_list, read_sound_list
from hardpp.data.speech.utterances import SpeechCorpus, Utterance
from hardpp.errors import DataError, UsageError
from hardpp.tasks.opened_run import OpenedRun


def select(
    run: OpenedRun, data: str | None, part: str | None, limit: int | None, report: Callable[[str], None]
) -> list[Utterance]:
    """A part of the run's corpus, or of other data (see `OpenedRun.select`).

    Raises:
        DataError: the data cannot be read, its frames are of another kind than the run's, or an utterance has
            more tokens than the run's topology allows for its frames.
        UsageError: recordings, and a run that hears something else.
    """
    config = run.data_config(data)
    if data is not None and part in (None, "all") and is_list(Path(data)):
        utterances = _hear(run, read_list(Path(data), config.on_bad, report)[:limit])
    else:
        own = run.data if data is None else None
        corpus: SpeechCorpus = run.family.load(config, report) if own is None else own
        size = corpus.test[0].read().shape[-1]
        if size != run.description.features:
            raise DataError(
                f"{corpus.name}: frames have {size} features, and this run was trained on "
                f"{run.description.features}"
            )
        parts = {"all": [*corpus.train, *corpus.dev, *corpus.test], **corpus._asdict()}
        utterances = _normalised(run, parts[part or "test"][:limit])
    check_lengths(utterances, run.description.vocabulary, run.network.topology)
    return utterances


def read_sounds(run: OpenedRun, path: Path) -> list[Utterance]:
    """The sounds that a file names, one a line; what is said in them is not known.

    Raises:
        DataError: the file or a sound cannot be read; the message names file and line.
        UsageError: the run does not hear sound.
    """
    return _hear(run, read_sound_list(path))


# Another folder's own mean and variance would make other features of the same sound. Runs of before moments
# were kept leave utterances as their folder has them.
def _normalised(run: OpenedRun, utterances: Sequence[Utterance]) -> list[Utterance]:
    normalisation = run.description.feature_normalisation
    return list(utterances) if normalisation is None else features.renormalise(utterances, normalisation)


def _hear(run: OpenedRun, recordings: Sequence[Recording]) -> list[Utterance]:
    normalisation = run.description.feature_normalisation
    if normalisation is None:
        raise UsageError(
            "this run hears features that came with its data, and not sound", "train one on recordings"
        )
    return features.utterances_of(recordings, normalisation, run.data_config(None).stacked)
