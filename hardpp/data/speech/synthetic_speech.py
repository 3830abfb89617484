"""Speech made by the synthesiser flite: as much as TIMIT, short sentences, four voices, exact phone times.

The sentences are the English examples of Ding with 6 to 14 words in ASCII. Their CRC-32 decides the part
(`bucket`) and the order in it, so that no sentence is in two parts; a part takes the voices in turn. Speed
and pitch differ from sentence to sentence and follow from the sentence too.

                small    full
    train         600   3,696     as many as TIMIT has
    dev            60     400
    test           60     192

Another release of flite may say things differently; what was said is told apart by the corpus's fingerprint.

Sources: flite (`hardpp.data.speech.flite`); Frank Richter's Ding word list (`hardpp.data.transduction.ding`).
"""

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

from hardpp.data.fetch.cache import derived
from hardpp.data.lines import Report
from hardpp.data.parts import PARTS, by_crc32, part_of, split
from hardpp.data.speech import audio, flite
from hardpp.data.speech.recordings import Recording, SoundFile
from hardpp.data.speech.utterances import Segment
from hardpp.data.transduction.pairs import Bitext
from hardpp.errors import DataError

Size = Literal["small", "full"]

SIZES: dict[Size, dict[str, int]] = {
    "small": {"train": 600, "dev": 60, "test": 60},
    "full": {"train": 3696, "dev": 400, "test": 192},
}
_VERSION = 1  # of how speech is made; another version is kept elsewhere
_LIST = "utterances.json"
_REPORTED = 500  # utterances between two reports


class Order(NamedTuple):
    """A sentence for flite, and how it is to be said."""

    name: str
    voice: flite.Voice
    text: str
    stretch: float  # of all durations
    pitch: int  # Hz


def orders(bitext: Bitext, size: Size) -> dict[str, list[Order]]:
    """Choose the sentences of each part; the small parts begin the full ones."""
    texts = {pair.target.replace("\u2019", "'") for pair in (*bitext.train, *bitext.dev, *bitext.test)}
    suitable = [text for text in texts if text.isascii() and 6 <= len(text.split()) <= 14]
    ordered: dict[str, list[Order]] = {}
    for part, sentences in split(sorted(suitable, key=by_crc32), part_of).items():
        if len(sentences) < (count := SIZES[size][part]):
            raise DataError(
                f"{bitext.name}: {count} sentences are needed for the {part} part, it has {len(sentences)}"
            )
        ordered[part] = [_order(place, text) for place, text in enumerate(sentences[:count])]
    return ordered


def recordings(read_bitext: Callable[[], Bitext], size: Size, report: Report) -> dict[str, list[Recording]]:
    """The train, dev and test parts, made now of a bitext's sentences if the cache lacks them."""
    folder = derived(
        f"synthetic-speech-{size}-{_VERSION}",
        lambda built: make(orders(read_bitext(), size), built, report),
        report,
    )
    return read_parts(folder)


def make(ordered: dict[str, list[Order]], folder: Path, report: Report) -> None:
    """Let flite say all sentences: FOLDER/PART/NAME.flac, with the phones in FOLDER/utterances.json."""
    program = flite.find_flite()
    all_orders = [(part, order) for part, of_part in ordered.items() for order in of_part]
    report(f"making {len(all_orders)} utterances with flite")
    for part in ordered:
        (folder / part).mkdir()

    def say(work: tuple[str, Order]) -> dict[str, object]:
        part, order = work
        path = folder / part / f"{order.name}.flac"
        segments = flite.say(program, order.text, order.voice, order.stretch, order.pitch, path)
        said = {"part": part, "name": order.name, "voice": order.voice.name, "text": order.text}
        return {**said, "segments": segments}

    rows = []
    # flite is a process of its own; a thread only waits for it.
    with ThreadPoolExecutor() as pool:
        try:
            for number, row in enumerate(pool.map(say, all_orders), start=1):
                rows.append(row)
                if number % _REPORTED == 0:
                    report(f"made {number} of {len(all_orders)} utterances")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # what is stopped should not go on for minutes
            raise
    (folder / _LIST).write_text(json.dumps(rows) + "\n", encoding="utf-8")


def read_parts(folder: Path) -> dict[str, list[Recording]]:
    """Read the parts of a folder that `make` filled."""
    sexes = {voice.name: voice.sex for voice in flite.VOICES}
    parts: dict[str, list[Recording]] = {part: [] for part in PARTS}
    try:
        for row in json.loads((folder / _LIST).read_text(encoding="utf-8")):
            segments = tuple(Segment(*segment) for segment in row["segments"])
            sound = SoundFile(folder / row["part"] / f"{row['name']}.flac")
            name, head = f"{row['part']}/{row['name']}", audio.inspect(sound.path)
            spoken = Recording(name, row["voice"], sexes[row["voice"]], sound, segments, (), head)
            parts[row["part"]].append(spoken)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder / _LIST}: damaged list of utterances ({error})", "remove the folder and try again"
        ) from error
    return parts


def _order(place: int, text: str) -> Order:
    voice = flite.VOICES[place % len(flite.VOICES)]
    generator = random.Random(text)  # the standard library promises the same numbers in every version
    stretch = round(0.8 + 0.45 * generator.random(), 2)
    lowest, highest = voice.pitch
    pitch = lowest + int((highest - lowest) * generator.random())
    return Order(f"{place:04d}-{voice.name}", voice, text, stretch, pitch)
