"""How a run of Saccader looks at images: the options, the places it goes to, and what it sees there.

Shapes: B images, G glimpses, V labels.
"""

from typing import Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from hardpp.config import Section
from hardpp.decoding.saccades import running_logits, saccades
from hardpp.errors import UsageError
from hardpp.models.saccader import DenseClassifier
from hardpp.tasks.opened_run import OpenedRun
from hardpp.tasks.saccader.policies import PolicyName, policy
from hardpp.tasks.saccader.windows import Geometry
from hardpp.types import ImageBatch


class SaccaderDecoding(Section):
    """How images are looked at when a run is asked about them."""

    glimpses: int | None = Field(
        None, le=1000, ge=1, description="how many; left out: as many as in training"
    )
    policy: PolicyName = Field("learned", description="what chooses the places")
    draw: bool = Field(False, description="draw each place, instead of the best one")
    occlude: bool = Field(False, description="classify again with what was looked at painted over")
    second: str | None = Field(
        None, description="package.module:Class that classifies what is cut at the places from larger images"
    )
    second_weights: str | None = Field(None, description="the .safetensors file of its weights")
    second_side: int | None = Field(
        None, ge=1, description="pixels a side of those larger images; left out: that of the images"
    )
    geometry: Geometry = Field(
        "exact", description="where it is cut: what a place sees, or a few pixels off as the authors cut"
    )
    seed: int = Field(0, ge=0, lt=2**63, description="of all draws")


class Looked(NamedTuple):
    """What was seen of images."""

    dense: Tensor  # (B, V) mean logits of all places
    places: Tensor | None = None  # (B, G); None of a model that reads all places at once
    logits: Tensor | None = None  # (B, G, V) after each glimpse

    @property
    def last(self) -> Tensor:
        """The logits (B, V) that the prediction is made from."""
        return self.dense if self.logits is None else self.logits[:, -1]


@torch.no_grad()
def look(run: OpenedRun, batch: ImageBatch, options: SaccaderDecoding) -> Looked:
    """Looks at images on the run's device."""
    model: Any = run.programs.model
    if isinstance(model, DenseClassifier):
        return Looked(model.representation(batch.source).logits.mean(1))
    view = model.view(batch.source)
    chosen = policy(options.policy, model, batch, view.memory)
    places = saccades(chosen, glimpses_of(model, batch, options), draw=options.draw)
    return Looked(view.places.logits.mean(1), places, running_logits(view.places.logits, places))


def glimpses_of(model: Any, batch: ImageBatch, options: SaccaderDecoding) -> int:
    """How many glimpses are asked for; a UsageError if there are fewer places."""
    asked = options.glimpses or model.glimpses
    side = model.representation.field.places(batch.source.shape[-1])
    if asked > side * side:
        raise UsageError(f"decoding.glimpses: {asked} glimpses cannot be at {side * side} places")
    return int(asked)


def shown_by(options: SaccaderDecoding) -> str:
    """What pictures say of the glimpses that `look` gives."""
    how = "one draw" if options.draw else "the best places"
    return f"{how} of the {options.policy} policy (prior: no label is known)"


def check_glimpses(run: OpenedRun, what: str) -> None:
    """Refuses, by a UsageError, what a model that reads all places at once does not have."""
    if isinstance(run.programs.model, DenseClassifier):
        raise UsageError(
            f"this run reads all places at once, so there are no {what}", "train its other stages"
        )
