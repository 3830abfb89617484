"""Pairs are tokenised one by one into the arrays of `hardpp.data.transduction.packed_pairs`.

What it takes of memory are some hundred bytes a pair, in arrays, and the symbols. The pairs are those that
`hardpp.data.transduction.tokenization.tokenize_bitext` makes.

Shapes: N pairs of a part, G distinct sources.
"""

import json
from array import array
from collections.abc import Collection, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hardpp.data.lines import BadLine, OnBad, Report
from hardpp.data.parts import PARTS
from hardpp.data.transduction.long_pairs import TokenPair, length, long_lines, refuse_long
from hardpp.data.transduction.packed_pairs import SIDES
from hardpp.data.transduction.pairs import Bitext
from hardpp.data.transduction.sequence_hashes import pair_hashes, sequence_hashes
from hardpp.data.transduction.spooled_texts import SpooledTexts
from hardpp.data.transduction.text_pairs import side_of
from hardpp.data.transduction.tokenizers import Tokenizer, folding_of

_AT_ONCE = 1000  # pairs


class SymbolIds(dict[str, int]):
    """Ids of symbols: one that is not known yet gets the next."""

    def __missing__(self, symbol: str) -> int:
        self[symbol] = number = len(self)
        return number


class PartWriter:
    """Writes the arrays of one part.

    Args:
        folder: that is to hold them, and is not there yet.
        symbols: of sources and of targets, with their ids; more are added.
    """

    def __init__(self, folder: Path, symbols: Sequence[SymbolIds]):
        folder.mkdir()
        self._folder, self._symbols = folder, symbols
        self._ids: list[BinaryIO] = [(folder / f"{side}.bin").open("xb") for side in SIDES]
        self._waiting: list[list[tuple[str, ...]]] = [[] for _ in SIDES]
        self._lengths: list[list[NDArray[np.int64]]] = [[] for _ in SIDES]
        self._hashes: list[list[NDArray[np.uint64]]] = [[] for _ in SIDES]
        self._lines, self._odd = array("q"), dict[int, str]()

    def add(self, tokens: TokenPair, line: int, file: int, text: str | None) -> None:
        """Adds a pair, the numbers of its line and its files, and its source as it is written, if need be."""
        if text is not None:
            self._odd[len(self)] = text
        source, target = self._waiting
        source.append(tokens.source)
        target.append(tokens.target)
        self._lines.extend((line, file))
        if len(source) == _AT_ONCE:
            self._write_waiting()

    def _write_waiting(self) -> None:
        for side, sequences in enumerate(self._waiting):
            ids = array("i", map(self._symbols[side].__getitem__, chain.from_iterable(sequences)))
            lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
            self._ids[side].write(ids)
            self._lengths[side].append(lengths)
            self._hashes[side].append(sequence_hashes(np.frombuffer(ids, np.int32), lengths))
            sequences.clear()

    def __len__(self) -> int:
        return len(self._lines) // 2

    def close(self, *, pooled: bool, distinct: bool) -> None:
        """Writes what is known once all pairs are there.

        Args:
            pooled: are all targets of a source right answers to it?
            distinct: does the first pair stand for all of one source?
        """
        self._write_waiting()
        source, target = (np.concatenate(hashes) for hashes in self._hashes)
        hashes = {"source": source, "target": target, "pair": pair_hashes(source, target)}
        rows = np.arange(len(self))
        if pooled:
            firsts = self._write_answers(hashes)
            rows = firsts if distinct else rows
        for side, file, lengths in zip(SIDES, self._ids, self._lengths, strict=True):
            file.close()
            self._write(f"{side}-starts", np.cumsum(np.concatenate([[0], *lengths])))
        for name, values in hashes.items():
            self._write(f"{name}-hashes", values)
        self._write("lines", np.frombuffer(self._lines, np.int64).reshape(-1, 2))
        self._write("rows", rows)
        odd = json.dumps(self._odd)
        (self._folder / "odd-texts.json").write_text(odd, encoding="utf-8")

    # Answers of every source: the first pair of each of its targets. Returns the first pair of each source.
    def _write_answers(self, hashes: dict[str, NDArray[np.uint64]]) -> NDArray[np.int64]:
        firsts, group = _grouped(hashes["source"])
        of_pairs, _ = _grouped(hashes["pair"])
        owners = group[of_pairs]
        order = np.argsort(owners, kind="stable")
        self._write("group", group)
        self._write("answers", of_pairs[order])
        self._write("answer-starts", np.searchsorted(owners[order], np.arange(len(firsts) + 1)))
        return firsts

    def _write(self, name: str, values: NDArray[Any]) -> None:
        np.save(self._folder / f"{name}.npy", values, allow_pickle=False)


def pack(
    bitext: Bitext,
    spool: SpooledTexts,
    folder: Path,
    source: Tokenizer,
    target: Tokenizer,
    *,
    pooled: bool,
    max_length: int,
    checked: Collection[str],
    on_bad: OnBad,
    report: Report,
) -> list[list[str]]:
    """Tokenises every text of a bitext into a folder, and returns the symbols of both sides.

    The arguments beside `spool`, which has the texts, are those of `tokenize_bitext`.
    """
    symbols = [SymbolIds(), SymbolIds()]
    fold, bad, left, lengths = folding_of(source), list[BadLine](), 0, dict[str, int | None]()
    for name in PARTS:
        writer, limited, shortest = PartWriter(folder / name, symbols), name in {"train", *checked}, None
        places = bitext.places[name]
        texts = zip(*(side_of(getattr(bitext, name), side) for side in SIDES), strict=True)
        for row, ((text, answer), (line, file)) in enumerate(zip(texts, spool.lines(name), strict=True)):
            tokens = TokenPair(source.tokenize(text), target.tokenize(answer))
            longer = length(tokens)
            shortest = longer if shortest is None or longer < shortest else shortest
            if longer <= max_length or not limited:
                writer.add(tokens, line, file, text if fold(text) != text else None)
            elif name in checked:
                bad += long_lines([tokens], [places[row]], max_length)
            else:
                left += 1
        writer.close(pooled=pooled, distinct=pooled and name != "train")
        if limited:
            lengths[name] = shortest
    refuse_long(bitext, lengths, bad, left, max_length, on_bad, report)
    return [list(of_side) for of_side in symbols]


# Of rows the first of each kind, in order, (G,), and the number of the kind of every row, (N,).
def _grouped(hashes: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    alike = np.lexsort(hashes.T)  # rows of a kind follow one another, in order
    begins = np.ones(len(alike), np.bool_)
    begins[1:] = (hashes[alike[1:]] != hashes[alike[:-1]]).any(1)
    kind, firsts = np.cumsum(begins) - 1, alike[begins]
    order = np.argsort(firsts)
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    group = np.empty(len(alike), np.int64)
    group[alike] = number[kind]
    return firsts[order], group
