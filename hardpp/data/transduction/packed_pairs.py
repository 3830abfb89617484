"""Pairs that lie in files of numbers, so that a corpus of any size takes little memory and is there at once.

A folder holds `pack.json` (what was read, its symbols and tokenizers) and for each part arrays that are
looked at where they lie (memory-mapped): ids of symbols of all sources, and of all targets, one after the
other, where those of each pair begin, and on which line of which file it stands. Where all
targets of a source are right answers to it, `group` says which source a pair has, and `answers` has the
first pair of each of its targets.

Shapes: N pairs of a part, G distinct sources.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from hardpp.data.atomic_files import write_file
from hardpp.data.lazily import Lazy
from hardpp.data.lines import Place
from hardpp.data.parts import PARTS
from hardpp.data.transduction.packed_json import Answers, PairsInJSON
from hardpp.data.transduction.pairs import Corpus, Pair, PlacedPair
from hardpp.data.transduction.spooled_texts import Rows
from hardpp.data.transduction.tokenizers import load_tokenizer

SIDES = ("source", "target")
_AT_ONCE = 10_000  # pairs
_IN_JSON = 2_000

Array = NDArray[Any]


class SideCounts(NamedTuple):
    """What a side of some pairs holds."""

    symbols: Mapping[str, int]  # how often each occurs
    lengths: NDArray[np.int64]  # (N,) symbols of each


class PackedPart:
    """The arrays of one part.

    Args:
        folder: that holds them.
        symbols: of sources and of targets.
        files: of source and target, by number.
    """

    def __init__(self, folder: Path, symbols: Sequence[Sequence[str]], files: Sequence[tuple[Path, Path]]):
        self.folder, self.symbols, self.files = folder, symbols, files

    def array(self, name: str) -> Array:
        """An array by its name."""
        mapped = np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        return np.asarray(mapped)  # every part of a memory map is another, which takes a while

    @cached_property
    def ids(self) -> tuple[Array, ...]:
        """Ids of all sources and all targets, int32."""
        sizes = [int(starts[-1]) for starts in self.starts]
        paths = [self.folder / f"{side}.bin" for side in SIDES]
        return tuple(
            np.asarray(np.memmap(path, np.int32, "r", shape=(size,)))
            for path, size in zip(paths, sizes, strict=True)
        )

    @cached_property
    def starts(self) -> tuple[Array, ...]:
        """Where the ids of each source and of each target begin, and where the last ends: (N + 1,)."""
        return tuple(self.array(f"{side}-starts") for side in SIDES)

    @cached_property
    def lines(self) -> Array:
        """The line of each pair and the number of its files, (N, 2)."""
        return self.array("lines")

    @cached_property
    def odd_texts(self) -> Mapping[int, str]:
        """Sources as they are written, where their symbols do not say that, by the rows of pairs."""
        found: dict[str, str] = json.loads((self.folder / "odd-texts.json").read_text(encoding="utf-8"))
        return {int(row): text for row, text in found.items()}

    @cached_property
    def answers(self) -> tuple[Array, Array, Array] | None:
        """Group (N,), where the answers of each group begin (G + 1,), and the rows that have them as targets.

        None where each pair has its own target alone.
        """
        if not (self.folder / "group.npy").exists():
            return None
        return self.array("group"), self.array("answer-starts"), self.array("answers")

    def sequence(self, side: int, row: int) -> tuple[str, ...]:
        """The symbols of a source (side 0) or a target (1)."""
        starts, symbols = self.starts[side], self.symbols[side]
        return tuple(symbols[id] for id in self.ids[side][starts[row] : starts[row + 1]].tolist())

    def pair(self, row: int, swapped: bool) -> Pair:
        """The pair of a row; `swapped` turns it round."""
        line, file = self.lines[row].tolist()
        place = Place(self.files[file][0], line)
        source, target = (self.sequence(side, row) for side in (0, 1))
        if swapped:
            return PlacedPair.at(place, Pair(target, source, (source,)))
        references: tuple[tuple[str, ...], ...] = (target,)
        if self.answers is not None:
            group, starts, rows = self.answers
            which = group[row]
            answers = rows[starts[which] : starts[which + 1]].tolist()
            references = references if answers == [row] else tuple(self.sequence(1, each) for each in answers)
        return PlacedPair.at(place, Pair(source, target, references), self.odd_texts.get(row))


class PackedPairs(Lazy[Pair]):
    """Pairs of a part, each made when it is asked for.

    Args:
        part: that has them.
        rows: of those that are meant.
        swapped: are sources and targets the other way round?
    """

    def __init__(self, part: PackedPart, rows: Rows, swapped: bool = False):
        self.part, self.rows, self.swapped = part, rows, swapped

    def __len__(self) -> int:
        return len(self.rows)

    def member(self, index: int) -> Pair:
        return self.part.pair(self.rows[index], self.swapped)

    def members(self, which: slice) -> Self:
        return type(self)(self.part, self.rows[which], self.swapped)

    def __iter__(self) -> Iterator[Pair]:
        return (self.part.pair(row, self.swapped) for row in self.rows)

    def turned(self) -> "PackedPairs":
        """The same pairs the other way round, each with its own target alone."""
        return PackedPairs(self.part, self.rows, not self.swapped)

    def side(self, name: str) -> int:
        """The number of a side in the arrays."""
        return SIDES.index(name) ^ self.swapped

    def lengths(self, name: str) -> NDArray[np.int64]:
        """Symbols of each source or target."""
        starts, rows = self.part.starts[self.side(name)], self.rows.rows
        return np.asarray(starts[rows + 1] - starts[rows], np.int64)

    def counts(self, name: str) -> SideCounts:
        """What sources or targets hold."""
        side, total = self.side(name), np.zeros(len(self.part.symbols[self.side(name)]), np.int64)
        starts, ids = self.part.starts[side], self.part.ids[side]
        for first in range(0, len(self.rows), _AT_ONCE):
            rows = self.rows.rows[first : first + _AT_ONCE]
            some = ids[starts[rows[0]] : starts[rows[-1] + 1]]
            if rows[-1] - rows[0] + 1 > len(rows):  # there are others between
                some = np.concatenate([ids[starts[row] : starts[row + 1]] for row in rows])
            total += np.bincount(some, minlength=len(total))
        symbols = {
            name: count for name, count in zip(self.part.symbols[side], total.tolist(), strict=True) if count
        }
        return SideCounts(symbols, self.lengths(name))

    def as_json(self) -> Iterator[str]:
        """Each pair as `json.dumps` writes it, many in one text, a line each."""
        part, order = self.part, [self.side(name) for name in SIDES]
        symbols, starts, ids = (
            [part.symbols[side] for side in order],
            [part.starts[side] for side in order],
            [part.ids[side] for side in order],
        )
        write = PairsInJSON(symbols, starts, ids)
        for first in range(0, len(self.rows), _IN_JSON):
            rows = self.rows.rows[first : first + _IN_JSON]
            yield write(rows, self._answers(rows))

    # The answers of the pairs of some rows.
    def _answers(self, rows: NDArray[np.int64]) -> Answers:
        if self.swapped or self.part.answers is None:
            return Answers(rows, np.ones_like(rows))
        group, starts, answers = self.part.answers
        firsts, stops = starts[group[rows]], starts[group[rows] + 1]
        counts = stops - firsts
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return Answers(answers[np.repeat(firsts, counts) + within], counts)

    def hashes(self, *, whole: bool) -> NDArray[np.uint64]:
        """A number for each source, or of each `whole` pair: others have others."""
        return np.asarray(
            self.part.array("pair-hashes" if whole else f"{SIDES[self.side('source')]}-hashes")[
                self.rows.rows, 0
            ]
        )


class PackedCorpus(Corpus):
    """A corpus whose parts are packed; it keeps its fingerprint, which takes a while, beside them."""

    def fingerprint(self) -> str:
        train = self.train
        assert isinstance(train, PackedPairs)
        sizes = "-".join(str(len(part)) for part in (self.train, self.dev, self.test))
        path = train.part.folder.parent / f"fingerprint-{sizes}{'-turned' * train.swapped}"
        if not path.exists():
            write_file(path, super().fingerprint().encode())
        return path.read_text()

    def _json(self, pairs: Sequence[Pair]) -> Iterator[str]:
        assert isinstance(pairs, PackedPairs)
        return pairs.as_json()


def open_pack(folder: Path, base: Path) -> tuple[PackedCorpus, dict[str, Any]]:
    """The corpus of a folder whose files lie at `base`, and what else `pack.json` says."""
    about: dict[str, Any] = json.loads((folder / "pack.json").read_text(encoding="utf-8"))
    root = base if base.is_dir() else base.parent
    files = [tuple(root / name if name else base for name in pair) for pair in about["files"]]
    parts = {name: PackedPart(folder / name, about["symbols"], files) for name in PARTS}  # type: ignore[arg-type]
    pairs = {name: PackedPairs(part, Rows(part.array("rows"))) for name, part in parts.items()}
    source, target = map(load_tokenizer, about["tokenizers"])
    return PackedCorpus(about["name"], **pairs, source=source, target=target), about
