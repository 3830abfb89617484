"""Text that a terminal shows and does not obey: control characters of somebody's data are written out."""

from typing import Any, TextIO

_CONTROLS = (*range(0x20), *range(0x7F, 0xA0))
_TURNS = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))  # which put the letters after them in another order
_WRITTEN = {code: f"\\x{code:02x}" for code in _CONTROLS if chr(code) not in "\n\t"}
_WRITTEN |= {code: f"\\u{code:04x}" for code in _TURNS}


def legible(text: str) -> str:
    """The text with every control character, but for line ends and TABs, as \\x or \\u and its number."""
    return text.translate(_WRITTEN)


class LegibleStream:
    """A text stream that writes what is `legible`, for a terminal; files and pipes get data as they are."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(legible(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
