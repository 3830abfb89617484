"""Captions: a sentence about an image, each word said of one region.

Sources: Xu et al. (2015) for the model, Ba et al. (2015) for guide and training; the small preset is ours.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import takewhile

from hardpp.config import DataConfig, RunConfig
from hardpp.data.captions import corpora
from hardpp.data.captions.batches import buckets, collate, sentences
from hardpp.data.captions.captioned import CaptionedImages
from hardpp.data.vocabulary import BOUNDARY
from hardpp.metrics.bleu import bleu
from hardpp.tasks.caption import data as caption_data
from hardpp.tasks.caption.data import first_sentences, ordered_batches
from hardpp.tasks.caption.description import CaptionDescription, describe
from hardpp.tasks.caption.network import CaptionNetwork, CaptionParts, caption_parts, sentence_informed_guide
from hardpp.tasks.caption.run import CaptionRun
from hardpp.tasks.family import AlignmentForm, Family, GuideSpec, Recommended, prior_guide
from hardpp.tasks.image_regions import region_count
from hardpp.tasks.sequence_decoding import SequenceDecoding
from hardpp.types import SequenceBatch

_PAPER = {"image": 512, "embedding": 512, "decoder": 1024, "attention": 512, "guide": 512, "dropout": 0.5}


class CaptionFamily(Family):
    """Captions of images, with hard attention."""

    name = "caption"
    summary = "every word of a caption picks one region of the image (Xu et al. 2015, Ba et al. 2015)"
    unit = "word"
    data = DataConfig
    network = CaptionNetwork
    decoding = SequenceDecoding
    description = CaptionDescription
    run = CaptionRun
    presets = {
        "small": Recommended(),
        "paper": Recommended({"network": _PAPER, "optimiser": {"learning_rate": 4e-4}}),
    }
    guides = {
        "variational": GuideSpec("has heard the whole sentence (Ba et al. 2015)", sentence_informed_guide),
        "prior": GuideSpec("the model's own latents: hard attention (Xu et al. 2015)", prior_guide, False),
    }
    data_sets = corpora.NAMES
    alignment_forms = {"tsv": AlignmentForm("image, word, region (from 0), its box in pixels, probability")}
    layouts = {
        "FOLDER/captions.txt": "lines of image,caption, and the pictures",
        "FOLDER": "Flickr8k as published, or as Karpathy's JSON, and the pictures",
    }
    figures = {
        "BLEU1, ..., signature": "sacreBLEU against all references, up to BLEU4",
        "same": "share of sentences that are a reference word by word",
        "nll": "nats a word of the first reference, with the end mark",
        "entropy": "nats a word, of the prior over regions",
        "kl": "nats a word, of the guide to the exact posterior",
        "hit_prior, hit_guide, hit_posterior": "how often the middle of a word's likeliest region lies in "
        "its box",
        "guess": "how often that of any region does",
        "images, step, seconds": "how many; the run's step; seconds of decoding 1,000",
    }

    def recommended(self, data: str) -> Recommended:
        """What is recommended for captions."""
        return Recommended(
            {
                "objective": "exact",  # the regions are few enough to be summed over
                "optimiser": {"learning_rate": 2e-3, "weight_decay": 0.01},
                "training": {"batch_size": 32, "max_epochs": 10},
                "decoding": {"beam": 1},
            }
        )

    def load(self, config: DataConfig, report: Callable[[str], None]) -> CaptionedImages:
        """The images: a named corpus, fetched or made if need be, or the user's own folder.

        Raises:
            UsageError: sacrebleu is not installed, which is better known before training than after it.
        """
        bleu(["a b"], [["a b"]], tokenized=True, order=1)
        return caption_data.load(config, report)

    def describe(self, data: CaptionedImages) -> CaptionDescription:
        """Words, the size of images, and the data's fingerprint."""
        return describe(data)

    def parts(self, network: CaptionNetwork, description: CaptionDescription) -> CaptionParts:
        """The model, and the encoder of images and features of words that a guide shares with it."""
        return caption_parts(network, description)

    def epoch_batches(
        self, config: RunConfig, data: CaptionedImages, description: CaptionDescription
    ) -> Callable[[int], Sequence[Callable[[], SequenceBatch]]]:
        """Batches of sentences of like length, all references of every image, shuffled by seed and epoch."""
        references, vocabulary = sentences(data.train), description.vocabulary
        regions = partial(region_count, config.network["kernels"])

        def epoch(number: int) -> Sequence[Callable[[], SequenceBatch]]:
            batches = buckets(references, config.training.batch_size, config.seed, number)
            return [
                partial(collate, [references[index] for index in batch], data.train, vocabulary, regions)
                for batch in batches
            ]

        return epoch

    def dev_batches(
        self, config: RunConfig, data: CaptionedImages, description: CaptionDescription
    ) -> list[SequenceBatch]:
        """The first reference of every image of the dev part, by length."""
        batches = ordered_batches(first_sentences(data.dev), description, config.network["kernels"])
        return [batch for _, batch in batches]

    def label(self, description: CaptionDescription, batch: SequenceBatch, row: int) -> str:
        """The image by what is said of it."""
        symbols = takewhile(lambda symbol: symbol != BOUNDARY, batch.target[row].tolist())
        return f"the image of {' '.join(description.vocabulary.decode(symbols))!r}"
