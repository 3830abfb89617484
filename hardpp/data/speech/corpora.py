"""Speech by name: corpora that are fetched or made, and a user's own TIMIT or recordings.

spoken-digits              strings of real spoken digits, no further program needed
festvox-ru                 Russian sentences read aloud, with the times of phones
synthetic-timit            speech made by flite, as much as TIMIT has or less
synthetic-timit-10 -25 -50 the same with a second speaker of the other sex, at 10, 25 and 50 % of the peak
a folder                   TIMIT, as its users hold it
a file or folder           one's own recordings (`hardpp.data.speech.own_recordings`)
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hardpp.data.fetch.sources import fetch
from hardpp.data.lines import OnBad, Report
from hardpp.data.parts import PARTS
from hardpp.data.speech import (
    features,
    festvox_ru,
    mixing,
    own_recordings,
    spoken_digits,
    synthetic_speech,
    timit,
)
from hardpp.data.speech.log_mel import STACKED
from hardpp.data.speech.phone_folding import TO_39
from hardpp.data.speech.recordings import Recording
from hardpp.data.speech.spoken import Case, Form, Reading, Units
from hardpp.data.speech.utterances import SpeechCorpus
from hardpp.data.transduction import ding
from hardpp.errors import DataError, UsageError

SYNTHETIC = "synthetic-timit"
NAMES = ("spoken-digits", "festvox-ru", SYNTHETIC, f"{SYNTHETIC}-10", f"{SYNTHETIC}-25", f"{SYNTHETIC}-50")


class SpeechOptions(NamedTuple):
    """Options of a corpus; those of other corpora are ignored."""

    size: synthetic_speech.Size = "small"  # of synthetic-timit
    phones: timit.PhoneSet = 61  # of TIMIT, to train on
    merged: tuple[str, ...] = ()  # phones of TIMIT of which several in a row count as one
    mixed: int = 0  # per cent of the peak, of a second speaker in TIMIT; 0: none
    stacked: int = STACKED  # frames of 10 ms that become one; spoken digits are not stacked
    on_bad: OnBad = "stop"  # lines of lists of recordings, and files of labels
    units: Units = "words"  # what tokens are, of one's own recordings
    case: Case = "keep"  # of the tokens of one's own recordings
    normalise: Form = "none"  # form of Unicode of these
    tier: str = ""  # of one's own TextGrids
    level: features.Level = "kept"  # of sounds
    seed: int = 0  # of spoken-digits


def corpus(
    name: str,
    options: SpeechOptions = SpeechOptions(),  # noqa: B008, it cannot be changed
    report: Report = lambda text: None,
) -> SpeechCorpus:
    """Fetch, make or read the corpus of a name; its features are kept in the cache.

    A name is one of `NAMES`, or the path of a folder with TIMIT in it, or of lists of recordings.
    """
    if name == "spoken-digits":
        return spoken_digits.corpus(fetch(name, report), seed=options.seed)
    folding: Mapping[str, str | None] = TO_39
    if name == "festvox-ru":
        parts, folding = festvox_ru.recordings(fetch(name, report)), {}
    elif name in NAMES:
        parts = synthetic_speech.recordings(lambda: ding.bitext(fetch("ding", report)), options.size, report)
        level = name.removeprefix(SYNTHETIC).removeprefix("-")
        parts = _mixed(parts, int(level or 0))
    elif (found := own(folder := Path(name), options, report)) is not None:
        parts, folding = own_recordings.split(found, folder), {}
        name = folder.resolve().stem
    elif timit.is_timit(folder):
        kinds: Any = {"phones": options.phones, "merged": options.merged, "on_bad": options.on_bad}
        parts = timit.recordings(folder, report, **kinds)
        parts = _mixed(parts, options.mixed)
        name = "timit"
    elif folder.is_file():
        raise DataError(
            f"{folder}: no list of recordings",
            "its lines are SOUND, TAB, tokens with blanks between them; or see docs/data.md for others",
        )
    elif folder.exists():
        raise DataError(
            f"{folder}: neither TIMIT nor lists of recordings, nor sounds with labels beside them",
            "it needs TRAIN and TEST, or train.tsv, dev.tsv and test.tsv (SOUND, TAB, tokens), or another of "
            "the forms in docs/data.md",
        )
    else:
        raise UsageError(f"there is no corpus of speech named {name!r}", f"there are: {', '.join(NAMES)}")
    return features.corpus(name, parts, report, folding=folding, stacked=options.stacked, level=options.level)


def own(path: Path, options: SpeechOptions, report: Report) -> own_recordings.Parts | list[Recording] | None:
    """A user's own recordings at a path; None where there is TIMIT, or nothing that is read."""
    lists = all((path / f"{part}.tsv").is_file() for part in PARTS)
    if not lists and timit.is_timit(path) and timit.has_its_phones(path):
        return None
    how = options.units, options.case, options.normalise, options.tier, options.on_bad, report
    return own_recordings.find(path, Reading(*how))


def _mixed(parts: dict[str, list[Recording]], level: int) -> dict[str, list[Recording]]:
    if not level:
        return parts
    return {part: mixing.with_second_speakers(of_part, level / 100, part) for part, of_part in parts.items()}
