"""Text with bytes that are no UTF-8, as names of files and folders may have them.

Python has a lone surrogate for each such byte, from U+DC80 to U+DCFF, which UTF-8 cannot hold. In files it
is written as \\udc80 to \\udcff, which JSON reads as what it was; for TOML it is put back here.
"""

import re
from typing import Any

_ESCAPED = re.compile(r"\\udc([89a-f][0-9a-f])")


def escaped(value: Any) -> Any:
    """A value of tables, lists and texts, each of which can be written in UTF-8."""
    return _each(value, lambda text: text.encode(errors="backslashreplace").decode())


def restored(value: Any) -> Any:
    """What `escaped` was given."""
    return _each(value, lambda text: _ESCAPED.sub(lambda byte: chr(0xDC00 + int(byte[1], 16)), text))


def _each(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _each(inside, change) for key, inside in value.items()}
    return [_each(inside, change) for inside in value] if isinstance(value, list) else value
