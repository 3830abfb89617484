"""The picture files below a folder, by the names that lists have for them."""

import re
from pathlib import Path, PurePosixPath

from hardpp.data.images.found_pictures import files_below
from hardpp.data.images.picture_files import ENDINGS
from hardpp.errors import DataError

_NUMBER = re.compile(r"\d+$", re.ASCII)


class NamedPictures:
    """Files of pictures below a folder, by the ends of their paths."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._named: dict[str, list[Path]] = {}
        self._stems: dict[str, list[Path]] = {}
        self._numbers: dict[str, list[Path]] = {}  # without zeros before them
        for path in files_below(folder):
            if path.suffix.lower() in ENDINGS:
                self._named.setdefault(path.name, []).append(path)
                self._stems.setdefault(path.stem, []).append(path)
                if (number := _NUMBER.search(path.stem)) is not None:
                    self._numbers.setdefault(number[0].lstrip("0"), []).append(path)

    def find(self, name: str) -> Path | None:
        """Find the one file of a name, or of a path that ends so below the folder; None if there is none.

        A name may lack its ending, or be the number at the end of one (262148 of COCO_test2015_000000262148).
        It may have fewer folders before it than the file, or more, as lists have that were made elsewhere.

        Raises:
            DataError: several files are meant.
        """
        ending = PurePosixPath(name.replace("\\", "/")).parts
        if not ending:
            return None
        last = ending[-1]
        called = self._named.get(last) or self._stems.get(last) or []
        if not called and last.isascii() and last.isdecimal():
            called = self._numbers.get(last.lstrip("0"), [])
        of_all = ((path, self._shared(path, ending[:-1])) for path in called)
        shared = {path: count for path, count in of_all if count is not None}
        most = max(shared.values(), default=0)
        paths = [path for path, count in shared.items() if count == most]
        if (exact := self._folder.joinpath(*ending)) in paths:
            return exact
        if len(paths) > 1:
            raise DataError(
                f"{paths[0]} and {paths[1]} are both meant by {name}",
                "write the folder before the name, too",
            )
        return paths[0] if paths else None

    # How many folders before the name are the same, from the last on; None if others come before them.
    def _shared(self, path: Path, folders: tuple[str, ...]) -> int | None:
        own = path.relative_to(self._folder).parts[:-1]
        least = min(len(own), len(folders))
        return least if own[len(own) - least :] == folders[len(folders) - least :] else None
