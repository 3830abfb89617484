"""Saccader: an image is classified from a few places of it, none visited twice, in three stages of training.

    representation   all places at once, by their mean logits: classification
    locations        the policy imitates an order of places that needs no labels of places; the
                     representation keeps its weights and statistics, and its features are computed once
    joint            everything, by the paper's policy gradient, or any other objective

Sources: Elsayed, Kornblith and Le (2019), Saccader; the small presets are ours, with the paper's proportions.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from hardpp.config import RunConfig
from hardpp.data.images import celeba_hq, corpora, cub
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
    Stage,
    prior_guide,
)
from hardpp.tasks.image_family import NO_EMISSIONS, ImageFamily
from hardpp.tasks.labelled_images import ImagesDescription, accuracy
from hardpp.tasks.opened_run import Report
from hardpp.tasks.recorded_sequences import check_replayed, for_stage, replay_spec, with_sequences
from hardpp.tasks.saccader.data import SaccaderData, with_features
from hardpp.tasks.saccader.evaluation import AT_ONCE, predictions
from hardpp.tasks.saccader.looking import SaccaderDecoding
from hardpp.tasks.saccader.network import (
    SaccaderOptions,
    SaccaderParts,
    central_guide,
    label_aware_guide,
    ordered_logits_guide,
    saccader_parts,
    sobel_guide,
    uniform_guide,
)
from hardpp.tasks.saccader.replay import replay_guide
from hardpp.tasks.saccader.run import SaccaderRun
from hardpp.types import Need

SCENES = ("mnist-112", "mnist-64")

REPRESENTATION, LOCATIONS, JOINT = "representation", "locations", "joint"
READ_PIXELS = ("sobel-mean", "sobel-variance")  # guides that features tell nothing


def _preset(side: int, stem: int, wide: Sequence[int], summary: str) -> Recommended:
    planes = [stem, 2 * stem, 4 * stem]
    return Recommended(
        {"data": {"side": side}, "network": {"stem": stem, "planes": planes, "wide": list(wide)}},
        stages={LOCATIONS: {"network": {"glimpses": 12 if side > 64 else 6}}},
        summary=summary,
    )


_SGD = {"optimiser": {"kind": "sgd", "weight_decay": 8e-5, "average": 0.0}, "training": {"max_epochs": 120}}
_PAPER = Recommended(
    {
        "data": {"side": 224},
        "network": {
            "stem": 64,
            "planes": [64, 128, 256, 512],
            "blocks": [3, 4, 6, 3],
            "strides": [2, 2, 2, 1],
            "wide": [2, 2, 2, 2],
            "classes": 1001,
        },
        **_SGD,
    },
    stages={LOCATIONS: {"network": {"glimpses": 12}}},
    summary="ImageNet, sizes and steps of Elsayed et al. (2019), for a GPU",
)

_A_CHAIN = Lack(
    "{objective} takes latents that do not depend on one another, and no place is visited twice",
    "take one that draws, such as rloo, vimco or rws",
)


def _on_features(config: RunConfig) -> bool:
    return "representation" in config.training.frozen and config.guide not in READ_PIXELS


class SaccaderFamily(ImageFamily):
    """Image classification from a few places."""

    name = "saccader"
    summary = "an image is classified from a few places of it, none visited twice (Elsayed et al. 2019)"
    data = SaccaderData
    network = SaccaderOptions
    decoding = SaccaderDecoding
    dev_images, at_once = 1000, AT_ONCE
    run = SaccaderRun
    toy_side = 21
    toy_settings = {
        "data": {"side": 21},
        "network": {
            **{"stem": 4, "planes": [4], "blocks": [1], "strides": [2], "wide": [1], "glimpses": 2},
        },
        "stages": [JOINT],
    }
    before = (
        Stage(
            REPRESENTATION,
            "classification by the mean of all places",
            {"objective": "exact", "guide": "prior", "network": {"reading": "dense"}},
        ),
        Stage(
            LOCATIONS,
            "the policy imitates the order of logits",
            {"objective": "imitation", "guide": "ordered-logits", "training": {"frozen": ["representation"]}},
        ),
    )
    stage = JOINT
    presets = {
        "small": _preset(112, 16, (2, 2, 2), "the same as tiny112"),
        "tiny112": _preset(112, 16, (2, 2, 2), "images of 112 pixels, on a CPU"),
        "small112": _preset(112, 32, (2, 2, 2), "the same with twice as many features"),
        "tiny64": _preset(64, 16, (1, 2, 1), "images of 64 pixels, on a CPU"),
        "small64": _preset(64, 32, (1, 2, 1), "the same with twice as many features"),
        "paper": _PAPER,
    }
    guides = {
        "label-aware": GuideSpec("chooses places by the label, as WS-RAM's guide", label_aware_guide),
        "prior": GuideSpec("the model's own policy (Elsayed et al. 2019)", prior_guide, trained=False),
        "ordered-logits": GuideSpec(
            "places by their logit of one class, see network.order", ordered_logits_guide, trained=False
        ),
        "centre": GuideSpec("places nearest to the centre", central_guide, trained=False),
        "sobel-mean": GuideSpec(
            "places with the strongest edges", partial(sobel_guide, statistic="mean"), trained=False
        ),
        "sobel-variance": GuideSpec(
            "places whose edges differ most", partial(sobel_guide, statistic="variance"), trained=False
        ),
        "replay": replay_spec(replay_guide),
        "random": GuideSpec("places at random", uniform_guide, trained=False),
    }
    data_sets = (*SCENES, *corpora.NATURAL)
    alignment_forms = {"tsv": AlignmentForm("image, label, glimpse, y, x, prediction, probability")}
    layouts = {
        **LAYOUTS,
        **celeba_hq.LAYOUT,
        **cub.LAYOUT,
        "FOLDER/*ubyte*": "the four IDX files of MNIST, at their own size (data.side)",
    }
    nbest = "labels, given the places that were looked at"
    figures = {
        "accuracy, after_1, ...": "share of right labels after the last glimpse, and after each",
        "top5": "share of labels among the five likeliest ones after the last glimpse",
        "nll": "nats an image, after the last glimpse",
        "dense": "share of right labels by the mean of all places of the same network",
        "classified, classified_1, ...": "share of the pixels that the prediction is made from, after the "
        "last glimpse and after each; where to look is decided from the whole image",
        "occluded, occluded_random, ...": "with --occlude: share of right labels by all places once what the "
        "glimpses saw is painted over, or as much at random places",
        "second, second_1, ...": "with --second: share of right labels by the second classifier, which sees "
        "patches of larger images, after the last glimpse and after each",
        "diversity, diversity_1, ...": "mean pixels between two glimpses of an image",
        "alike": "mean |cosine| between two images' glimpses, from the middle: 1 is the same gaze for all",
        "hit_first, hit": "share of images whose first glimpse, or any, has its centre in the object's box",
        "images, step": "how many; the run's step",
    }

    def recommended(self, data: str) -> Recommended:
        # A digit has a left and a right, and scenes are placed anew already.
        own: dict[str, Any] = {"data": {"augment": False}} if data in SCENES else {}
        return Recommended(
            {
                "objective": "hybrid",
                "optimiser": {
                    "learning_rate": 3e-4,  # larger ones forget what the first stages taught
                    "weight_decay": 1e-4,
                    "decayed": "kernels",
                    "average": 0.99,
                },
                "training": {"batch_size": 64, "max_epochs": 5, "patience": 100},
                **own,
            },
            stages={
                REPRESENTATION: {"optimiser": {"learning_rate": 3e-3}, "training": {"max_epochs": 10}},
                LOCATIONS: {"optimiser": {"learning_rate": 1e-3}, "training": {"max_epochs": 5}},
            },
            guides=dict.fromkeys(("hybrid", "rloo", "reinforce", "exact", "soft", "imitation"), "prior"),
            options={
                "hybrid": {"particles": 2, "baseline": "batch"},
                "rloo": {"particles": 2},
            },
            single_particle_baseline="average",
        )

    def check(self, stages: Sequence[RunConfig]) -> None:
        check_replayed(self, stages)

    def lacks(self, network: SaccaderOptions) -> Mapping[Need, Lack]:
        return {"emission-counts": NO_EMISSIONS, "independent": _A_CHAIN}

    def load(self, config: SaccaderData, report: Report) -> LabelledImages:
        images = corpora.corpus(config.name, config.options(), report)
        return with_sequences(images, config, report)

    def parts(self, network: SaccaderOptions, description: ImagesDescription) -> SaccaderParts:
        return saccader_parts(network, description)

    def prepared(self, config: RunConfig, data: LabelledImages, programs: Programs) -> LabelledImages:
        """With sequences, if they are replayed; features, where the representation does not change."""
        data = for_stage(data, guide_spec(self, config.guide), self.network(**config.network).glimpses)
        if not _on_features(config):
            return data
        model: Any = programs.model
        return with_features(data, model.representation)

    def dev_figures(self, run: SaccaderRun) -> dict[str, float]:
        images = run.select(part="dev", limit=DEV_ITEMS)
        log_probs = (log_p for log_p, _ in predictions(run, images, SaccaderDecoding()))
        return {"accuracy": accuracy(images, log_probs)}

    def workers(self, config: RunConfig) -> int:
        return 0 if _on_features(config) else config.data.workers  # type: ignore[attr-defined]
