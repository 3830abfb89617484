"""Fonts for figures whose texts are in many scripts.

Matplotlib's own font has Latin, Greek, Cyrillic and little more, and draws a box for any other letter. An
installed font that has the letters is put behind it.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text

_OWN = "DejaVu Sans"
_SHOWN = 10  # letters in one message


@contextmanager
def legible(figures: Sequence[Figure], tell: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Draw figures in the block with the fonts that they need.

    Letters that no font has are boxes, which `tell` is told; matplotlib's own warnings, which hold them as
    they are, are left out.
    """
    if missing := add_fonts(figures):
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        what = f"warning: no installed font has {missing[:_SHOWN]}{more}, which are drawn as boxes"
        tell(f"{what}: install one that has, such as Noto Sans of that script or Noto Sans CJK")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


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
