"""Classification of partly seen images: a few patches at random places are shown, from none to G.

    many-patches   up to some forty are shown
    few-patches    up to G, from the weights of the stage before

Where only few are shown from the start, learning is slow to begin (docs/near_optimal.md).

Source: Harvey, Teng and Wood (2019), Near-optimal glimpse sequences, section 3.2; the small preset is ours.
"""

from collections.abc import Mapping
from typing import Any

from hardpp.config import RunConfig
from hardpp.data.images import corpora
from hardpp.data.images.layouts import LAYOUTS
from hardpp.tasks.family import (
    DEV_ITEMS,
    AlignmentForm,
    GuideSpec,
    Lack,
    Recommended,
    Stage,
    prior_guide,
)
from hardpp.tasks.image_family import NO_EMISSIONS, ONE_SIZE, ImageFamily
from hardpp.tasks.labelled_images import ImagesDescription, accuracy
from hardpp.tasks.masked_image.evaluation import AT_ONCE, label_log_probs
from hardpp.tasks.masked_image.looking import MaskedImageDecoding
from hardpp.tasks.masked_image.network import MaskedImageOptions, MaskedImageParts, masked_image_parts
from hardpp.tasks.masked_image.run import MaskedImageRun
from hardpp.tasks.picture_data import PictureData
from hardpp.types import Need

MANY, FEW = "many-patches", "few-patches"

_NO_SUM = Lack(
    "{objective} sums over latents or mixes them, and no place is taken twice",
    "take one that draws, such as elbo",
)
_NO_POLICY = Lack(
    "{objective} trains the choice of latents, and places are drawn evenly", "take --objective elbo"
)


class MaskedImageFamily(ImageFamily):
    """Classification of images of which a few patches are shown."""

    name = "masked-image"
    summary = (
        "an image is classified from a few patches anywhere, for designing glimpses (Harvey et al. 2019)"
    )
    data = PictureData
    network = MaskedImageOptions
    decoding = MaskedImageDecoding
    at_once = AT_ONCE
    run = MaskedImageRun
    toy_settings = {
        "network": {"glimpses": 2, "patch": 4, "cells": 3, "features": 4, "hidden": 8},
        "stages": [FEW],
    }
    before = (
        Stage(
            MANY,
            "many patches are shown, from which classes are learnt sooner",
            {"objective": "elbo", "guide": "prior", "network": {"many": True}},
        ),
    )
    stage = FEW
    presets = {
        "small": Recommended(summary="digits, on a CPU"),
        "celeba-hq": Recommended(
            {
                "data": {"side": 224},
                "network": {"patch": 16, "cells": 50, "last": 207, "features": 64},
                "training": {"batch_size": 64},
            },
            summary="faces of 224 pixels, as Harvey et al. (2019), for a GPU",
        ),
        "cub": Recommended(
            {
                "data": {"side": 128},
                "network": {"patch": 32, "cells": 13, "features": 64},
                "training": {"batch_size": 64},
            },
            summary="birds of 128 pixels, likewise",
        ),
    }
    guides = {"prior": GuideSpec("places as the model draws them, at random", prior_guide, trained=False)}
    data_sets = (*ONE_SIZE, *corpora.NATURAL)
    alignment_forms = {"tsv": AlignmentForm("image, label, glimpse, row, column, prediction, probability")}
    layouts = {**LAYOUTS, "FOLDER/*ubyte*": "the four IDX files of MNIST, at their own size"}
    trust = ("ece",)
    nbest = "labels, given the places that were seen"
    figures = {
        "accuracy, accuracy_0, ...": "share of right labels after the last glimpse, before any, after each",
        "nll, nll_0, ...": "nats an image, likewise",
        "entropy_0, ...": "nats, of the label as it is predicted",
        "ece, ece_0, ...": "expected calibration error with 15 bins, from 0 to 1: the largest, and of each",
        "seen": "share of the pixels that were seen after the last glimpse",
        "glimpses": "how many an image, in the mean: fewer where --sequences end earlier",
        "images, step": "how many; the run's step",
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
        return {**dict.fromkeys(sums, _NO_SUM), "emission-counts": NO_EMISSIONS, "policy": _NO_POLICY}

    def parts(self, network: MaskedImageOptions, description: ImagesDescription) -> MaskedImageParts:
        return masked_image_parts(network, description)

    def dev_figures(self, run: MaskedImageRun) -> dict[str, float]:
        images = run.select(part="dev", limit=DEV_ITEMS)
        return {"accuracy": accuracy(images, label_log_probs(run, images, MaskedImageDecoding()))}

    def workers(self, config: RunConfig) -> int:
        workers: int = config.data.workers  # type: ignore[attr-defined]
        return workers
