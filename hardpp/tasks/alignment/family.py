"""Latent alignment: sequence pairs in which each output symbol attends to one source position.

Sources: Deng et al. (2018) for model and guide, and the sizes of `paper` (appendix); other settings are ours.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hardpp.config import RunConfig, merge
from hardpp.data.batches import LengthBuckets, in_order
from hardpp.data.lazily import Mapped
from hardpp.data.transduction.batches import collate, encode
from hardpp.data.transduction.bitexts import BITEXTS
from hardpp.data.transduction.own_files import has_sentences
from hardpp.data.transduction.pairs import Corpus
from hardpp.data.transduction.side_counts import encoded, side_counts
from hardpp.data.vocabulary import Vocabulary
from hardpp.decoding.predictive import Decodable
from hardpp.tasks.alignment import network as networks
from hardpp.tasks.alignment.data import NAMES, PairData, load
from hardpp.tasks.alignment.description import PairsDescription, target_counts
from hardpp.tasks.alignment.evaluation import decode, quality
from hardpp.tasks.alignment.guides import GUIDES
from hardpp.tasks.alignment.run import AlignmentRun
from hardpp.tasks.alignment.toy import toy
from hardpp.tasks.family import (
    DEV_ITEMS,
    AlignmentForm,
    EpochBatches,
    Family,
    Recommended,
    Toy,
)
from hardpp.tasks.opened_run import Report
from hardpp.tasks.sequence_decoding import ALLOWANCE, SequenceDecoding
from hardpp.types import SequenceBatch

# More symbols, fewer passes, and wider beams that are paid for by length. Much dropout and fast steps let
# attention settle on one position for good before it has learnt where to look.
_SIZES = {"embedding": 192, "encoder": 128, "skip": True, "decoder": 256, "scorer": "additive", "guide": 96}
_TRANSLATION: dict[str, Any] = {
    "network": {**_SIZES, "dropout": 0.2, "embedding_dropout": 0.1, "symbol_dropout": 0.0},
    "optimiser": {"learning_rate": 2e-3, "weight_decay": 0.01},
    "training": {"batch_size": 32, "max_epochs": 6},
    "decoding": {"length_penalty": 1.0},
}
_SENTENCES = merge([_TRANSLATION, {"data": {"source_tokens": "pieces", "target_tokens": "pieces"}}])
_SMALLER = {"embedding": 128, "encoder": 96, "decoder": 192, "guide": 64}
_FEW_SENTENCES = merge([_SENTENCES, {"data": {"pieces": 1000}, "network": _SMALLER}])
# Few verses and many rare words: each word by itself, with its analysis, and moves from one to the next.
_WORDS = {
    "objective": "exact",
    "network": {"alignment": "chain", "decoder": 256, "dropout": 0.3},
    "optimiser": {"learning_rate": 3e-3, "weight_decay": 0.0, "warmup_steps": 100, "clip_norm": 20.0},
    "training": {"max_epochs": 7},
    "decoding": {"beam": 1},
}
# Ten times as many words: deeper and wider, with less decay, and as many steps as two hours have.
_MANY_WORDS = {
    "network": {
        "encoder": 192,
        "encoder_layers": 2,
        "decoder": 512,
        "dropout": 0.4,
        "embedding_dropout": 0.1,
        "guide": 96,
    },
    "optimiser": {"learning_rate": 4e-3, "weight_decay": 0.05, "warmup_steps": 500, "average": 0.999},
    "training": {"batch_size": 128, "max_epochs": 14},
}
_RECOMMENDED = {
    "cmudict": Recommended(),
    "cmudict-whole": Recommended(_MANY_WORDS),
    "bible-alignments": Recommended(_WORDS, guides={"exact": "smoothed"}),
    **dict.fromkeys(BITEXTS, Recommended(_SENTENCES)),
    "ding": Recommended(_FEW_SENTENCES),
}
# As much as a minute or two of one core can learn of thousands of words: small networks and batches, fast
# steps without noise, and little dropout, as no word is seen more than a few times.
_QUICK = {
    "objective": "exact",
    "network": {"decoder": 192, "dropout": 0.15, "embedding_dropout": 0.0, "symbol_dropout": 0.0},
    "optimiser": {"learning_rate": 6e-3, "warmup_steps": 60, "average": 0.98},
    "training": {"batch_size": 32, "max_epochs": 4},
}
_PAPER_SIZES = {"embedding": 512, "encoder": 512, "encoder_layers": 2, "decoder": 768, "decoder_layers": 2}
_PAPER_DROPOUT = {"dropout": 0.3, "embedding_dropout": 0.3, "symbol_dropout": 0.0, "guide_dropout": 0.3}
_PAPER = {
    "network": {**_PAPER_SIZES, "scorer": "additive", "guide": 512, **_PAPER_DROPOUT},
    "optimiser": {"learning_rate": 3e-4},
}


class AlignmentFamily(Family):
    """Sequence transduction with hard alignments."""

    name = "alignment"
    summary = "every output symbol picks one source position (Deng et al. 2018)"
    unit = "a symbol"
    data = PairData
    network = networks.AlignmentNetwork
    decoding = SequenceDecoding
    description = PairsDescription
    run = AlignmentRun
    presets = {
        "small": Recommended(summary="minutes of a CPU"),
        "quick": Recommended(_QUICK, summary="a minute or two of one core: smaller, by exact"),
        "paper": Recommended(_PAPER, summary="sizes of Deng et al. (2018), for a GPU"),
    }
    guides = GUIDES
    protocol = Decodable
    data_sets = NAMES
    alignment_forms = {
        "tsv": AlignmentForm("pair, step, symbol, position (from 0), source symbol, probability"),
        "pharaoh": AlignmentForm(
            "a line a pair of SOURCE-TARGET links of words from 0, without links of end marks"
        ),
        "pharaoh-probabilities": AlignmentForm("the same as SOURCE-TARGET:PROBABILITY", calibrated=True),
    }
    reads = ("lists", "tables", "parallel")
    layouts = {
        "FILE": "pairs, whatever the file is called: source TAB target, CSV, pronouncing dictionaries, "
        "inflections, source ||| target; told by most lines. A side is words if most have blanks, else "
        "characters; split by the CRC-32 of the source, 1/20 test, 1/20 dev",
        "FOLDER/train.tsv": "the same with dev.tsv and test.tsv beside it",
        "FOLDER/train-0.tsv.gz, ...": "a part in several files, or in a folder FOLDER/train",
        "FOLDER/deu": "three such files deu.trn, deu.dev, deu.tst, or deu_train.tsv and so on",
        "FOLDER/train.de, train.en": "parallel text, a sentence a line, and dev and test likewise: words "
        "with @@ marks, if there are any, else pieces of words that are learnt",
        "texts": "two files texts.de and texts.en of parallel text, split as a TSV file is",
        "FOLDER/train.tags.de-en.de": "raw IWSLT talks, as published",
    }
    trust = ("kl",)
    figures = {
        "PER, WER": "edits a symbol to the nearest reference, and the share of targets with any",
        "BLEU, signature": "of sentences, in their place: sacreBLEU, tok:none where texts were tokenised "
        "before",
        "nll, PPL": "nats a symbol, with the end mark, and the exponential of that",
        "entropy": "nats a symbol, of the prior over positions",
        "kl": "nats a symbol, of the guide to the exact posterior; by 50 draws where its steps depend on one "
        "another",
        "pairs, step": "how many, of lists of words how many sources; the run's step",
        "AER, precision, recall, link_ece": "of word links, with --links: alignment error rate, and the mean "
        "difference between how probable links are called and how many are right",
    }
    inputs = "sources, one a line"
    nbest = "targets that a beam found, positions summed out; of pieces and bpe, only as they were cut there"
    word_links = True
    reliability = {"word links": "shares of links that were made by hand too, by their probabilities"}

    def recommended(self, data: str) -> Recommended:
        if data in _RECOMMENDED:
            return _RECOMMENDED[data]
        return Recommended(_TRANSLATION) if data and has_sentences(Path(data)) else Recommended()

    def toy(self) -> Toy:
        return toy()

    def load(self, config: PairData, report: Report) -> Corpus:
        return load(config, report)

    def describe(self, data: Corpus) -> PairsDescription:
        sources, targets = (side_counts(data.train, side) for side in ("source", "target"))
        source, target = Vocabulary.of([sources.symbols]), Vocabulary.of([targets.symbols])
        ratios = (targets.lengths - ALLOWANCE) / sources.lengths
        return PairsDescription(
            source_vocabulary=list(source.symbols),
            target_vocabulary=list(target.symbols),
            target_counts=target_counts(targets, target),
            source_tokens=data.source.describe(),
            target_tokens=data.target.describe(),
            longest_target=int(targets.lengths.max()),
            longest_source=int(sources.lengths.max()),
            target_per_source=max(1.0, float(ratios.max())),
            fingerprint=data.fingerprint(),
        )

    def parts(
        self, network: networks.AlignmentNetwork, description: PairsDescription
    ) -> networks.AlignmentParts:
        return networks.alignment_parts(network, description)

    def epoch_batches(self, config: RunConfig, data: Corpus, description: PairsDescription) -> EpochBatches:
        items = encoded(data.train, *description.vocabularies)
        source, target = (side_counts(data.train, side).lengths for side in ("source", "target"))

        def make(indices: Sequence[int]) -> Callable[[], SequenceBatch]:
            return lambda: collate([items[index] for index in indices])

        def epoch(number: int) -> Sequence[Callable[[], SequenceBatch]]:
            buckets = LengthBuckets(source, target, config.training.batch_size, config.seed, number)
            return Mapped(buckets, make)

        return epoch

    def dev_batches(
        self, config: RunConfig, data: Corpus, description: PairsDescription
    ) -> list[SequenceBatch]:
        items = encode(data.dev, *description.vocabularies)
        batches = in_order([len(item.source) for item in items], config.training.batch_size)
        return [collate([items[index] for index in batch]) for batch in batches]

    def outline(self, config: RunConfig, description: PairsDescription) -> list[str]:
        kinds = [tokenizer.kind for tokenizer in description.tokenizers]
        sizes = [len(vocabulary) for vocabulary in description.vocabularies]
        sides = zip(("source", "target"), sizes, kinds, strict=True)
        phrases = [f"{size} {side} symbols ({kind})" for side, size, kind in sides]
        swapped: bool = config.data.reverse  # type: ignore[attr-defined]
        return [*phrases, *(["source and target swapped"] if swapped else [])]

    def dev_figures(self, run: Any) -> dict[str, float]:
        pairs = run.select(part="dev", limit=DEV_ITEMS)
        figures = quality(run, pairs, decode(run, pairs))
        return {name: value for name, value in figures.items() if isinstance(value, float)}

    def label(self, description: PairsDescription, batch: SequenceBatch, row: int) -> str:
        sides = (batch.source, batch.source_mask), (batch.target, batch.target_mask)
        texts = []
        for (ids, mask), tokenizer, vocabulary in zip(
            sides, description.tokenizers, description.vocabularies, strict=True
        ):
            symbols = vocabulary.decode(ids[row, mask[row]].tolist()[:-1])  # without the end mark
            texts.append(tokenizer.detokenize(symbols))
        return "the pair {!r} -> {!r}".format(*texts)
