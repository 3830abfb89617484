"""Sequences of glimpses on record: their options, and what a family of glimpses does with them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from hardpp.config import DataConfig, RunConfig
from hardpp.data.images import glimpse_sequences
from hardpp.data.images.labelled import LabelledImages, first_images
from hardpp.data.images.recorded_glimpses import RecordedGlimpses, recorded_centres
from hardpp.errors import DataError, UsageError
from hardpp.tasks.catalogue import guide_spec
from hardpp.tasks.family import Family, GuideSpec, Lack
from hardpp.tasks.opened_run import Report
from hardpp.types import Need

_NO_SUM = Lack(
    "{objective} sums over latents or mixes them, and what guide replay replays is one value of each",
    "take one that draws, such as rloo, vimco or rws",
)
SUMS: tuple[Need, ...] = ("marginal", "enumerable", "relaxable")


def replay_spec(build: Any) -> GuideSpec:
    """The guide `replay` of a family, which makes it of its parts."""
    what = "sequences on record where there are (data.sequences), else the model's own policy"
    return GuideSpec(what, build, trained=False, replays=True, lacks=dict.fromkeys(SUMS, _NO_SUM))


class SequenceOptions(DataConfig):
    """Which glimpse sequences teach the guide `replay`."""

    sequences: str | None = Field(None, description="file of glimpse sequences of images to train on")
    sequences_limit: int | None = Field(None, ge=1, description="only the first so many of them")

    places: ClassVar[Sequence[str]] = (*DataConfig.places, "sequences")

    @field_validator("sequences")
    @classmethod
    def _wherever_it_is_read(cls, value: str | None) -> str | None:
        return None if value is None else str(Path(value).absolute())


def check_replayed(family: Family, stages: Sequence[RunConfig]) -> None:
    """Refuses sequences without a guide that replays them, such a guide without sequences, and a lone weight.

    Args:
        family: of the run.
        stages: the run's, in order.

    Raises:
        UsageError: see above.
    """
    sequences, limit = (getattr(stages[-1].data, key) for key in ("sequences", "sequences_limit"))
    replaying = [stage.guide for stage in stages if guide_spec(family, stage.guide).replays]
    if replaying and sequences is None:
        what = f"guide {replaying[0]!r} replays glimpse sequences, and data.sequences names no file of them"
        raise UsageError(what, "give --set data.sequences=FILE")
    if limit is not None and sequences is None:
        raise UsageError("data.sequences_limit is of data.sequences, which names no file")
    if sequences is not None and not replaying:
        others = ", ".join(dict.fromkeys(repr(stage.guide) for stage in stages))
        what = f"data.sequences is for a guide that replays them, and guide {others} does not"
        raise UsageError(
            what, f"give --guide {next(name for name, guide in family.guides.items() if guide.replays)}"
        )
    for stage in stages:
        if "supervision" in stage.inference and stage.guide not in replaying:
            lone = f"guide {stage.guide!r} replays none"
            raise UsageError(f"inference.supervision is the weight of sequences on record, and {lone}")


def with_sequences(images: LabelledImages, config: Any, report: Report) -> LabelledImages:
    """The first `train_limit` images to train on, with their sequences, if there are any.

    Args:
        images: all of them.
        config: `SequenceOptions`.
        report: told how many there are.

    Raises:
        DataError: the file cannot be read, or was made for other images, or has none of these.
    """
    train = first_images(images.train, config.train_limit)
    if config.sequences is None:
        return images._replace(train=train)
    sequences = glimpse_sequences.read(Path(config.sequences))
    centres = recorded_centres(sequences, images.train, "train", config.sequences_limit)
    recorded = RecordedGlimpses(train, centres[: len(train)])
    known = int(recorded.known.sum())
    if not known:
        raise DataError(f"{config.sequences}: has no sequence of the first {len(train)} images")
    report(f"{known} of {len(train)} images to train on have a sequence of {centres.shape[1]} glimpses")
    return images._replace(train=recorded)


def for_stage(images: LabelledImages, guide: GuideSpec, glimpses: int) -> LabelledImages:
    """The images as a stage of training wants them: with sequences if its guide replays them.

    Raises:
        UsageError: the stage has more glimpses than the sequences.
    """
    train = images.train
    if not isinstance(train, RecordedGlimpses):
        return images
    if not guide.replays:
        return images._replace(train=train.part)
    if glimpses > (known := train.recorded.shape[1]):
        what = f"network.glimpses: {glimpses} glimpses, and the sequences on record have {known}"
        raise UsageError(what, f"give --set network.glimpses={known}, or fewer, which cuts them")
    return images
