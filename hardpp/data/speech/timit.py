"""TIMIT as its users hold it: 6,300 sentences by 630 speakers, phones labelled by hand.

    FOLDER/{TRAIN,TEST}/DR1..8/SPEAKER/SENTENCE.{WAV,PHN}      names in upper or lower case
    PHN: lines START END PHONE, times in samples at 16 kHz, END exclusive

FOLDER may also be one or two levels up. Sound is what its first bytes say; where a copy has both `X.WAV` and
`X.WAV.wav` one is listed, the RIFF file. The two SA sentences, which all speakers read, are left out. Test
is the core test of 24 speakers, dev are 50 other speakers of the TEST folder: 3,696, 400 and 192 utterances.
Labels are samples at 16 kHz whatever the rate of the sound.

Sources: Garofolo et al. (1993), LDC93S1, whose documentation has the core test; Halberstadt (1998), for the
speakers of dev.
"""

from collections.abc import Collection
from itertools import islice
from pathlib import Path
from typing import Literal

from hardpp.data.lines import OnBad, Place, Report
from hardpp.data.parts import PARTS
from hardpp.data.speech import audio
from hardpp.data.speech.bad_recordings import Fault, report_faults
from hardpp.data.speech.log_mel import RATE
from hardpp.data.speech.phone_folding import PHONES, TO_39, TO_48, fold_phones
from hardpp.data.speech.recordings import Recording, SoundFile, fit_to_sound
from hardpp.data.speech.utterances import Segment
from hardpp.errors import DataError, UsageError

PhoneSet = Literal[61, 48, 39]

_CORE_TEST = """
mdab0 mwbt0 felc0 mtas1 mwew0 fpas0 mjmp0 mlnt0 fpkt0 mlll0 mtls0 fjlm0
mbpm0 mklt0 fnlp0 mcmj0 mjdh0 fmgd0 mgrt0 mnjm0 fdhc0 mjln0 mpam0 fmld0
"""
_DEV = """
faks0 fdac1 fjem0 mgwt0 mjar0 mmdb1 mmdm2 mpdf0 fcmh0 fkms0 mbdg0 mbwm0 mcsh0 fadg0 fdms0 fedw0 mgjf0
mglb0 mrtk0 mtaa0 mtdt0 mthc0 mwjg0 fnmr0 frew0 fsem0 mbns0 mmjr0 mdls0 mdlf0 mdvc0 mers0 fmah0 fdrw0
mrcs0 mrjm4 fcal1 mmwh0 fjsj0 majc0 mjsw0 mreb0 fgjd0 fjmg0 mroa0 mteb0 mjfc0 mrjr0 fmml0 mrws1
"""
TEST_SPEAKERS = frozenset(_CORE_TEST.split())
DEV_SPEAKERS = frozenset(_DEV.split())

_LOOKED_AT = 100  # files of labels
_SILENCE = ("h#", "pau", "epi", "sil")
_FOLDINGS: dict[PhoneSet, dict[str, str | None]] = {61: {}, 48: TO_48, 39: TO_39}


def is_timit(folder: Path) -> bool:
    """Whether a folder, or one up to two levels below, has the folders TRAIN and TEST."""
    return _root(folder) is not None


def has_its_phones(folder: Path) -> bool:
    """Whether most labels of a folder laid out as TIMIT, of those that are looked at, are TIMIT's phones."""
    root = _root(folder)
    known = unknown = 0
    for path in islice((root or folder).glob("*/*/*/*.[pP][hH][nN]"), _LOOKED_AT):
        for line in path.read_bytes().decode("latin-1").split("\n"):
            if words := line.split()[2:3]:
                known, unknown = (
                    known + (words[0].lower() in PHONES),
                    unknown + (words[0].lower() not in PHONES),
                )
    return known > unknown


