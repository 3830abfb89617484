"""The synthesiser flite, which says a sentence and tells when every phone ends.

flite knows the times, as it put the phones there: 41 phones with the pause `pau`, named as TIMIT's. It is a
program of the user's; a process says one sentence.

Source: Black and Lenzo (2001), Flite: a small fast run-time synthesis engine.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hardpp.data.programs import run_program
from hardpp.data.speech import audio
from hardpp.data.speech.recordings import Sex, fit_to_sound
from hardpp.data.speech.utterances import Segment
from hardpp.errors import DataError, UsageError

_OVERRUN = 0.15  # seconds by which the labels of kal16 may run past its sound
_PATIENCE = 60  # seconds a sentence may take
_HINT = "apt install flite"


class Voice(NamedTuple):
    """A voice of flite."""

    name: str
    sex: Sex
    pitch: tuple[int, int]  # Hz, the range that the mean is drawn from


VOICES = (
    Voice("kal16", "m", (85, 135)),
    Voice("awb", "m", (95, 150)),
    Voice("rms", "m", (80, 120)),  # it speaks at its own pitch, whatever it is told
    Voice("slt", "f", (150, 215)),
)


def find_flite() -> str:
    """Find the program flite, which must have all of the voices."""
    path = shutil.which("flite")
    if path is None:
        raise UsageError("making speech needs the program flite, which is not installed", _HINT)
    voices = _run([path, "-lv"], "flite -lv").partition(":")[2].split()
    # An unknown voice would silently become another one.
    if missing := [voice.name for voice in VOICES if voice.name not in voices]:
        raise UsageError(f"{path} lacks the voices {' '.join(missing)}", _HINT)
    return path


def say(flite: str, text: str, voice: Voice, stretch: float, pitch: int, path: Path) -> tuple[Segment, ...]:
    """Say a sentence into a FLAC file; returns its phones.

    Args:
        flite: What `find_flite` returned.
        text: One sentence.
        voice: Who says it.
        stretch: Of all durations.
        pitch: Mean of the fundamental frequency, in Hz.
        path: The file to write; a file of the same name ending in `.wav` comes and goes beside it.
    """
    wave = path.with_suffix(".wav")
    settings = [f"duration_stretch={stretch}", f"int_f0_target_mean={pitch}"]
    command = [flite, "-voice", voice.name, "-psdur"]
    command += [word for setting in settings for word in ("--setf", setting)]
    phones = _run([*command, "-t", text, "-o", str(wave)], f"flite on {text!r}")
    seconds = audio.inspect(wave).seconds
    audio.to_flac(wave, path)
    wave.unlink()
    return fit_to_sound(list(_segments(phones, text)), seconds, path, ("pau",), _OVERRUN)


def _segments(phones: str, text: str) -> Iterator[Segment]:
    # "phone:END phone:END ...", in seconds
    start = 0.0
    if not phones.split():
        raise DataError(f"flite gave no phones for {text!r}")
    for word in phones.split():
        phone, _, end = word.rpartition(":")
        try:
            segment = Segment(start, float(end), phone)
        except ValueError as error:
            raise DataError(f"flite gave {word!r} for a phone and its end in {text!r}") from error
        if not phone or segment.end < start:
            raise DataError(f"flite gave {word!r} for a phone and its end in {text!r}")
        start = segment.end
        yield segment


def _run(command: list[str], action: str) -> str:
    outcome = run_program("flite", command, f"{action} failed", _HINT, patience=_PATIENCE, tied=False)
    if outcome.returncode != 0:
        lines = outcome.stderr.strip().split("\n")
        raise DataError(f"{action} failed ({lines[-1] or f'exit status {outcome.returncode}'})", _HINT)
    return outcome.stdout
