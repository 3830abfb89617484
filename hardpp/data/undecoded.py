"""Text as bytes, with names of files in it that need not be UTF-8 (`hardpp.config.undecoded`)."""


def utf8(text: str) -> bytes:
    """The text in UTF-8, with \\udcXX for every byte XX that is none."""
    return text.encode(errors="backslashreplace")
