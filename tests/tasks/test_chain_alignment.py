"""Word alignment by a chain: its programs, and the names that lead to them."""

import pytest
import torch
from torch import nn

from hardpp.data.transduction.batches import collate, encode
from hardpp.data.transduction.pairs import Pair
from hardpp.data.transduction.side_counts import side_counts
from hardpp.data.vocabulary import Vocabulary
from hardpp.errors import UsageError
from hardpp.guides.smoothed_alignment import SmoothedAlignment
from hardpp.inference.exact import ExactMarginal
from hardpp.nn.factors import FactoredLinear
from hardpp.tasks import catalogue
from hardpp.tasks.alignment.description import PairsDescription, target_counts
from hardpp.tasks.alignment.guides import smoothed_guide, stepwise_guide
from hardpp.tasks.alignment.network import AlignmentNetwork, alignment_parts
from hardpp.tasks.configuration import resolve

PAIRS = [
    Pair(("a|G", "b"), ("of", "x", "y"), (("of", "x", "y"),)),
    Pair(("a", "b|G"), ("x", "of", "y"), (("x", "of", "y"),)),
]
NETWORK = AlignmentNetwork(alignment="chain", embedding=4, decoder=5, reach=2, history=3)


def description(pairs: list[Pair]) -> PairsDescription:
    source, target = (Vocabulary.of(getattr(pair, side) for pair in pairs) for side in ("source", "target"))
    return PairsDescription(
        source_vocabulary=list(source.symbols),
        target_vocabulary=list(target.symbols),
        target_counts=target_counts(side_counts(pairs, "target"), target),
        source_tokens={"kind": "words"},
        target_tokens={"kind": "words"},
        longest_target=3,
        target_per_source=1.5,
        fingerprint="",
    )


def test_counts_are_one_more_than_in_the_targets() -> None:
    # </s>, <unk>, of, x, y
    assert description(PAIRS).target_counts == [3, 1, 3, 3, 3]


def test_programs_start_from_the_frequencies_of_symbols() -> None:
    torch.manual_seed(0)
    pairs = description(PAIRS)
    parts = alignment_parts(NETWORK, pairs)
    model, guide = parts.model, smoothed_guide(parts)
    counts = torch.tensor(pairs.target_counts).float()
    torch.testing.assert_close(model.readout.symbols.bias.softmax(-1), counts / counts.sum())
    assert isinstance(guide, SmoothedAlignment)
    assert {id(p) for p in guide.parameters()} <= {id(p) for p in model.parameters()}
    batch = collate(encode(PAIRS, *pairs.vocabularies))
    assert ExactMarginal().estimate(model.eval(), guide.eval(), batch).bound.isfinite().all()


def test_symbols_of_factors_are_read_and_written_by_their_factors() -> None:
    turned = [Pair(pair.target, pair.source, (pair.source,)) for pair in PAIRS]
    assert isinstance(alignment_parts(NETWORK, description(turned)).model.readout.symbols, FactoredLinear)
    assert isinstance(alignment_parts(NETWORK, description(PAIRS)).model.readout.symbols, nn.Linear)


def test_a_guide_that_would_have_to_be_trained_is_refused() -> None:
    with pytest.raises(UsageError, match="a chain has no guide 'variational'"):
        stepwise_guide(alignment_parts(NETWORK, description(PAIRS)))


def test_the_verses_are_aligned_by_a_chain_and_read_out_given_the_whole_target() -> None:
    config = resolve([{"data": {"name": "bible-alignments"}}])
    assert (config.objective, config.guide, config.network["alignment"]) == ("exact", "smoothed", "chain")


def test_the_smoothed_guide_needs_a_chain() -> None:
    config = resolve([{"guide": "smoothed", "objective": "exact"}])
    with pytest.raises(UsageError, match="that of a chain"):
        catalogue.programs(catalogue.family("alignment"), config, description(PAIRS))
