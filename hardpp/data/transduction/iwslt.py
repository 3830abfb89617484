"""The raw TED talks of the IWSLT evaluations, as IWSLT14 was handed out.

A folder holds, for a pair of languages, `train.tags.de-en.{de,en}` and `NAME.de-en.{de,en}.xml`. In the
former lines of metadata (`<url>`, `<speaker>`, ...) are passed over, and titles and descriptions are taken
out of their tags; in the latter the text is in `<seg id="...">`. The parts are those of fairseq: dev is every
23rd pair of train, test is all of the xml files together; there typographic apostrophes become plain ones, as
train has them.

Source: M. Cettolo, C. Girardi, M. Federico, WIT3: Web Inventory of Transcribed and Translated Talks, EAMT
2012.
"""

import html
import re
from collections.abc import Callable
from pathlib import Path

from hardpp.data.lines import OnBad, Report, read_lines
from hardpp.data.transduction.pairing import pair_texts, translation_direction
from hardpp.data.transduction.pairs import Bitext, Line
from hardpp.data.transduction.text_pairs import TextPair
from hardpp.errors import DataError, UsageError

_EVERY = 23  # so many pairs of train have one that is dev
_KEPT = re.compile(rb"\s*<(title|description)>(.*?)(?:</\1>)?\s*", re.DOTALL)
_METADATA = re.compile(rb"\s*</?[a-z]+(?:\s[^>]*)?>.*", re.DOTALL)
_SEGMENT = re.compile(
    rb'<doc\b[^>]*\bdocid="([^"]*)"|<seg\b[^>]*\bid="?([^">]*)"?[^>]*>(.*?)</seg>', re.DOTALL
)
_ENTITY = re.compile(r"&#?\w+;")

_Numbered = list[tuple[int, bytes]]  # texts, and the lines where they stand


def is_raw(folder: Path | str) -> bool:
    """Whether a folder holds the talks as they were handed out."""
    return next(Path(folder).glob("train.tags.*"), None) is not None


def bitext(
    folder: Path | str,
    *,
    source: str | None = None,
    target: str | None = None,
    on_bad: OnBad = "stop",
    report: Report = lambda text: None,
) -> Bitext:
    """Read the talks of a pair of languages from the folder that holds its files.

    Args:
        folder: As above.
        source: The language to translate from; need not be said when the other one is English.
        target: The language to translate into.
        on_bad: What happens to a pair with a text that is empty or cannot be read.
        report: Told which side is the source, and what was left out.
    """
    folder = Path(folder)
    tags = sorted(folder.glob("train.tags.*.*"))
    if not tags:
        raise DataError(f"{folder}: there is no train.tags file", "it needs train.tags.de-en.de and the like")
    couples = {path.name.split(".")[2] for path in tags}
    if len(couples) > 1:
        raise UsageError(f"{folder}: there are several pairs of languages ({', '.join(sorted(couples))})")
    (couple,) = couples
    sides = translation_direction(str(folder), {path.suffix[1:] for path in tags}, source, target)
    report(f"{folder}: from {sides[0]} to {sides[1]}")
    paths = [folder / f"train.tags.{couple}.{side}" for side in sides]
    lines = list(pair_texts((paths[0], paths[1]), [_tagged(path) for path in paths], on_bad, report))
    lines = _map(_unescape, lines)
    train = [line for number, line in enumerate(lines, start=1) if number % _EVERY]
    dev = lines[_EVERY - 1 :: _EVERY]
    test: list[Line] = []
    for path in sorted(folder.glob(f"*.{couple}.{sides[0]}.xml")):
        target_path = path.with_name(path.name.removesuffix(f"{sides[0]}.xml") + f"{sides[1]}.xml")
        test += pair_texts((path, target_path), _segments(path, target_path), on_bad, report)
    if not (dev and test):
        missing = f"fewer than {_EVERY} pairs to train on" if not dev else "no xml file to test on"
        raise DataError(f"{folder}: there is {missing}")
    test = _map(lambda text: _unescape(text).replace("\u2019", "'"), test)
    return Bitext.of_lines(f"iwslt-{sides[0]}-{sides[1]}", {"train": train, "dev": dev, "test": test})


def _tagged(path: Path) -> _Numbered:
    texts: _Numbered = []
    for number, line in enumerate(read_lines(path, "lines of text and of tags"), start=1):
        if tagged := _KEPT.fullmatch(line):
            texts.append((number, tagged[2].strip()))
        elif not _METADATA.fullmatch(line):
            texts.append((number, line.strip()))
    return texts


def _segments(*paths: Path) -> list[_Numbered]:
    # Both files must have the same segments of the same talks in the same order.
    names: list[list[str]] = []
    texts: list[_Numbered] = []
    for path in paths:
        content = b"\n".join(read_lines(path, "segments of text"))
        names.append([])
        texts.append([])
        talk = ""
        for match in _SEGMENT.finditer(content):
            if match[3] is None:
                talk = match[1].decode("utf-8", "replace")
                continue
            names[-1].append(f"segment {match[2].decode('utf-8', 'replace')} of talk {talk}")
            number = content.count(b"\n", 0, match.start()) + 1
            texts[-1].append((number, b" ".join(match[3].split())))
    for first, second in zip(*names, strict=False):
        if first != second:
            raise DataError(f"{paths[0]} has {first} where {paths[1]} has {second}")
    return texts


def _unescape(text: str) -> str:
    # Only whole entities: an ampersand of the text itself, as in R&D, stays.
    return _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)


def _map(change: Callable[[str], str], lines: list[Line]) -> list[Line]:
    return [line._replace(pair=TextPair(*map(change, line.pair))) for line in lines]
