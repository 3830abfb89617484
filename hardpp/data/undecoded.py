"""The bytes of text in which names of files may stand, which need not be UTF-8 (`hardpp.config.undecoded`)."""


def utf8(text: str) -> bytes:
    """The text in UTF-8, with \\udcXX for every byte XX that is none."""
    return text.encode(errors="backslashreplace")
