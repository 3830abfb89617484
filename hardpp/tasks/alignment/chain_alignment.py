"""Programs of word alignment: words by themselves, moves from one to the next, and a smoothed guide."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from hardpp.data.transduction.pairs import Pair
from hardpp.data.vocabulary import BOUNDARY, Vocabulary
from hardpp.errors import UsageError
from hardpp.guides.prior import Prior
from hardpp.guides.smoothed_alignment import SmoothedAlignment
from hardpp.models.latent_alignment import LatentAlignment
from hardpp.nn.chain_decoder import ChainDecoder
from hardpp.nn.factors import MARK, FactoredEmbedding, FactoredLinear
from hardpp.nn.lexical import LexicalEncoder, LexicalReadout
from hardpp.tasks.alignment.network import AlignmentNetwork
from hardpp.tasks.family import Programs


def chain_programs(sizes: AlignmentNetwork, guide: str, description: Mapping[str, Any]) -> Programs:
    """Model and guide; the guide is the model's own.

    Raises:
        UsageError: the guide is one that would have to be trained.
    """
    source, target = description["source_vocabulary"], description["target_vocabulary"]
    embedding = nn.Sequential(FactoredEmbedding(source, sizes.embedding), nn.Dropout(sizes.embedding_dropout))
    encoder = LexicalEncoder(sizes.embedding, sizes.decoder, sizes.dropout)
    factored = any(MARK in symbol.strip(MARK) for symbol in target)
    readout = LexicalReadout(
        FactoredLinear(sizes.decoder, target) if factored else nn.Linear(sizes.decoder, len(target))
    )
    readout.start(torch.tensor(description["target_counts"], dtype=torch.float32))
    decoder = ChainDecoder(
        len(target), readout, sizes.decoder, sizes.reach, sizes.history, sizes.symbol_dropout
    )
    model = LatentAlignment(embedding, encoder, decoder, readout, BOUNDARY)
    if guide == "prior":
        return Programs(model, Prior(model))
    if guide != "smoothed":
        raise UsageError(f"a chain has no guide {guide!r}", "give --guide smoothed or prior")
    return Programs(model, SmoothedAlignment(embedding, encoder, decoder, BOUNDARY))


def target_counts(pairs: Iterable[Pair], vocabulary: Vocabulary) -> list[int]:
    """One more than how often each symbol occurs in the targets, end marks included."""
    counts = Counter(id for pair in pairs for id in (*vocabulary.encode(pair.target), BOUNDARY))
    return [1 + counts[id] for id in range(len(vocabulary))]
