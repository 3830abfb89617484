"""Glimpses: an image is classified from a few looks at parts of it.

Sources: Ba et al. (2015) for guide and training, Mnih et al. (2014) for the model; the small preset is ours.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import BaseModel

from hardpp.config import DataConfig, RunConfig
from hardpp.data.images import corpora
from hardpp.data.images.batches import collate, shuffled
from hardpp.data.images.labelled import LabelledImages
from hardpp.errors import UsageError
from hardpp.tasks.family import Programs
from hardpp.tasks.glimpse import data as glimpse_data
from hardpp.tasks.glimpse.evaluation import Looking
from hardpp.tasks.glimpse.network import GlimpseOptions, programs
from hardpp.tasks.glimpse.run import GlimpseVerbs
from hardpp.types import ImageBatch

SUMMING = ("exact", "enum", "soft", "gumbel", "dirichlet", "sum-and-sample")  # objectives
DEV = 2000  # images of the dev part that a bound is computed of, after every epoch
SMALL = ("mnist", "fashion-mnist")  # images that are all object


class GlimpseTask(GlimpseVerbs):
    """Classification by hard glimpses; see `hardpp.tasks.family.Task`."""

    name: str = "glimpse"
    summary: str = "an image is classified from a few glimpses of it (Mnih et al. 2014, Ba et al. 2015)"
    unit: str = "image"
    network: type[BaseModel] = GlimpseOptions
    presets: Mapping[str, Mapping[str, Any]] = {
        "small": {},
        "paper": {
            "network": {"glimpses": 4, "features": 512, "hidden": 256, "cell": "gru", "context": 12},
            "optimiser": {"learning_rate": 1e-3},
            "training": {"batch_size": 128, "max_epochs": 200},
        },
    }
    guides: Mapping[str, str] = {
        "variational": "looks where it would have been wise to look, knowing the label (Ba et al. 2015)",
        "prior": "the model's own policy: RAM (Mnih et al. 2014)",
    }
    data_sets: Sequence[str] = (
        corpora.DEFAULT,
        *(name for name in corpora.NAMES if name != corpora.DEFAULT),
    )
    data: type[DataConfig] = glimpse_data.GlimpseData
    decoding: type[BaseModel] = Looking

    def settings(self, data: str) -> Mapping[str, Any]:
        """What is recommended for images."""
        # Policies settle on what a classifier knows that has seen little; paying for open choices at first
        # keeps them, paying for longer keeps them from ever settling.
        bonus: dict[str, Any] = {"entropy_bonus": 0.01, "entropy_bonus_steps": 500}
        network: dict[str, Any] = {}
        decay = 0.0
        if data in SMALL:
            # Measured: choices that are open for longer, and then not paid for at all, settle on good cells
            # with every seed tried; on canvases they do not help (docs/benchmarks.md).
            bonus = {"entropy_bonus": 0.05, "entropy_bonus_steps": 2500, "entropy_bonus_final": 0.0}
            network = {"side": 8, "windows": 2, "cells": 5, "hidden": 64, "context": 0}
            decay = 0.15
        return {
            "objective": "rloo",
            "guides": dict.fromkeys(("rloo", "reinforce", "hybrid"), "prior"),
            "single_particle_baseline": "average",
            "options": {"rloo": {"particles": 2, **bonus}, "reinforce": bonus, "hybrid": bonus},
            "network": network,
            "optimiser": {"learning_rate": 3e-3, "weight_decay": decay, "average": 0.999},
            "training": {"batch_size": 128, "max_epochs": 20},
        }

    def load(self, config: glimpse_data.GlimpseData, report: Callable[[str], None]) -> LabelledImages:
        """The images: a named corpus, fetched or made if need be, or the user's own folder."""
        return glimpse_data.load(config, report)

    def describe(self, data: LabelledImages) -> dict[str, Any]:
        """Classes, the size of images, and the data's fingerprint."""
        return glimpse_data.describe(data)

    def build(self, config: RunConfig, description: Mapping[str, Any]) -> Programs:
        """Model and guide.

        Raises:
            UsageError: there is no such guide, the objective has no use for these programs, or a glimpse is
                larger than the images.
        """
        if config.objective in SUMMING:
            raise UsageError(
                f"{config.objective} sums over latents or mixes them, and a glimpse depends on all before it",
                "take one that draws, such as rloo, vimco or rws",
            )
        if "temporal" in (config.inference.get("baseline"), config.inference.get("control")):
            raise UsageError(
                "temporal baselines and controls compare draws that have emitted as much, and glimpses emit "
                "nothing",
                "take --objective vimco, or --set inference.baseline=leave-one-out",
            )
        return programs(GlimpseOptions(**config.network), config.guide, description)

    def epoch_batches(
        self, config: RunConfig, data: LabelledImages, description: Mapping[str, Any]
    ) -> Callable[[int], Sequence[Callable[[], ImageBatch]]]:
        """Batches of the training part, shuffled by the seed and the epoch; scenes may be new in each."""

        def epoch(number: int) -> Sequence[Callable[[], ImageBatch]]:
            found = shuffled(len(data.train), config.training.batch_size, config.seed, number)
            return [partial(collate, data.train, places, number) for places in found]

        return epoch

    def dev_batches(
        self, config: RunConfig, data: LabelledImages, description: Mapping[str, Any]
    ) -> list[ImageBatch]:
        """The first of the dev part."""
        chosen = glimpse_data.chosen(data, "dev", DEV)
        return [batch for _, batch, _ in glimpse_data.batches(chosen)]
