"""LibreOffice's help: a manual in German, French and English, literal and terse.

The three languages have the same files, and in them the same paragraphs by identity (`id="par_..."`, and
`hd_...` for headings). Paragraphs of program code are passed over, others are cut into sentences where both
sides have equally many. Parts are made of whole files; a text that several files share belongs to the first
of them.

Source: the help of LibreOffice 7.4, MPL 2.0, as packed in Debian `libreoffice-help-{en-us,de,fr}`.
"""

import html
import itertools
import re
from pathlib import Path
from typing import Literal

from hardpp.data.lines import read_text
from hardpp.data.transduction.pairs import Bitext
from hardpp.data.transduction.selection import select_pairs, split_by_group, split_into_sentences
from hardpp.data.transduction.text_pairs import TextPair
from hardpp.errors import DataError

FOLDER = "usr/share/libreoffice/help"  # where the languages lie in the fetched folder

_BLOCK = re.compile(r"</?(?:p|h[1-6])\b([^>]*)>")
_IDENTITY = re.compile(r'\bid="((?:par|hd)_[^"]*)"')
_CODE = re.compile(r'\bclass="[^"]*code', re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")


def bitext(folder: Path | str, language: Literal["de", "fr"]) -> Bitext:
    """Read pairs of sentences, German or French to English, from the fetched folder."""
    texts = {name: Path(folder) / FOLDER / name / "text" for name in (language, "en-US")}
    for text in texts.values():
        if not text.is_dir():
            raise DataError(f"{text}: there is no such folder", "hardpp data fetch libreoffice-help")
    pairs: list[tuple[str, TextPair]] = []
    for path in sorted(texts[language].rglob("*.html")):
        file = path.relative_to(texts[language])
        if not (texts["en-US"] / file).exists():
            continue
        foreign, english = (_paragraphs(side / file) for side in texts.values())
        pairs += [
            (file.as_posix(), sentence)
            for identity, paragraph in foreign.items()
            if identity in english
            for sentence in split_into_sentences(TextPair(paragraph, english[identity]))
        ]
    return split_by_group(f"libreoffice-{language}-en", select_pairs(pairs))


def _paragraphs(path: Path) -> dict[str, str]:
    # Texts by identity, the first where one occurs twice. The pages are generated, and always alike.
    page = read_text(path)
    paragraphs: dict[str, str] = {}
    for block, following in itertools.pairwise(_BLOCK.finditer(page)):
        identity = _IDENTITY.search(block[1])
        if identity is None or _CODE.search(block[1]):
            continue
        text = html.unescape(_TAG.sub("", page[block.end() : following.start()])).strip()
        if text:
            paragraphs.setdefault(identity[1], text)
    return paragraphs
