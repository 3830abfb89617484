"""Pairs that the model makes up: targets drawn for real sources, with the positions they came from."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from hardpp import sites
from hardpp.data.transduction.pairs import Pair
from hardpp.data.vocabulary import BOUNDARY, UNKNOWN
from hardpp.decoding.ancestral import draw_outputs
from hardpp.tasks.alignment.data import batches
from hardpp.tasks.answers.calibration.simulation_based import Simulated
from hardpp.tasks.opened_run import OpenedRun


def simulate(run: OpenedRun, pairs: Sequence[Pair]) -> Iterator[Simulated]:
    """Batches of the sources with targets of the model's own.

    Targets that do not end, or hold the symbol for unknown ones, are left out: that depends on the target
    alone, so the posterior of those that are left is what it was.
    """
    model: Any = run.programs.model
    _, vocabulary = run.description.vocabularies
    for indices, batch in batches(run, pairs):
        max_steps = run.description.longest(batch.source.shape[1])
        drawn = draw_outputs(model, batch.source, batch.source_mask, max_steps=max_steps)
        made_up, positions = [], []
        for index, symbols, of_symbols in zip(indices, drawn.symbols.tolist(), drawn.positions, strict=True):
            length = symbols.index(BOUNDARY) if BOUNDARY in symbols else None
            if length is not None and UNKNOWN not in symbols[:length]:
                target = tuple(vocabulary.decode(symbols[:length]))
                made_up.append(Pair(pairs[index].source, target, (target,)))
                positions.append(of_symbols[: length + 1])
        if made_up:
            padded = torch.nn.utils.rnn.pad_sequence(positions, batch_first=True)
            yield Simulated(run.batch(made_up), {sites.ALIGNMENT: padded})
