"""Captions: a sentence about an image, each word said of one region.

Sources: Xu et al. (2015) for the model, Ba et al. (2015) for guide and training; the small preset is ours.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import takewhile

from pydantic import Field

from hardpp.config import DataConfig, RunConfig
from hardpp.data.captions import corpora
from hardpp.data.captions.batches import buckets, sentences, word_vocabulary
from hardpp.data.captions.captioned import CaptionedImages
from hardpp.data.captions.folders import SIDE
from hardpp.data.lines import OnBad
from hardpp.data.vocabulary import BOUNDARY
from hardpp.decoding.predictive import Decodable
from hardpp.tasks.caption.data import CaptionDescription, CaptionItems, first_sentences, ordered_batches
from hardpp.tasks.caption.evaluation import decode, references
from hardpp.tasks.caption.network import CaptionNetwork, CaptionParts, caption_parts, sentence_informed_guide
from hardpp.tasks.caption.run import CaptionRun
from hardpp.tasks.caption.toy import toy
from hardpp.tasks.family import (
    DEV_ITEMS,
    AlignmentForm,
    EpochBatches,
    Family,
    GuideSpec,
    Recommended,
    Toy,
    prior_guide,
)
from hardpp.tasks.metrics.bleu import bleu
from hardpp.tasks.sequence_decoding import SequenceDecoding
from hardpp.types import SequenceBatch

_RARE, _MANY = 5, 20_000  # of so many sentences and more, words that are rarer are unknown
_PAPER = {"image": 512, "embedding": 512, "decoder": 1024, "attention": 512, "guide": 512, "dropout": 0.5}


class CaptionData(DataConfig):
    """Which captions."""

    side: int = Field(
        SIDE, ge=8, le=10_000, description="pixels a side at which pictures of a folder are read"
    )
    on_bad: OnBad = Field(
        "stop", description="a caption or picture that cannot be used: stop, or skip and say so"
    )


class CaptionFamily(Family):
    """Captions of images, with hard attention."""

    name = "caption"
    summary = "every word of a caption picks one region of the image (Xu et al. 2015, Ba et al. 2015)"
    unit = "a word"
    data = CaptionData
    network = CaptionNetwork
    decoding = SequenceDecoding
    description = CaptionDescription
    run = CaptionRun
    presets = {
        "small": Recommended(summary="minutes of a CPU"),
        "paper": Recommended(
            {"network": _PAPER, "optimiser": {"learning_rate": 4e-4}},
            summary="sizes of Xu et al. (2015), for a GPU",
        ),
    }
    guides = {
        "variational": GuideSpec("has heard the whole sentence (Ba et al. 2015)", sentence_informed_guide),
        "prior": GuideSpec("the model's own latents: hard attention (Xu et al. 2015)", prior_guide, False),
    }
    protocol = Decodable
    data_sets = corpora.NAMES
    alignment_forms = {"tsv": AlignmentForm("image, word, region (from 0), its box in pixels, probability")}
    reads = ("captions",)
    layouts = {
        "FOLDER": "pictures, and their captions in a file of it: a table image,caption; Flickr8k, Flickr30k "
        "or COCO as published; or Karpathy's JSON",
    }
    nbest = "sentences that a beam found, regions summed out"
    inputs = "a picture, a folder of pictures, or a list of their paths, one a line"
    trust = ("kl",)
    figures = {
        "BLEU1, ..., signature": "sacreBLEU against all references, up to BLEU4",
        "same": "share of sentences that are a reference word by word",
        "nll": "nats a word of the first reference, with the end mark",
        "entropy": "nats a word, of the prior over regions",
        "kl": "nats a word, of the guide to the exact posterior",
        "hit_prior, hit_guide, hit_posterior": "how often the middle of a word's likeliest region lies in "
        "its box",
        "guess": "how often that of any region does",
        "images, step": "how many; the run's step",
    }

    def recommended(self, data: str) -> Recommended:
        return Recommended(
            {
                "objective": "exact",  # the regions are few enough to be summed over
                "optimiser": {"learning_rate": 2e-3, "weight_decay": 0.01},
                "training": {"batch_size": 32, "max_epochs": 10},
                "decoding": {"beam": 1},
            }
        )

    def toy(self) -> Toy:
        return toy()

    def load(self, config: CaptionData, report: Callable[[str], None]) -> CaptionedImages:
        bleu(["a b"], [["a b"]], tokenized=True, order=1)  # not installed? better known before training
        options, limit = corpora.CaptionOptions(side=config.side, on_bad=config.on_bad), config.train_limit
        if limit is not None:
            options = options._replace(scenes=min(options.scenes, limit))
        images = corpora.corpus(config.name, options, report)
        return images._replace(train=images.train.first(limit))

    def items(self, data: CaptionedImages, part: str) -> CaptionItems:
        return first_sentences(getattr(data, part))

    def describe(self, data: CaptionedImages) -> CaptionDescription:
        train = sentences(data.train)
        return CaptionDescription(
            words=list(word_vocabulary(data.train, _RARE if len(train) >= _MANY else 1).symbols),
            size=list(data.train.images.size),
            longest=max(len(sentence.caption.words) for sentence in train),
            fingerprint=data.fingerprint(),
        )

    def parts(self, network: CaptionNetwork, description: CaptionDescription) -> CaptionParts:
        return caption_parts(network, description)

    def epoch_batches(
        self, config: RunConfig, data: CaptionedImages, description: CaptionDescription
    ) -> EpochBatches:
        items, kernels = CaptionItems(sentences(data.train), data.train), config.network["kernels"]

        def epoch(number: int) -> Sequence[Callable[[], SequenceBatch]]:
            batches = buckets(items.sentences, config.training.batch_size, config.seed, number)
            return [partial(items.at(indices).batch, description, kernels) for indices in batches]

        return epoch

    def dev_batches(
        self, config: RunConfig, data: CaptionedImages, description: CaptionDescription
    ) -> list[SequenceBatch]:
        batches = ordered_batches(first_sentences(data.dev), description, config.network["kernels"])
        return [batch for _, batch in batches]

    def outline(self, config: RunConfig, description: CaptionDescription) -> list[str]:
        channels, height, width = description.size
        return [f"{height} x {width} pixels in {channels} channels", f"{len(description.words)} words"]

    def dev_figures(self, run: CaptionRun) -> dict[str, float]:
        items = run.select(part="dev", limit=DEV_ITEMS)
        said = [" ".join(words) for words in decode(run, items, SequenceDecoding(beam=1))]
        return {"BLEU4": bleu(said, references(items), tokenized=True).score}

    def label(self, description: CaptionDescription, batch: SequenceBatch, row: int) -> str:
        symbols = takewhile(lambda symbol: symbol != BOUNDARY, batch.target[row].tolist())
        return f"the image of {' '.join(description.vocabulary.decode(symbols))!r}"
