"""Look-up of listed words: what a dictionary says of a source, as it says it."""

from collections.abc import Sequence
from pathlib import Path

from hardpp.data.transduction.pairs import Pair
from hardpp.tasks.alignment.data import PairData, Sides, own_lines
from hardpp.tasks.opened_run import Report

Lexicon = dict[tuple[str, ...], tuple[str, ...]]  # symbols of a source -> all that is listed of it, in order


def read_lexicon(path: Path, config: PairData, sides: Sides, report: Report) -> Lexicon:
    """Read a dictionary, in any form of a file of pairs.

    Args:
        path: the file.
        config: how the run's data are read: of a run that goes back, the second column is looked up.
        sides: what cuts sources and targets.
        report: told what was left out.

    Raises:
        DataError: it cannot be read.
    """
    source, _ = sides
    listed: dict[tuple[str, ...], dict[str, None]] = {}
    how = PairData(name=str(path), on_bad=config.on_bad, columns=config.columns)
    for line in own_lines(how, sides, report):
        word, right = line.pair[::-1] if config.reverse else line.pair
        listed.setdefault(source.tokenize(word), {})[right] = None
    return {symbols: tuple(texts) for symbols, texts in listed.items()}


def look_up(lexicon: Lexicon, pairs: Sequence[Pair]) -> list[tuple[str, ...]]:
    """All that is listed of the source of each pair, in order; nothing of one that is not."""
    return [lexicon.get(pair.source, ()) for pair in pairs]
