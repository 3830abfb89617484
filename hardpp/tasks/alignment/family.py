"""Latent alignment: sequence pairs in which each output symbol attends to one source position.

Sources: Deng et al. (2018) for model and guide; the presets are ours.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import takewhile

from hardpp.config import RunConfig
from hardpp.data.order import length_buckets
from hardpp.data.transduction.batches import collate, encode
from hardpp.data.transduction.pairs import Corpus
from hardpp.data.vocabulary import BOUNDARY
from hardpp.tasks.alignment import data as pair_data
from hardpp.tasks.alignment.batches import ordered_batches
from hardpp.tasks.alignment.chain_network import ChainParts, chain_parts, smoothed_guide
from hardpp.tasks.alignment.data import CORPORA, PairData
from hardpp.tasks.alignment.description import PairsDescription, describe
from hardpp.tasks.alignment.network import AlignmentNetwork, AttentionParts, attention_parts, stepwise_guide
from hardpp.tasks.alignment.presets import PAPER
from hardpp.tasks.alignment.run import AlignmentRun
from hardpp.tasks.family import AlignmentForm, Family, GuideSpec, Recommended, prior_guide
from hardpp.tasks.sequence_decoding import SequenceDecoding
from hardpp.types import SequenceBatch


class AlignmentFamily(Family):
    """Sequence transduction with hard alignments."""

    name = "alignment"
    summary = "every output symbol picks one source position (Deng et al. 2018)"
    unit = "symbol"
    data = PairData
    network = AlignmentNetwork
    decoding = SequenceDecoding
    description = PairsDescription
    run = AlignmentRun
    presets = {"small": Recommended(), "paper": PAPER}
    guides = {
        "variational": GuideSpec(
            "reads the whole source and target, bilinear score (Deng et al. 2018)", stepwise_guide
        ),
        "prior": GuideSpec("the model's own latents: hard attention (Xu et al. 2015)", prior_guide, False),
        "smoothed": GuideSpec(
            "of a chain: each position given all symbols; has nothing to train", smoothed_guide, False
        ),
    }
    data_sets = tuple(CORPORA)
    alignment_forms = {
        "tsv": AlignmentForm("pair, step, symbol, position (from 0), source symbol, probability"),
        "pharaoh": AlignmentForm(
            "a line a pair of SOURCE-TARGET links of words from 0, without links of end marks"
        ),
        "pharaoh-probabilities": AlignmentForm("the same as SOURCE-TARGET:PROBABILITY"),
    }
    layouts = {
        "FILE.tsv": "lines of source TAB target: words where a column has blanks, else characters; split by "
        "the CRC-32 of the source, 1/20 test, 1/20 dev",
        "FOLDER/train.tsv": "the same with dev.tsv and test.tsv beside it",
        "FOLDER/train.de, train.en": "parallel text, a sentence a line, and dev and test likewise: words "
        "with @@ marks, if there are any, else pieces of words that are learnt",
        "texts": "two files texts.de and texts.en of parallel text, split as a TSV file is",
        "FOLDER/train.tags.de-en.de": "raw IWSLT talks, as published",
    }
    figures = {
        "PER, WER": "edits a symbol to the nearest reference, and the share of targets with any",
        "BLEU, signature": "of sentences, in their place: sacreBLEU, tok:none where texts were tokenised "
        "before",
        "nll, PPL": "nats a symbol, with the end mark, and the exponential of that",
        "entropy": "nats a symbol, of the prior over positions",
        "kl": "nats a symbol, of the guide to the exact posterior",
        "pairs, step, seconds": "how many; the run's step; seconds of decoding 1,000",
    }
    inputs = "sources, one a line"
    word_links = True

    def recommended(self, data: str) -> Recommended:
        """What is recommended for a data set, or for a user's files by their layout."""
        return pair_data.recommended(data)

    def load(self, config: PairData, report: Callable[[str], None]) -> Corpus:
        """The pairs: a named data set, fetched if need be, or the user's own file or folder."""
        return pair_data.load(config, report)

    def describe(self, data: Corpus) -> PairsDescription:
        """Vocabularies of the training part, tokenizers, lengths, and the data's fingerprint."""
        return describe(data)

    def parts(self, network: AlignmentNetwork, description: PairsDescription) -> AttentionParts | ChainParts:
        """The model, and the embeddings that a guide shares with it."""
        make = chain_parts if network.alignment == "chain" else attention_parts
        return make(network, description)

    def epoch_batches(
        self, config: RunConfig, data: Corpus, description: PairsDescription
    ) -> Callable[[int], Sequence[Callable[[], SequenceBatch]]]:
        """Length-bucketed batches of the training part, shuffled by the seed and the epoch."""
        items = encode(data.train, *description.vocabularies)
        lengths = [len(item.source) for item in items], [len(item.target) for item in items]

        def epoch(number: int) -> Sequence[Callable[[], SequenceBatch]]:
            batches = length_buckets(*lengths, config.training.batch_size, config.seed, number)
            return [partial(collate, [items[index] for index in batch]) for batch in batches]

        return epoch

    def dev_batches(
        self, config: RunConfig, data: Corpus, description: PairsDescription
    ) -> list[SequenceBatch]:
        """The dev part by length."""
        return [batch for _, batch in ordered_batches(data.dev, description, config.training.batch_size)]

    def label(self, description: PairsDescription, batch: SequenceBatch, row: int) -> str:
        """The pair as text, without its end marks."""
        texts = []
        sides = zip(
            (batch.source, batch.target), description.tokenizers, description.vocabularies, strict=True
        )
        for ids, tokenizer, vocabulary in sides:
            symbols = takewhile(lambda symbol: symbol != BOUNDARY, ids[row].tolist())
            texts.append(tokenizer.detokenize(vocabulary.decode(symbols)))
        return f"the pair {texts[0]!r} -> {texts[1]!r}"
