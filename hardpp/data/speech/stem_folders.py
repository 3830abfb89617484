"""Folders of sounds with a file of labels or text beside each, of the same name but for its ending.

    X.wav and X.TextGrid, X.lab, X.phn, X.txt ...      read by `hardpp.data.speech.label_files`

Labels may also lie in another folder below, if one alone has that name (wav/X.wav with lab/X.lab).
Where a sound has several, the first of `.TextGrid`, `.phn`, `.lab`, `.txt` is taken. Of a TextGrid one tier
is taken: the one asked for, or that with the most labels in all files.
"""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from hardpp.data.lines import Place
from hardpp.data.speech import audio
from hardpp.data.speech.bad_recordings import Fault, report_faults
from hardpp.data.speech.label_files import Labels, read_labels
from hardpp.data.speech.recordings import Recording
from hardpp.data.speech.spoken import Reading, Spoken, in_order, sounds_in
from hardpp.data.speech.textgrid_tiers import choose_tier
from hardpp.data.speech.utterances import Segment
from hardpp.errors import DataError

LABEL_ENDINGS = (".textgrid", ".phn", ".lab", ".txt")


class _Labelled(NamedTuple):
    sound: Path
    path: Path
    labels: Labels


def labels_beside(sound: Path, names: dict[str, Path]) -> Path | None:
    """The file of labels of a sound, of the files of its folder by their names in lower case."""
    stem = sound.stem.lower()
    found = (names.get(f"{stem}{ending}") for ending in LABEL_ENDINGS)
    return next((path for path in found if path is not None), None)


def has_stems(folder: Path) -> bool:
    """Whether a folder, or one below it, has a sound with labels beside it."""
    return next(iter(_pairs(folder)), None) is not None


def read_stems(folder: Path, reading: Reading) -> list[Recording]:
    """The recordings of a folder and those below it, sorted; sounds without labels are left out, counted."""
    pairs, labelled, faults = _pairs(folder), [], []
    for sound, path in pairs:
        try:
            head = audio.inspect(sound)
            labelled.append(_Labelled(sound, path, read_labels(path, head.seconds, head.rate)))
        except DataError as error:
            faults.append(Fault(str(path), str(error)))
    if lacking := sum(1 for _ in sounds_in(folder)) - len(pairs):
        reading.report(f"left out: {lacking} sounds in {folder} that have no labels beside them")
    grids = [each for each in labelled if each.labels.tiers]
    tier = choose_tier([each.labels.tiers for each in grids], reading.tier, grids[0].path) if grids else ""
    recordings = []
    for each in labelled:
        try:
            recordings.append(_recording(folder, each, tier, reading))
        except (DataError, ValueError) as error:
            faults.append(Fault(str(each.path), str(error)))
    report_faults(faults, reading.on_bad, reading.report, "")
    kinds = sorted({each.labels.kind for each in labelled})
    of_tier = (
        f", tier {tier!r} of {', '.join(dict.fromkeys(t.name for t in grids[0].labels.tiers))}"
        if tier
        else ""
    )
    reading.report(f"{folder}: labels are {'; '.join(kinds)}{of_tier}")
    return recordings


def _pairs(folder: Path) -> list[tuple[Path, Path]]:
    beside: dict[Path, dict[str, Path]] = {}
    below: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in LABEL_ENDINGS:
            beside.setdefault(path.parent, {})[path.name.lower()] = path
            below.setdefault(path.name.lower(), []).append(path)
    # Where labels lie in a folder of their own, the names must tell which sound they are of.
    alone = {name: paths[0] for name, paths in below.items() if len(paths) == 1}
    sounds = list(sounds_in(folder))
    found = [(sound, labels_beside(sound, beside.get(sound.parent, {}))) for sound in sounds]
    stems = Counter(sound.stem.lower() for sound in sounds)
    return [
        (sound, labels)
        for sound, path in found
        if (labels := path or (labels_beside(sound, alone) if stems[sound.stem.lower()] == 1 else None))
    ]


def _recording(folder: Path, each: _Labelled, tier: str, reading: Reading) -> Recording:
    segments, tokens = each.labels.segments, reading.tokens(each.labels.text)
    if each.labels.tiers:
        chosen = next((one for one in each.labels.tiers if one.name == tier), None)
        if chosen is None:
            raise ValueError(f"{each.path}: there is no tier {tier!r}")
        segments = chosen.segments
    said: tuple[Segment, ...] = reading.labels(in_order(segments))
    if any(segment.label.split() != [segment.label] for segment in said):
        # Whole phrases: of their words no times are known.
        tokens, said = reading.tokens(" ".join(segment.label for segment in said)), ()
    elif said:
        tokens = tuple(segment.label for segment in said)
    name = each.sound.relative_to(folder).as_posix()
    return Spoken(name, each.sound, Place(each.path, 0), tokens, said).recording()
