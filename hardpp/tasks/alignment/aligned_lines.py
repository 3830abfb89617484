"""Alignments of a run on sequence pairs as lines: the best positions of symbols, or links of words.

Items are pairs, and None at lines of a file that were left out (`hardpp.tasks.alignment.item_lines`).
"""

from collections.abc import Iterator, Sequence

from hardpp.data.transduction.pairs import Pair
from hardpp.data.vocabulary import END
from hardpp.decoding.links import Link
from hardpp.tasks.alignment.evaluation import position_weights
from hardpp.tasks.alignment.link_calibration import LinkMaker
from hardpp.tasks.formats.pharaoh import pharaoh
from hardpp.tasks.opened_run import OpenedRun


def position_lines(run: OpenedRun, items: Sequence[Pair | None], view: str) -> Iterator[str]:
    """A heading and a row for every step of every pair: where its best position is, under a view."""
    yield "\t".join(("pair", "step", "symbol", "position", "source", "probability"))
    numbered = [(number, pair) for number, pair in enumerate(items) if pair is not None]
    pairs = [pair for _, pair in numbered]
    weights = position_weights(run, pairs, view) if pairs else []
    for (number, pair), of_pair in zip(numbered, weights, strict=True):
        probability, position = (part.tolist() for part in of_pair.max(-1))
        for step, symbol in enumerate((*pair.target, END)):
            source = source_symbols(pair)[position[step]]
            cells = (number, step, symbol, position[step], source, f"{probability[step]:.4f}")
            yield "\t".join(map(str, cells))


def link_lines(maker: LinkMaker, items: Sequence[Pair | None], form: str) -> Iterator[str]:
    """Links of every pair in a form of Pharaoh; an empty line where there is none.

    Raises:
        DataError: they are to be calibrated, and too few links of the dev part are known.
    """
    pairs = [pair for pair in items if pair is not None]
    linked: Sequence[Sequence[Link]] = ()
    run = maker.forward
    if pairs:
        calibrated = run.certainty.calibrated
        linked = maker.calibrated(pairs, run.select(part="dev")) if calibrated else maker.links(pairs)[0]
    each = iter(linked)
    return ("" if pair is None else pharaoh(next(each), form != "pharaoh") for pair in items)


def source_symbols(pair: Pair) -> tuple[str, ...]:
    """The symbol at every source position, the end mark last."""
    return (*pair.source, END)
