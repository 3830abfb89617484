"""What a run is made of: the schema of `config.toml`, and how its layers are merged.

Later layers win: preset, file, `--set`, command line. Every unknown key and every value of a wrong
type is reported, all in one message and before any data is read.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import tomli_w
from pydantic import BaseModel, Field, SerializeAsAny, field_validator

from hardpp.config.section import Section as Section
from hardpp.config.undecoded import escaped, restored
from hardpp.errors import UsageError

Schema = TypeVar("Schema", bound=BaseModel)

_DEEPEST = 8  # tables and lists in one another
_BARE_POINT = re.compile(r"^(\s*[+-]?)\.(?=\d)")  # of numbers such as .5, which TOML does not have


class DataConfig(Section):
    """Which data; a model family adds how it reads them."""

    name: str = Field("", description="a fetchable data set, or the path of your own; left out: the model's")
    train_limit: int | None = Field(None, ge=1, description="train on the first so many data")

    # Fields that say where the data lie. A run goes on wherever they are, since it compares what they are.
    places: ClassVar[Sequence[str]] = ("name",)

    @classmethod
    def is_there(cls, name: str) -> bool:
        """Is there data of the user's own by that name: a file or folder?"""
        return Path(name).exists()


class OptimiserConfig(Section):
    """AdamW or SGD with warm-up, a cosine decay to zero, and a running average of the weights."""

    kind: Literal["adamw", "sgd"] = Field("adamw", description="sgd has a Nesterov momentum of 0.9")
    learning_rate: float = Field(4e-3, gt=0, le=1000, description="at its highest, after the warm-up")
    weight_decay: float = Field(
        0.3, ge=0, le=1000, description="of adamw decoupled; of sgd part of the gradient"
    )
    decayed: Literal["all", "kernels"] = Field(
        "all", description="which weights decay: all, or those of two dims at least (no biases, no norms)"
    )
    warmup_steps: int = Field(
        200,
        ge=0,
        description="over which the learning rate rises, at most a fifth of all; patience counts after them",
    )
    clip_norm: float = Field(5.0, gt=0, description="gradient norm, per datum of the batch")
    average: float = Field(
        0.998, ge=0, lt=1, description="decay a step of the average that is evaluated; 0: off"
    )


class TrainingConfig(Section):
    """How long, in which batches, and when to validate and to save."""

    batch_size: int = Field(64, ge=1, le=10**6, description="data a step")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="of the products in a training step; weights and log-probabilities stay float32",
    )
    auto_batch: bool = Field(False, description="cut batches that memory cannot hold, and add up gradients")
    compile: bool = Field(False, description="compile networks that convolve images, which takes minutes")
    max_epochs: int = Field(28, ge=1, description="passes over the data, by which the learning rate is zero")
    max_steps: int | None = Field(None, ge=1, description="stop earlier than the epochs say")
    patience: int = Field(6, ge=1, description="epochs without a better dev bound before stopping")
    checkpoint_every: int | None = Field(None, ge=1, description="steps; besides the end of every epoch")
    weight_noise: float = Field(
        0.0, ge=0, le=1000, description="deviation of noise added to the weights of a step"
    )
    weight_noise_steps: int = Field(0, ge=0, description="over which that noise grows from none")
    frozen: list[str] = Field(
        [], description="modules of the model that keep their weights and statistics, by their names"
    )
    log_every: int = Field(20, ge=1, description="steps a line of metrics.jsonl")
    on_nonfinite: Literal["stop", "skip", "rollback"] = Field(
        "stop",
        description="a step whose loss or gradient is not finite: end the run, leave the step out, or go "
        "back to the last sound checkpoint, with half the learning rate and other draws",
    )


class StageConfig(Section):
    """An earlier stage of a run: what it has of its own; all else is the run's."""

    name: str = Field(description="of the stage")
    guide: str
    objective: str
    network: dict[str, Any] = Field(default_factory=dict)
    inference: dict[str, Any] = Field(default_factory=dict)
    optimiser: OptimiserConfig = OptimiserConfig()
    training: TrainingConfig = TrainingConfig()


