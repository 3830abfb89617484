"""Latent alignment: sequence pairs whose symbols each look at one source position.

Sources: Deng et al. (2018) for model and guide; the presets are ours.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import BaseModel
from torch import nn

from hardpp.config import DataConfig, RunConfig
from hardpp.data.order import length_buckets
from hardpp.data.transduction.batches import collate, encode
from hardpp.data.transduction.pairs import Corpus
from hardpp.data.vocabulary import BOUNDARY, Vocabulary
from hardpp.errors import UsageError
from hardpp.guides.alignment import StepwiseAlignment
from hardpp.guides.prior import Prior
from hardpp.models.latent_alignment import LatentAlignment
from hardpp.nn.attention import AdditiveScorer, BilinearScorer, Scorer
from hardpp.nn.decoder import InputFeedingDecoder
from hardpp.nn.readout import Readout
from hardpp.nn.recurrent import BidirectionalLSTM
from hardpp.tasks.alignment import corpora
from hardpp.tasks.alignment.batching import ordered_batches, vocabularies
from hardpp.tasks.alignment.chain_alignment import chain_programs, target_counts
from hardpp.tasks.alignment.corpora import PairData
from hardpp.tasks.alignment.network import AlignmentNetwork
from hardpp.tasks.alignment.run import SequencePairs
from hardpp.tasks.family import Programs
from hardpp.tasks.sequence_decoding import ALLOWANCE, SequenceDecoding
from hardpp.types import SequenceBatch


class AlignmentTask(SequencePairs):
    """Sequence transduction with hard alignments; see `hardpp.tasks.family.Task`."""

    name: str = "alignment"
    summary: str = "every output symbol picks one source position (Deng et al. 2018)"
    unit: str = "symbol"
    network: type[BaseModel] = AlignmentNetwork
    presets: Mapping[str, Mapping[str, Any]] = {
        "small": {},
        "paper": {
            "network": {
                "embedding": 512,
                "encoder": 512,
                "encoder_layers": 2,
                "decoder": 768,
                "decoder_layers": 2,
                "scorer": "additive",
                "guide": 512,
                "dropout": 0.3,
                "embedding_dropout": 0.3,
                "symbol_dropout": 0.0,
                "guide_dropout": 0.3,
            },
            "optimiser": {"learning_rate": 3e-4},
        },
    }
    guides: Mapping[str, str] = {
        "variational": "reads the whole source and target, bilinear score (Deng et al. 2018)",
        "prior": "the model's own latents: hard attention (Xu et al. 2015)",
        "smoothed": "of a chain, where symbols came from given all of them: nothing to train",
    }
    data_sets: Sequence[str] = tuple(corpora.CORPORA)
    data: type[DataConfig] = PairData
    decoding: type[BaseModel] = SequenceDecoding

    def settings(self, data: str) -> Mapping[str, Any]:
        """What is recommended for a data set, or for a user's files by their layout."""
        return corpora.settings(data)

    def load(self, config: PairData, report: Callable[[str], None]) -> Corpus:
        """The pairs: a named data set, fetched if need be, or the user's own file or folder."""
        return corpora.load(config, report)

    def describe(self, data: Corpus) -> dict[str, Any]:
        """Vocabularies of the training part, tokenizers, lengths, and the data's fingerprint."""
        target = Vocabulary.of(pair.target for pair in data.train)
        return {
            "source_vocabulary": list(Vocabulary.of(pair.source for pair in data.train).symbols),
            "target_vocabulary": list(target.symbols),
            "target_counts": target_counts(data.train, target),
            "source_tokens": data.source.describe(),
            "target_tokens": data.target.describe(),
            "longest_target": max(len(pair.target) for pair in data.train),
            "target_per_source": max(
                max(1.0, (len(pair.target) - ALLOWANCE) / len(pair.source)) for pair in data.train
            ),
            "fingerprint": data.fingerprint(),
        }

    def build(self, config: RunConfig, description: Mapping[str, Any]) -> Programs:
        """Model and guide; they share the embeddings of the symbols, and drop out on their own."""
        sizes = AlignmentNetwork(**config.network)
        if sizes.looks == "chain":
            return chain_programs(sizes, config.guide, description)
        if config.guide == "smoothed":
            raise UsageError("guide 'smoothed' is that of a chain", "add --set network.looks=chain")
        source, target = (
            nn.Embedding(len(description[f"{side}_vocabulary"]), sizes.embedding)
            for side in ("source", "target")
        )
        encoder = BidirectionalLSTM(
            sizes.embedding, sizes.encoder, sizes.encoder_layers, sizes.dropout, skip=sizes.skip
        )
        memory = encoder.features
        scorer: Scorer = (
            BilinearScorer(sizes.decoder, memory)
            if sizes.scorer == "bilinear"
            else AdditiveScorer(sizes.decoder, memory, sizes.decoder)
        )
        # Losing a whole previous symbol now and then keeps the decoder from trusting its own past alone.
        previous = nn.Sequential(
            target, nn.Dropout1d(sizes.symbol_dropout), nn.Dropout(sizes.embedding_dropout)
        )
        decoder = InputFeedingDecoder(
            previous, sizes.embedding, scorer, memory, sizes.decoder, sizes.decoder_layers, sizes.dropout
        )
        readout = Readout(memory, sizes.decoder, sizes.decoder, target.num_embeddings, sizes.dropout)
        read = nn.Sequential(source, nn.Dropout(sizes.embedding_dropout))
        model = LatentAlignment(read, encoder, decoder, readout, BOUNDARY)
        if config.guide == "prior":
            return Programs(model, Prior(model))
        if config.guide != "variational":
            raise UsageError(f"model {self.name} has no guide {config.guide!r}")
        source_reader, target_reader = (
            BidirectionalLSTM(sizes.embedding, sizes.guide, 1, sizes.guide_dropout) for _ in range(2)
        )
        match = BilinearScorer(target_reader.features, source_reader.features)
        return Programs(model, StepwiseAlignment(source, target, source_reader, target_reader, match))

    def epoch_batches(
        self, config: RunConfig, data: Corpus, description: Mapping[str, Any]
    ) -> Callable[[int], Sequence[Callable[[], SequenceBatch]]]:
        """Length-bucketed batches of the training part, shuffled by the seed and the epoch."""
        items = encode(data.train, *vocabularies(description))
        lengths = [len(item.source) for item in items], [len(item.target) for item in items]

        def epoch(number: int) -> Sequence[Callable[[], SequenceBatch]]:
            batches = length_buckets(*lengths, config.training.batch_size, config.seed, number)
            return [partial(collate, [items[index] for index in batch]) for batch in batches]

        return epoch

    def dev_batches(
        self, config: RunConfig, data: Corpus, description: Mapping[str, Any]
    ) -> list[SequenceBatch]:
        """The dev part by length."""
        return [batch for _, batch in ordered_batches(data.dev, description, config.training.batch_size)]
