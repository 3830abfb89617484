"""Glimpse classifiers: an image is classified from a few glimpses, whose locations the model chooses.

Sources: Mnih et al. (2014) for the model, Ba et al. (2015) for guide and training; the small preset is ours.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from hardpp.config import RunConfig
from hardpp.data.images import corpora
from hardpp.data.images.labelled import LabelledImages
from hardpp.data.images.layouts import LAYOUTS
from hardpp.tasks.catalogue import guide_spec
from hardpp.tasks.family import (
    DEV_ITEMS,
    AlignmentForm,
    GuideSpec,
    Lack,
    Programs,
    Recommended,
    prior_guide,
)
from hardpp.tasks.glimpse.data import GlimpseData
from hardpp.tasks.glimpse.evaluation import GlimpseDecoding, evaluate
from hardpp.tasks.glimpse.network import GlimpseOptions, GlimpseParts, glimpse_parts, label_informed_guide
from hardpp.tasks.glimpse.replay import replay_guide
from hardpp.tasks.glimpse.run import GlimpseRun
from hardpp.tasks.image_family import NO_EMISSIONS, ONE_SIZE, ImageFamily
from hardpp.tasks.labelled_images import ImagesDescription
from hardpp.tasks.opened_run import Report
from hardpp.tasks.recorded_sequences import SUMS, check_replayed, for_stage, replay_spec, with_sequences
from hardpp.types import Need

CROPPED = ("mnist", "fashion-mnist")  # the object fills the image

# Policies settle on what a classifier knows that has seen little; paying for open choices at first keeps
# them, paying for longer keeps them from ever settling.
_BONUS: dict[str, Any] = {"entropy_bonus": 0.01, "entropy_bonus_steps": 500}
# Measured: choices that are open for longer, and then not paid for at all, settle on good cells with every
# seed tried; on canvases they do not help (docs/benchmarks.md).
_CROPPED_BONUS = {"entropy_bonus": 0.05, "entropy_bonus_steps": 2500, "entropy_bonus_final": 0.0}
_CROPPED_NETWORK: dict[str, Any] = {"side": 8, "windows": 2, "cells": 5, "hidden": 64, "context": 0}
_PAPER: dict[str, Any] = {
    "network": {"glimpses": 4, "features": 512, "hidden": 256, "cell": "gru", "context": 12},
    "optimiser": {"learning_rate": 1e-3},
    "training": {"batch_size": 128, "max_epochs": 200},
}

# Twice as wide and with decay of weights, so that the dev bound goes on rising for as many epochs.
_WIDE: dict[str, Any] = {
    "network": {"features": 256, "hidden": 256},
    "optimiser": {"learning_rate": 2e-3, "weight_decay": 0.2, "average": 0.9995},
    "training": {"max_epochs": 70, "patience": 20},
}

_NO_SUM = Lack(
    "{objective} sums over latents or mixes them, and a glimpse depends on all before it",
    "take one that draws, such as rloo, vimco or rws",
)


class GlimpseFamily(ImageFamily):
    """Image classification by hard glimpses."""

    name = "glimpse"
    summary = "an image is classified from a few glimpses of it (Mnih et al. 2014, Ba et al. 2015)"
    data = GlimpseData
    network = GlimpseOptions
    decoding = GlimpseDecoding
    run = GlimpseRun
    toy_settings = {
        "network": {
            **{"glimpses": 2, "side": 4, "windows": 2, "cells": 3, "hidden": 8, "features": 8},
            **{"head": 8, "guide": 8, "every_glimpse": True},
        },
        "decoding": {"draws": 2, "particles": 3},
    }
    presets = {
        "small": Recommended(summary="minutes of a CPU"),
        "wide": Recommended(_WIDE, summary="most of an hour of a CPU: twice as wide, and longer"),
        "paper": Recommended(_PAPER, summary="sizes and steps of Mnih et al. (2014)"),
    }
    guides = {
        "variational": GuideSpec("chooses locations by the label (Ba et al. 2015)", label_informed_guide),
        "prior": GuideSpec("the model's own policy: RAM (Mnih et al. 2014)", prior_guide, trained=False),
        "replay": replay_spec(replay_guide),
    }
    data_sets = ONE_SIZE
    alignment_forms = {"tsv": AlignmentForm("image, label, glimpse, y, x, scale, prediction, probability")}
    layouts = {
        **LAYOUTS,
        "FOLDER/*ubyte*": "the four IDX files of MNIST, at their own size",
    }
    trust = ("ess",)
    nbest = "labels, an estimate: the mean of --draws runs over the image"
    figures = {
        "error, error_1, ...": "share of wrong labels after the last glimpse, and after each, of one run an "
        "image",
        "error_mean, nll_mean": "of the mean prediction of --draws runs",
        "nll": "nats an image, of one run's last prediction",
        "bound, ess": "nats an image, of what the model observes, by --particles draws of the guide, and the "
        "effective number of those",
        "entropy, entropy_1, ...": "nats, of the last glimpse's cell over all images, and of each: 0 is "
        "always at one place",
        "entropy_policy": "nats, of the last choice given the image and the glimpses before",
        "seen, covered": "shares of pixels in a sharpest window, and in any",
        "hit": "how often the last glimpse's centre is in the object's box, where that is known",
        "distance, distance_first, distance_centre": "pixels from the box's centre, of the last and the "
        "first glimpse and of the canvas centre",
        "images, step": "how many; the run's step",
    }

    def recommended(self, data: str) -> Recommended:
        bonus, network, decay = _BONUS, {}, 0.0
        if data in CROPPED:
            bonus, network, decay = _CROPPED_BONUS, _CROPPED_NETWORK, 0.15
        return Recommended(
            {
                "objective": "rloo",
                "network": network,
                "optimiser": {"learning_rate": 3e-3, "weight_decay": decay, "average": 0.999},
                "training": {"batch_size": 128, "max_epochs": 20},
            },
            guides=dict.fromkeys(("rloo", "reinforce", "hybrid"), "prior"),
            options={"rloo": {"particles": 2, **bonus}, "reinforce": bonus, "hybrid": bonus},
            single_particle_baseline="average",
        )

    def check(self, stages: Sequence[RunConfig]) -> None:
        check_replayed(self, stages)

    def lacks(self, network: GlimpseOptions) -> Mapping[Need, Lack]:
        return {**dict.fromkeys(SUMS, _NO_SUM), "emission-counts": NO_EMISSIONS}

    def load(self, config: GlimpseData, report: Report) -> LabelledImages:
        images = corpora.corpus(config.name, config.options(), report)
        return with_sequences(images, config, report)

    def parts(self, network: GlimpseOptions, description: ImagesDescription) -> GlimpseParts:
        return glimpse_parts(network, description)

    def dev_figures(self, run: GlimpseRun) -> dict[str, float]:
        figures = evaluate(run, run.select(part="dev", limit=DEV_ITEMS), run.decoding({}))
        return {"error_mean": figures["error_mean"]}

    def prepared(self, config: RunConfig, data: LabelledImages, programs: Programs) -> LabelledImages:
        """With sequences, if the stage's guide replays them."""
        return for_stage(data, guide_spec(self, config.guide), self.network(**config.network).glimpses)
