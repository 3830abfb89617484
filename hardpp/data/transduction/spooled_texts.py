"""Texts that lie in two files while they are looked at, and numbers of lines beside them.

A bitext of them is like one in memory, but for what it takes: some 40 bytes a pair. Whoever asks for a text
is given a new one; many texts one after the other are decoded together.
"""

import mmap
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hardpp.data.lazily import Lazy, Mapped
from hardpp.data.lines import Place
from hardpp.data.parts import PARTS, refuse_empty
from hardpp.data.transduction.pairs import Bitext
from hardpp.data.transduction.streamed_pairs import StreamedPairs
from hardpp.data.transduction.text_pairs import TextPair, TwoSides

_AT_ONCE = 5_000  # texts


class Rows(Lazy[int]):
    """Some rows of a table, as numbers."""

    def __init__(self, rows: NDArray[np.int64]):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def member(self, index: int) -> int:
        return int(self.rows[index])

    def members(self, which: slice) -> Self:
        return type(self)(self.rows[which])

    def __iter__(self) -> Iterator[int]:
        for start in range(0, len(self.rows), _AT_ONCE):
            yield from self.rows[start : start + _AT_ONCE].tolist()


class SpooledSide(Lazy[str]):
    """Texts of a side, where they lie.

    Args:
        content: of all texts, one after the other.
        ends: where each ends and the next begins, (N + 1,).
        rows: of those that are meant.
    """

    def __init__(self, content: mmap.mmap, ends: NDArray[np.int64], rows: Rows):
        self._content, self._ends, self._rows = content, ends, rows

    def __len__(self) -> int:
        return len(self._rows)

    def member(self, index: int) -> str:
        row = self._rows[index]
        start, stop = self._ends[row : row + 2].tolist()
        return self._content[start:stop].decode()

    def members(self, which: slice) -> Self:
        return type(self)(self._content, self._ends, self._rows[which])

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self._rows), _AT_ONCE):
            rows = self._rows.rows[first : first + _AT_ONCE]
            starts, stops = self._ends[rows], self._ends[rows + 1]
            begin = int(starts.min())
            some = self._content[begin : int(stops.max())]
            bounds = zip((starts - begin).tolist(), (stops - begin).tolist(), strict=True)
            if some.isascii():  # a character is a byte
                text = some.decode()
                yield from [text[start:stop] for start, stop in bounds]
            else:
                yield from [some[start:stop].decode() for start, stop in bounds]


class SpooledPairs(TwoSides):
    """Pairs of texts of two sides of one length."""

    def __init__(self, source: SpooledSide, target: SpooledSide):
        self._sides = {"source": source, "target": target}

    def __len__(self) -> int:
        return len(self._sides["source"])

    def member(self, index: int) -> TextPair:
        return TextPair(*(side[index] for side in self._sides.values()))

    def members(self, which: slice) -> Self:
        return type(self)(*(side[which] for side in self._sides.values()))

    def __iter__(self) -> Iterator[TextPair]:
        return map(TextPair, *self._sides.values())

    def side(self, name: str) -> Sequence[str]:
        return self._sides[name]


class SpooledTexts:
    """Texts of both sides of pairs, in files, and where they stand.

    Args:
        folder: that is to hold the files.
    """

    def __init__(self, folder: Path):
        self._paths = [folder / f"{side}-texts.bin" for side in TextPair._fields]
        self._numbers, self._files, self._parts = array("q"), array("i"), array("b")
        self.files: list[tuple[Path, Path]] = []  # of source and target

    def read(self, pairs: StreamedPairs) -> Bitext:
        """The bitext of all pairs, once they are read.

        Raises:
            DataError: as the readers, or a part is empty.
            Unstreamable: as the readers.
        """
        ends = self._write(pairs)
        of = np.frombuffer(self._parts, np.int8)
        rows = {part: Rows(np.flatnonzero(of == number)) for number, part in enumerate(PARTS)}
        if "" in pairs.parts:
            sizes = {part: len(rows[part]) for part in PARTS}
            refuse_empty(sizes, pairs.whole, "line", "source", pairs.hint)
        contents = []
        for path in self._paths:
            with path.open("rb") as written:
                contents.append(mmap.mmap(written.fileno(), 0, access=mmap.ACCESS_READ))

        def part(name: str) -> SpooledPairs:
            source, target = (SpooledSide(*side, rows[name]) for side in zip(contents, ends, strict=True))
            return SpooledPairs(source, target)

        texts = {name: part(name) for name in PARTS}
        places = {name: Mapped(rows[name], self._places) for name in PARTS}
        about = {"sentences": pairs.sentences, "features": pairs.features}
        return Bitext(pairs.name, **texts, places=places, **about)  # type: ignore[arg-type]

    # Where sources end, and targets.
    def _write(self, pairs: StreamedPairs) -> list[NDArray[np.int64]]:
        numbered: dict[tuple[Path, Path], int] = {}
        source_ends, target_ends = array("q", [0]), array("q", [0])
        source_end = target_end = 0
        with self._paths[0].open("xb") as sources, self._paths[1].open("xb") as targets:
            for part, readers in pairs.parts.items():
                for line in (line for read in readers for line in read()):
                    (source, target), (place, other) = line
                    source_end += sources.write(source.encode())
                    target_end += targets.write(target.encode())
                    source_ends.append(source_end)
                    target_ends.append(target_end)
                    self._numbers.append(place.number)
                    self._files.append(numbered.setdefault((place.path, other.path), len(numbered)))
                    self._parts.append(PARTS.index(part or pairs.split(line)))
        self.files = list(numbered)
        return [np.frombuffer(ends, np.int64) for ends in (source_ends, target_ends)]

    def lines(self, part: str) -> Iterator[tuple[int, int]]:
        """The number of the line of each pair of a part, and of its files."""
        of = np.frombuffer(self._parts, np.int8) == PARTS.index(part)
        for first in range(0, len(of), _AT_ONCE):
            rows = first + np.flatnonzero(of[first : first + _AT_ONCE])
            yield from zip(
                np.frombuffer(self._numbers, np.int64)[rows].tolist(),
                np.frombuffer(self._files, np.int32)[rows].tolist(),
                strict=True,
            )

    def remove(self) -> None:
        """Removes the files; texts that are still at hand stay as they are."""
        for path in self._paths:
            path.unlink()

    def _places(self, row: int) -> tuple[Place, Place]:
        number = self._numbers[row]
        source, target = self.files[self._files[row]]
        return Place(source, number), Place(target, number)
