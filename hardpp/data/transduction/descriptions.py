"""Descriptions of Debian packages: German, French and English, technical, with names that stay as they are.

A translation file holds stanzas `Package:`, `Description-md5:`, `Description-LANGUAGE: synopsis`, and lines
that start with a blank: two blanks make a line of a list, ` .` divides paragraphs. Stanzas of two languages
belong together when they have the checksum in common. Paragraphs are paired when both sides have equally
many, and cut into sentences where those agree too. Parts are made of whole packages; a text that several
packages share belongs to the first of them. The archive moves, and the number of pairs with it.

Source: the Debian Description Translation Project, under the licences of the packages.
"""

from pathlib import Path
from typing import Literal, NamedTuple

from hardpp.data.transduction.pairs import Bitext, TextPair
from hardpp.data.transduction.selection import selected, sentences, split
from hardpp.errors import DataError

_MD5 = "Description-md5"


def bitext(folder: Path | str, language: Literal["de", "fr"]) -> Bitext:
    """German or French to English.

    Args:
        folder: What `fetch("descriptions")` returned.
        language: Of the source.

    Raises:
        DataError: A file cannot be read, is not UTF-8, or the two have no description in common.
    """
    foreign, english = (_descriptions(Path(folder) / f"Translation-{name}") for name in (language, "en"))
    pairs: list[tuple[str, TextPair]] = []
    for checksum, translation in foreign.items():
        if (original := english.get(checksum)) is None:
            continue
        texts = [TextPair(translation.synopsis, original.synopsis)]
        if len(translation.paragraphs) == len(original.paragraphs):
            for paragraphs in zip(translation.paragraphs, original.paragraphs, strict=True):
                texts += sentences(TextPair(*paragraphs))
        pairs += [(translation.package, text) for text in texts]
    if not pairs:
        raise DataError(f"{folder}: Translation-{language} and Translation-en have no description in common")
    return split(f"descriptions-{language}-en", selected(pairs))


class _Description(NamedTuple):
    package: str
    synopsis: str
    paragraphs: list[str]


def _descriptions(path: Path) -> dict[str, _Description]:
    # By checksum of the English original; of several packages with the same text the last counts.
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror})", "hardpp data fetch descriptions"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start + 1})") from error
    found: dict[str, _Description] = {}
    for stanza in text.split("\n\n"):
        fields: dict[str, str] = {}
        paragraphs: list[list[str]] = [[]]
        for line in stanza.split("\n"):
            if not line.startswith(" "):
                name, _, value = line.partition(":")
                fields["synopsis" if name.startswith("Description-") and name != _MD5 else name] = (
                    value.strip()
                )
            elif line.strip() == ".":
                paragraphs.append([])
            elif line.startswith("  "):
                paragraphs += [[line.strip()], []]
            else:
                paragraphs[-1].append(line.strip())
        if fields.get(_MD5) and fields.get("synopsis"):
            joined = [" ".join(paragraph) for paragraph in paragraphs if paragraph]
            found[fields[_MD5]] = _Description(fields.get("Package", ""), fields["synopsis"], joined)
    return found