class RunConfig(Section):
    """A whole run; where it has stages, its keys are those of the last."""

    model: str = Field("alignment", description="model family: hardpp models")
    guide: str = Field("variational", description="of that family: hardpp guides")
    objective: str = Field("elbo", description="what is trained: hardpp objectives")
    preset: str = Field("small", description="sizes and settings that lie under all others")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="of weights, batches and draws")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: cuda when there is one")
    threads: int | str = Field(
        "auto", description="CPU threads; auto: as many as make steps quickest, timed at the start"
    )
    init_from: str | None = Field(None, min_length=1, description="run folder whose weights come first")
    data: SerializeAsAny[DataConfig] = DataConfig()  # of the model family's own kind
    network: dict[str, Any] = Field(
        default_factory=dict, description="sizes; the model family has the schema"
    )
    inference: dict[str, Any] = Field(
        default_factory=dict, description="options; the objective has the schema: hardpp objectives NAME"
    )
    decoding: dict[str, Any] = Field(
        default_factory=dict, description="options of evaluate; the model family has the schema"
    )
    optimiser: OptimiserConfig = OptimiserConfig()
    training: TrainingConfig = TrainingConfig()
    stage: str = Field("", description="name of the last stage, where there are others before it")
    before: list[StageConfig] = Field([], description="the stages before, in order; see --then")

    @field_validator("threads", mode="before")
    @classmethod
    def _is_auto_or_a_number(cls, value: Any) -> Any:
        if value != "auto" and not (type(value) is int and 1 <= value <= 2**15):
            raise ValueError(f"auto or a whole number from 1 to {2**15}")
        return value

    def stages(self) -> "list[RunConfig]":
        """The stages as runs of their own, in order; this run alone, if it has none."""
        configs = []
        for stage in self.before:
            own = {key: value for key, value in stage if key != "name"}
            configs.append(self.model_copy(update={**own, "stage": stage.name, "before": []}))
        return [*configs, self.model_copy(update={"before": []})]


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; a UsageError where it is missing or not TOML."""
    try:
        return dict(restored(tomllib.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, RecursionError) as error:  # of a number of many digits, too
        raise UsageError(f"{path}: not a readable TOML file ({error})") from error


def to_toml(config: BaseModel) -> str:
    """A configuration as TOML; keys that are None are left out, as TOML has no null."""
    tables = escaped(config.model_dump(exclude_none=True))
    return tomli_w.dumps({key: value for key, value in tables.items() if value not in ([], "")})


def parse_setting(text: str) -> dict[str, Any]:
    """One `--set section.key=value`; the value is TOML of one line, or else a string."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"--set {text!r} is not of the form section.key=value")
    if "\n" in text or "\r" in text:
        raise UsageError(f"--set {text!r} has a line break", "give --set for each setting")
    value = _BARE_POINT.sub(r"\g<1>0.", value)
    try:
        table = tomllib.loads(f"value = {value}")
    except (ValueError, RecursionError):  # also of a number of many digits
        text_or_number = value.strip()
        short = re.fullmatch(r"[+-]?(\d+\.|\.\d+)(e[+-]?\d+)?", text_or_number, re.IGNORECASE)
        table = {"value": float(text_or_number) if short else text_or_number}  # .5 is no TOML
    if name.count(".") > _DEEPEST or _depth(table["value"]) > _DEEPEST:
        raise UsageError(f"--set {text!r} is nested more than {_DEEPEST} times")
    return nested(name.strip(), table["value"])


def _depth(value: Any) -> int:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max((1 + _depth(each) for each in inside), default=0)


def nested(key: str, value: Any) -> dict[str, Any]:
    """The tables in which a value stands under a dotted key."""
    for name in reversed(key.split(".")):
        value = {name: value}
    return dict(value)


def merge(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Nested tables laid over one another; later ones win key by key."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            inside = merged.get(key)
            if isinstance(value, Mapping) and isinstance(inside, Mapping):
                merged[key] = merge([inside, value])
            else:
                merged[key] = value
    return merged
