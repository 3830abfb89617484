"""Recordings that a run is asked about: heard as in training, and what is unlike training is said."""

from collections.abc import Sequence
from pathlib import Path

from hardpp.data.speech import corpora, features, log_mel, own_recordings
from hardpp.data.speech.batches import fitting
from hardpp.data.speech.recordings import Recording
from hardpp.data.speech.sound_remarks import Levels, remarks
from hardpp.data.speech.utterances import Utterance
from hardpp.errors import UsageError
from hardpp.tasks.online_alignment.data import SpeechDescription, speech_options
from hardpp.tasks.opened_run import OpenedRun, Report


def hear(run: OpenedRun, recordings: Sequence[Recording]) -> list[Utterance]:
    """Recordings that go through what those of the train part went through.

    Raises:
        UsageError: a run that hears features that came with its data.
    """
    normalisation = run.description.feature_normalisation
    if normalisation is None:
        raise UsageError(
            "this run hears features that came with its data, and not sound", "train one on recordings"
        )
    settings = run.data_config(None)
    return features.utterances_of(recordings, normalisation, settings.stacked, settings.level)


def own_recordings_of(run: OpenedRun, data: str, part: str | None, report: Report) -> list[Recording] | None:
    """A user's own recordings, all of one list or some part; None of a corpus with a name, and of TIMIT."""
    if data in corpora.NAMES:
        return None
    found = corpora.own(Path(data), speech_options(run.data_config(data)), report)
    if found is None:
        return None
    if part == "all" or (part is None and isinstance(found, list)):
        return own_recordings.whole(found)
    return own_recordings.split(found, Path(data))[part or "test"]


def folder_of_list(utterances: Sequence[Utterance]) -> str:
    """The folder in which all sounds of a list lie, by their paths from it, or nothing."""
    folders = {utterance.name.partition("/")[0] for utterance in utterances}
    listed = all(
        utterance.place is not None and utterance.place.number and "/" in utterance.name
        for utterance in utterances
    )
    return folders.pop() if listed and len(folders) == 1 else ""


def usable(run: OpenedRun, utterances: Sequence[Utterance], report: Report) -> list[Utterance]:
    """Those with frames enough for their tokens; others are refused, or left out, as the run was trained."""
    settings, description = run.data_config(None), run.description
    stacked = None if description.feature_normalisation is None else settings.stacked
    how = description.vocabulary, run.network.topology, stacked, settings.on_bad, report
    return fitting(utterances, *how)


def tell_unlike(run: OpenedRun, utterances: Sequence[Utterance], report: Report) -> None:
    """Says how sounds differ from those that the run was trained on."""
    description = run.description
    levels = _levels(description) if run.data_config(None).level == "kept" else None
    for sentence in remarks(utterances, description.rate or None, levels):
        report(sentence)


# Of runs that were trained before levels were kept about what mean and deviation of the energy say.
def _levels(description: SpeechDescription) -> Levels | None:
    if description.levels:
        return Levels(*description.levels)
    moments = description.feature_normalisation
    if moments is None or len(moments.mean) != log_mel.FEATURES:  # others, as cepstra, came with the data
        return None
    mean, deviation = (float(each[log_mel.BANDS]) for each in moments)
    return Levels(log_mel.decibels(mean), log_mel.decibels(mean + 3 * deviation))
