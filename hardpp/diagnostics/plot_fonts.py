"""Fonts for figures whose texts are in many scripts.

Matplotlib's own font has Latin, Greek, Cyrillic and little more, and draws a box for any other letter. An
installed font that has the letters is put behind it.
"""

from collections.abc import Iterable, Sequence
from functools import cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text

_OWN = "DejaVu Sans"


def add_fonts(figures: Sequence[Figure]) -> str:
    """Give texts the installed fonts that their letters need; returns the letters that no font has."""
    texts = [text for figure in figures for text in figure.findobj(Text) if text.get_text()]
    wanted = {sign for text in texts for sign in text.get_text() if sign.isprintable() and sign != " "}
    missing = _without(wanted, findfont(FontProperties(family=[_OWN])))
    names = [_OWN]
    for name, path in _installed():
        if not missing:
            break
        if len(left := _without(missing, path)) < len(missing):
            names.append(name)
            missing = left
    if len(names) > 1:
        for text in texts:
            text.set_fontfamily(names)
    return "".join(sorted(missing))


def _without(signs: Iterable[str], path: str) -> set[str]:
    try:
        known = get_font(path).get_charmap()
    except (OSError, RuntimeError):  # a font that cannot be opened has no letters
        return set(signs)
    return {sign for sign in signs if ord(sign) not in known}


@cache
def _installed() -> list[tuple[str, str]]:
    plain = [font for font in fontManager.ttflist if font.style == "normal" and font.weight == 400]
    return sorted({font.name: font.fname for font in plain}.items())