def recordings(
    folder: Path,
    report: Report = lambda text: None,
    *,
    phones: PhoneSet = 61,
    merged: Collection[str] = (),
    on_bad: OnBad = "stop",
) -> dict[str, list[Recording]]:
    """The train, dev and test parts, each sorted by name.

    Args:
        folder: As above.
        report: Told what is left out.
        phones: Which set the tokens are of; folding drops `q`.
        merged: Phones of that set of which several in a row count as one.
        on_bad: "stop", or "skip" to leave out sentences whose sound or labels cannot be used.
    """
    phone_set = set(PHONES if phones == 61 else _FOLDINGS[phones].values())
    if unknown := [label for label in merged if label not in phone_set]:
        all_phones = " ".join(sorted(phone for phone in phone_set if phone))
        raise UsageError(
            f"data.merged: {unknown[0]!r} is none of the {phones} phones", f"known: {all_phones}"
        )
    root = _root(folder)
    if root is None:
        raise DataError(f"{folder}: not a TIMIT folder", "it needs the folders TRAIN and TEST")
    parts: dict[str, list[Recording]] = {part: [] for part in PARTS}
    unused, faults, hint = 0, [], ""
    for name, entry in _listed(root):
        speaker = name.split("/")[2]
        part = "train" if name.startswith("train/") else _test_part(speaker)
        if part is None:
            unused += 1
            continue
        try:
            parts[part].append(_recording(name, speaker, entry, phones, merged))
        except DataError as error:
            hint = hint or error.hint
            faults.append(Fault(_example(entry), str(error)))
    report_faults(faults, on_bad, report, hint)
    for part, of_part in parts.items():
        if not of_part:
            raise DataError(f"{root}: has no recordings for the {part} part", "some speakers are missing")
    if unused:
        report(f"left out: {unused} utterances of TEST that are neither in the core test nor in dev")
    return parts


def _test_part(speaker: str) -> str | None:
    return "test" if speaker in TEST_SPEAKERS else "dev" if speaker in DEV_SPEAKERS else None


def _root(folder: Path) -> Path | None:
    for candidate in (folder, *sorted(folder.glob("*")), *sorted(folder.glob("*/*"))):
        try:
            if {"train", "test"} <= {path.name.lower() for path in candidate.iterdir()}:
                return candidate
        except OSError:  # a file, or a folder of somebody else's
            continue
    return None


def _listed(root: Path) -> list[tuple[str, dict[str, list[Path]]]]:
    # Name, and sounds and labels, of every sentence but SA, sorted by name.
    files: dict[str, dict[str, list[Path]]] = {}
    for path in root.glob("*/*/*/*"):
        part, region, speaker = (parent.name.lower() for parent in reversed(list(path.parents)[:3]))
        sentence, _, ending = path.name.lower().partition(".")
        if part in ("train", "test") and sentence.startswith(("si", "sx")):
            kind = {"phn": "labels", "wav": "sound", "wav.wav": "sound", "flac": "sound"}.get(ending)
            if kind:
                entry = files.setdefault(f"{part}/{region}/{speaker}/{sentence}", {})
                entry.setdefault(kind, []).append(path)
    return sorted(files.items())


def _example(entry: dict[str, list[Path]]) -> str:
    return str((entry.get("labels") or entry["sound"])[0])


def _recording(
    name: str, speaker: str, entry: dict[str, list[Path]], phones: PhoneSet, merged: Collection[str]
) -> Recording:
    if "labels" not in entry:
        raise DataError(f"{entry['sound'][0]}: there is no .PHN file beside it")
    labels = entry["labels"][0]
    if "sound" not in entry:
        raise DataError(f"{labels}: there is no sound file beside it")
    sound = min(entry["sound"], key=_preference)
    head = audio.inspect(sound)
    tokens = fold_phones(_segments(labels, head.seconds), _FOLDINGS[phones], merged)
    if not tokens:
        raise DataError(f"{labels}: holds no phone of the {phones}")
    sex: Literal["f", "m"] = "f" if speaker.startswith("f") else "m"
    return Recording(name, speaker, sex, SoundFile(sound), tokens, (), head, Place(labels, 0))


def _preference(path: Path) -> tuple[bool, str]:
    # RIFF first: the SPHERE file beside it may be compressed.
    try:
        with path.open("rb") as file:
            return file.read(4) != b"RIFF", path.name
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _segments(path: Path, seconds: float) -> tuple[Segment, ...]:
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a file of labels ({error})") from error
    segments: list[Segment] = []
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split()
        if not words:
            continue
        if len(words) != 3 or not all(word.isdigit() and len(word) < 12 for word in words[:2]):
            raise DataError(f"{path}:{number}: expected START END PHONE, got {line[:60]!r}")
        start, end, phone = int(words[0]) / RATE, int(words[1]) / RATE, words[2].lower()
        if phone not in PHONES:
            raise DataError(f"{path}:{number}: unknown phone {words[2]!r}", f"known: {' '.join(PHONES)}")
        if start > end or (segments and start < segments[-1].end):
            raise DataError(f"{path}:{number}: the times of the phones run backwards")
        segments.append(Segment(start, end, phone))
    if not segments:
        raise DataError(f"{path}: holds no labels")
    return fit_to_sound(segments, seconds, path, _SILENCE)
