"""Variational autoencoders of images, and the completion of partly seen ones, in two stages of training.

    vae          decoder and encoder of whole images, by the evidence lower bound
    completion   a partial encoder imitates the encoder from what is seen of images; the rest stays as it is

Source: Harvey, Naderiparizi and Wood (2022), Conditional image generation by conditioning variational
auto-encoders; the presets are ours.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from hardpp.config import RunConfig
from hardpp.data.ahead import ahead
from hardpp.data.batches import shuffled
from hardpp.data.images import corpora
from hardpp.data.images.labelled import LabelledImages
from hardpp.data.images.layouts import LAYOUTS
from hardpp.tasks.family import EpochBatches, GuideSpec, Lack, Recommended, Stage, prior_guide
from hardpp.tasks.image_family import NO_EMISSIONS, ONE_SIZE, ImageFamily
from hardpp.tasks.image_vae.data import SeenAtRandom
from hardpp.tasks.image_vae.evaluation import AT_ONCE, ImageVAEDecoding
from hardpp.tasks.image_vae.network import (
    ImageVAEOptions,
    ImageVAEParts,
    encoder_guide,
    image_vae_parts,
    partial_encoder_guide,
)
from hardpp.tasks.image_vae.run import ImageVAERun
from hardpp.tasks.labelled_images import ImagesDescription, batches, select
from hardpp.tasks.picture_data import PictureData
from hardpp.types import Need, PartlySeenBatch

VAE, COMPLETION = "vae", "completion"

_NO_SUM = Lack(
    "{objective} sums over latents or mixes them, and a code is made of real numbers",
    "take one that draws, such as elbo, iwae or rws",
)
_NO_PREDICTIONS = Lack(
    "{objective} rewards right predictions, and no grey value is predicted exactly",
    "take one of bounds, such as elbo",
)


class ImageVAEFamily(ImageFamily):
    """Images with codes."""

    name = "image-vae"
    summary = "images with codes, and completion of partly seen ones (Harvey et al. 2022)"
    data = PictureData
    network = ImageVAEOptions
    decoding = ImageVAEDecoding
    at_once = AT_ONCE
    run = ImageVAERun
    toy_settings = {
        "network": {
            **{"glimpses": 2, "patch": 4, "cells": 3, "code": 3, "components": 2, "planes": [4, 4]},
            **{"hidden": 8},
        },
        "decoding": {"particles": 2, "draws": 3, "completed": 4},
        "stages": [COMPLETION],
        "objective": "elbo",  # the stage's own takes an encoder that was trained before
    }
    before = (
        Stage(
            VAE,
            "decoder and encoder, by the evidence lower bound",
            {"objective": "elbo", "guide": "encoder", "network": {"prior": "standard"}},
        ),
    )
    stage = COMPLETION
    presets = {
        "small": Recommended(summary="grey pictures, on a CPU"),
        "large": Recommended(
            {"network": {"code": 64, "planes": [32, 64, 128, 128], "hidden": 512}},
            summary="wider, for pictures in colour",
        ),
    }
    guides = {
        "encoder": GuideSpec("codes of whole images (Kingma & Welling 2014)", encoder_guide),
        "partial-encoder": GuideSpec(
            "codes of what is seen of them, for --objective rws and a standard normal prior",
            partial_encoder_guide,
        ),
        "prior": GuideSpec("the model's own codes", prior_guide, trained=False),
    }
    data_sets = (*ONE_SIZE, *corpora.NATURAL)
    alignment_forms = {}  # a code has no places
    layouts = {**LAYOUTS, "FOLDER/*ubyte*": "the four IDX files of MNIST, at their own size"}
    figures = {
        "bits, bound": "bits a pixel and channel, and nats an image, by --particles draws of the guide and a "
        "standard normal prior",
        "mse, mse_0, ...": "mean squared error of unseen pixels (0 to 1) of the mean completion: mean over "
        "numbers of patches, and with none, with one, ...",
        "best, best_0, ...": "the same of the best of --draws completions",
        "log_q, log_q_0, ...": "nats, of what the encoder draws, to the partial encoder",
        "completed": "how many images were completed, for these figures",
        "images, step": "how many; the run's step",
    }

    def recommended(self, data: str) -> Recommended:
        of_any_size: dict[str, Any] = {"data": {"side": 64}} if data in corpora.NATURAL else {}
        return Recommended(
            {
                **of_any_size,
                "optimiser": {
                    "learning_rate": 2e-3,
                    "weight_decay": 0.0,
                    "average": 0.999,
                    "clip_norm": 1000.0,  # bounds of images are in thousands of nats
                },
                "training": {"batch_size": 64, "max_epochs": 12, "patience": 100},
            },
            stages={COMPLETION: {"objective": "imitation", "training": {"frozen": ["decoder"]}}},
            guides={"imitation": "encoder"},
            options={
                "elbo": {"particles": 1, "baseline": "none"},  # draws are reparameterised
                "rws": {"particles": 2, "insomnia": 0.0},
            },
            single_particle_baseline="average",
        )

    def lacks(self, network: ImageVAEOptions) -> Mapping[Need, Lack]:
        sums: tuple[Need, ...] = ("marginal", "enumerable", "relaxable")
        return {
            **dict.fromkeys(sums, _NO_SUM),
            "emission-counts": NO_EMISSIONS,
            "predictions": _NO_PREDICTIONS,
        }

    def parts(self, network: ImageVAEOptions, description: ImagesDescription) -> ImageVAEParts:
        return image_vae_parts(network, description)

    def epoch_batches(
        self, config: RunConfig, data: LabelledImages, description: ImagesDescription
    ) -> EpochBatches:
        workers: int = config.data.workers  # type: ignore[attr-defined]
        seen = self._seen(config, description, config.seed)

        def epoch(number: int) -> Sequence[Callable[[], PartlySeenBatch]]:
            indices = shuffled(len(data.train), config.training.batch_size, config.seed, number)
            makers = [partial(seen.batch, data.train, some, number, n) for n, some in enumerate(indices)]
            return ahead(makers, workers)

        return epoch

    def dev_batches(
        self, config: RunConfig, data: LabelledImages, description: ImagesDescription
    ) -> list[PartlySeenBatch]:
        seen = self._seen(config, description, seed=0)
        images = batches(select(data, "dev", self.dev_images), at_once=self.at_once)
        return [seen.of(batch, number) for number, (_, batch, _) in enumerate(images)]

    def _seen(self, config: RunConfig, description: ImagesDescription, seed: int) -> SeenAtRandom:
        options = self.network(**config.network)
        return SeenAtRandom(options.grid(description), options.glimpses, seed)
