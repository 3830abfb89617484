"""Captions: a sentence about an image, each word said of one region.

Sources: Xu et al. (2015) for the model, Ba et al. (2015) for guide and training; the small preset is ours.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import BaseModel, Field
from torch import nn

from hardpp.config import DataConfig, RunConfig, Section
from hardpp.data.captions import corpora
from hardpp.data.captions.batches import buckets, collate, sentences
from hardpp.data.captions.captioned import CaptionedImages
from hardpp.data.vocabulary import BOUNDARY
from hardpp.errors import UsageError
from hardpp.guides.captioner import SentenceInformed
from hardpp.guides.prior import Prior
from hardpp.metrics.bleu import bleu
from hardpp.models.captioner import Captioner
from hardpp.nn.attention import AdditiveScorer, BilinearScorer
from hardpp.nn.decoder import InputFeedingDecoder
from hardpp.nn.grid_encoder import GridEncoder
from hardpp.nn.readout import Readout
from hardpp.nn.recurrent import BidirectionalLSTM
from hardpp.tasks.caption import data as caption_data
from hardpp.tasks.caption.run import CaptionVerbs
from hardpp.tasks.family import Programs
from hardpp.tasks.image_regions import Kernels, regions
from hardpp.tasks.sequence_decoding import SequenceDecoding
from hardpp.types import SequenceBatch


class CaptionNetwork(Section):
    """Sizes of the model's and the guide's networks."""

    kernels: Kernels = Field([4, 4, 4], description="see GridEncoder: regions of 22 pixels, 8 apart")
    image: int = Field(64, ge=1, description="features of a region")
    embedding: int = Field(64, ge=1, description="features of a word")
    decoder: int = Field(128, ge=1, description="features of the decoder and the readout")
    attention: int = Field(128, ge=1, description="hidden features of the scorer")
    guide: int = Field(64, ge=1, description="features of each direction of the guide's reader")
    dropout: float = Field(0.0, ge=0, lt=1, description="of the model's hidden features")


class CaptionTask(CaptionVerbs):
    """Captions of images, with hard attention; see `hardpp.tasks.family.Task`."""

    name: str = "caption"
    summary: str = "every word of a caption picks one region of the image (Xu et al. 2015, Ba et al. 2015)"
    unit: str = "word"
    network: type[BaseModel] = CaptionNetwork
    presets: Mapping[str, Mapping[str, Any]] = {
        "small": {},
        "paper": {
            "network": {
                "image": 512,
                "embedding": 512,
                "decoder": 1024,
                "attention": 512,
                "guide": 512,
                "dropout": 0.5,
            },
            "optimiser": {"learning_rate": 4e-4},
        },
    }
    guides: Mapping[str, str] = {
        "variational": "has heard the whole sentence (Ba et al. 2015)",
        "prior": "the model's own latents: hard attention (Xu et al. 2015)",
    }
    data_sets: Sequence[str] = corpora.NAMES
    data: type[DataConfig] = DataConfig
    decoding: type[BaseModel] = SequenceDecoding

    def settings(self, data: str) -> Mapping[str, Any]:
        """What is recommended for captions."""
        return {
            "objective": "exact",  # the regions are few enough to be summed over
            "optimiser": {"learning_rate": 2e-3, "weight_decay": 0.01},
            "training": {"batch_size": 32, "max_epochs": 10},
            "decoding": {"beam": 1},
        }

    def load(self, config: DataConfig, report: Callable[[str], None]) -> CaptionedImages:
        """The images: a named corpus, fetched or made if need be, or the user's own folder.

        Raises:
            UsageError: sacrebleu is not installed, which is better known before training than after it.
        """
        bleu(["a b"], [["a b"]], tokenized=True, order=1)
        return caption_data.load(config, report)

    def describe(self, data: CaptionedImages) -> dict[str, Any]:
        """Words, the size of images, and the data's fingerprint."""
        return caption_data.describe(data)

    def build(self, config: RunConfig, description: Mapping[str, Any]) -> Programs:
        """Model and guide; they share the encoder of images and the features of words."""
        sizes = CaptionNetwork(**config.network)
        encoder = GridEncoder(sizes.kernels, sizes.image, description["size"][0])
        memory, words = encoder.features, nn.Embedding(len(description["words"]), sizes.embedding)
        scorer = AdditiveScorer(sizes.decoder, memory, sizes.attention)
        decoder = InputFeedingDecoder(words, sizes.embedding, scorer, memory, sizes.decoder, 1, sizes.dropout)
        readout = Readout(memory, sizes.decoder, sizes.decoder, words.num_embeddings, sizes.dropout)
        model = Captioner(encoder, decoder, readout, BOUNDARY)
        if config.guide == "prior":
            return Programs(model, Prior(model))
        if config.guide != "variational":
            raise UsageError(f"model {self.name} has no guide {config.guide!r}")
        reader = BidirectionalLSTM(sizes.embedding, sizes.guide)
        match = BilinearScorer(reader.features, memory)
        return Programs(model, SentenceInformed(encoder, words, reader, match))

    def epoch_batches(
        self, config: RunConfig, data: CaptionedImages, description: Mapping[str, Any]
    ) -> Callable[[int], Sequence[Callable[[], SequenceBatch]]]:
        """Batches of sentences of like length, all references of every image, shuffled by seed and epoch."""
        chosen = sentences(data.train)
        known, cut = caption_data.vocabulary(description), regions(config)

        def epoch(number: int) -> Sequence[Callable[[], SequenceBatch]]:
            found = buckets(chosen, config.training.batch_size, config.seed, number)
            return [partial(collate, [chosen[row] for row in rows], data.train, known, cut) for rows in found]

        return epoch

    def dev_batches(
        self, config: RunConfig, data: CaptionedImages, description: Mapping[str, Any]
    ) -> list[SequenceBatch]:
        """The first reference of every image of the dev part, by length."""
        chosen = caption_data.Chosen(sentences(data.dev, 1), data.dev)
        return [batch for _, batch in caption_data.ordered_batches(chosen, config, description)]
