"""Lines of source, TAB, target, and nothing else: what every list of pairs comes down to.

How lines end, see `hardpp.data.lines`; blanks and invisible marks around a field are dropped.
"""

from hardpp.data.lines import Blank, decode_line, trimmed
from hardpp.data.transduction.text_pairs import TextPair


def fields(line: bytes) -> TextPair:
    """The two fields of a line.

    Raises:
        ValueError: It says what is wrong with the line: no TAB, further columns, an empty side or NUL, or no
            UTF-8.
    """
    text = decode_line(line)
    columns = text.split("\t")
    if len(columns) == 1:
        raise ValueError("missing target column (no TAB in the line)")
    return pair_of(columns)


def pair_of(columns: list[str], names: tuple[str, ...] = ("source", "target")) -> TextPair:
    """The pair that columns are, or three with a TAB between the first two: a lemma, its features, a form.

    Raises:
        ValueError: There are more or fewer of them, or one is blank.
    """
    if len(columns) != len(names):
        raise ValueError(f"{len(columns)} columns found where {len(names)} are wanted")
    *source, target = texts = [trimmed(column) for column in columns]
    if not all(texts):
        empty = texts.index("")
        raise Blank(f"{names[empty]} holds only blanks" if columns[empty] else f"empty {names[empty]}")
    return TextPair("\t".join(source), target)
