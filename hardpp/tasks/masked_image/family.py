"""Classification of partly seen images: a few patches at random places are shown, from none to G.

    many-patches   up to some forty are shown
    few-patches    up to G, from the weights of the stage before

Where only few are shown from the start, learning is slow to begin (docs/near_optimal.md).

Source: Harvey, Teng and Wood (2019), Near-optimal glimpse sequences, section 3.2; the small preset is ours.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from hardpp.config import RunConfig
from hardpp.data.ahead import ahead
from hardpp.data.batches import shuffled
from hardpp.data.images import corpora
from hardpp.data.images.labelled import LabelledImages, collate, first_images
from hardpp.data.images.layouts import LAYOUTS
from hardpp.tasks.family import (
    AlignmentForm,
    EpochBatches,
    Family,
    GuideSpec,
    Lack,
    Recommended,
    Stage,
    prior_guide,
)
from hardpp.tasks.labelled_images import ImagesDescription, batches, select
from hardpp.tasks.masked_image.evaluation import AT_ONCE
from hardpp.tasks.masked_image.looking import MaskedImageDecoding
from hardpp.tasks.masked_image.network import MaskedImageOptions, MaskedImageParts, masked_image_parts
from hardpp.tasks.masked_image.run import MaskedImageRun
from hardpp.tasks.opened_run import Report
from hardpp.tasks.picture_data import PictureData
from hardpp.types import ImageBatch, Need

DEV_IMAGES = 2000  # of the dev part, for the bound after every epoch

MANY, FEW = "many-patches", "few-patches"

_NO_SUM = Lack(
    "{objective} sums over latents or mixes them, and no place is taken twice",
    "take one that draws, such as elbo",
)
_NO_EMISSIONS = Lack(
    "temporal baselines and controls compare draws that have emitted as much, and glimpses emit nothing",
    "take --objective elbo",
)
_NO_POLICY = Lack(
    "{objective} trains the choice of latents, and places are drawn evenly", "take --objective elbo"
)


class MaskedImageFamily(Family):
    """Classification of images of which a few patches are shown."""

    name = "masked-image"
    summary = (
        "an image is classified from a few patches anywhere, for designing glimpses (Harvey et al. 2019)"
    )
    unit = "an image"
    data = PictureData
    network = MaskedImageOptions
    decoding = MaskedImageDecoding
    description = ImagesDescription
    run = MaskedImageRun
    before = (
        Stage(
            MANY,
            "many patches are shown, from which classes are learnt sooner",
            {"objective": "elbo", "guide": "prior", "network": {"many": True}},
        ),
    )
    stage = FEW
    presets = {
        "small": Recommended(),
        "celeba-hq": Recommended(
            {
                "data": {"side": 224},
                "network": {"patch": 16, "cells": 50, "last": 207, "features": 64},
                "training": {"batch_size": 64},
            }
        ),
        "cub": Recommended(
            {
                "data": {"side": 128},
                "network": {"patch": 32, "cells": 13, "features": 64},
                "training": {"batch_size": 64},
            }
        ),
    }
    guides = {"prior": GuideSpec("places as the model draws them, at random", prior_guide, trained=False)}
    data_sets = (
        corpora.DEFAULT,
        *(name for name in corpora.NAMES if name != corpora.DEFAULT),
        *corpora.NATURAL,
    )
    alignment_forms = {"tsv": AlignmentForm("image, label, glimpse, row, column, prediction, probability")}
    layouts = {**LAYOUTS, "FOLDER/*ubyte*": "the four IDX files of MNIST, at their own size"}
    figures = {
        "accuracy, accuracy_0, ...": "share of right labels after the last glimpse, before any, after each",
        "nll, nll_0, ...": "nats an image, likewise",
        "entropy_0, ...": "nats, of the label as it is predicted",
        "ece, ece_0, ...": "expected calibration error with 15 bins, from 0 to 1: the largest, and of each",
        "seen": "share of the pixels that were seen after the last glimpse",
        "glimpses": "how many an image, in the mean: fewer where --sequences end earlier",
        "images, step, seconds": "how many; the run's step; seconds of looking at 1,000",
    }

    def recommended(self, data: str) -> Recommended:
        of_any_size: dict[str, Any] = {"data": {"side": 64}} if data in corpora.NATURAL else {}
        return Recommended(
            {
                **of_any_size,
                "objective": "elbo",
                "guide": "prior",
                "optimiser": {"learning_rate": 1e-3, "weight_decay": 0.05, "average": 0.999},
                "training": {"batch_size": 128, "max_epochs": 10, "patience": 100},
            },
            stages={MANY: {"optimiser": {"average": 0.99}, "training": {"max_epochs": 2}}},
            guides={"elbo": "prior"},
            single_particle_baseline="average",
        )

    def lacks(self, network: MaskedImageOptions) -> Mapping[Need, Lack]:
        sums: tuple[Need, ...] = ("marginal", "enumerable", "relaxable")
        return {**dict.fromkeys(sums, _NO_SUM), "emission-counts": _NO_EMISSIONS, "policy": _NO_POLICY}

    def load(self, config: PictureData, report: Report) -> LabelledImages:
        images = corpora.corpus(config.name, config.options(), report)
        return images._replace(train=first_images(images.train, config.train_limit))

    def describe(self, data: LabelledImages) -> ImagesDescription:
        return ImagesDescription(
            classes=list(data.classes), size=list(data.train.size), fingerprint=data.fingerprint()
        )

    def parts(self, network: MaskedImageOptions, description: ImagesDescription) -> MaskedImageParts:
        return masked_image_parts(network, description)

    def epoch_batches(
        self, config: RunConfig, data: LabelledImages, description: ImagesDescription
    ) -> EpochBatches:
        workers: int = config.data.workers  # type: ignore[attr-defined]

        def epoch(number: int) -> Sequence[Callable[[], ImageBatch]]:
            indices = shuffled(len(data.train), config.training.batch_size, config.seed, number)
            return ahead([partial(collate, data.train, some, number) for some in indices], workers)

        return epoch

    def dev_batches(
        self, config: RunConfig, data: LabelledImages, description: ImagesDescription
    ) -> list[ImageBatch]:
        return [batch for _, batch, _ in batches(select(data, "dev", DEV_IMAGES), at_once=AT_ONCE)]

    def label(self, description: ImagesDescription, batch: ImageBatch, row: int) -> str:
        return f"an image of class {description.classes[int(batch.target[row])]!r}"
