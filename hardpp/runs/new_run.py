"""Starting a run: from Python as from the command line, in the same words."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from hardpp.config import RunConfig, merge, nested
from hardpp.errors import UsageError, mended
from hardpp.runs.evaluation import Extent
from hardpp.runs.loaded_data import LoadedData
from hardpp.runs.training import run_in_folder
from hardpp.tasks import catalogue
from hardpp.tasks.arguments import check_on_bad, data_name
from hardpp.tasks.configuration import resolve
from hardpp.tasks.named_classes import name_of
from hardpp.tasks.opened_run import OpenedRun

# Choices of `train` that are settings of a section.
_PLACES = {
    "data": "data.name",
    "on_bad": "data.on_bad",
    "particles": "inference.particles",
    **{
        key: f"training.{key}"
        for key in ("max_steps", "max_epochs", "checkpoint_every", "auto_batch", "compile")
    },
}


def to_stderr(text: str) -> None:
    """Reports on standard error, as the command line does."""
    print(text, file=sys.stderr)


def train(
    model: str | type = "alignment",
    guide: str | type | nn.Module | None = None,
    objective: str | type | None = None,
    data: str | Path | LoadedData | None = None,
    *,
    preset: str | None = None,
    particles: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    max_steps: int | None = None,
    max_epochs: int | None = None,
    settings: Mapping[str, Any] | None = None,
    then: Sequence[str | Mapping[str, Any]] | None = None,
    init_from: str | Path | None = None,
    out: str | Path | None = None,
    evaluate: Extent = "auto",
    log: Sequence[str] = (),
    resume: bool = True,
    force: bool = False,
    report: Callable[[str], None] = to_stderr,
) -> OpenedRun:
    """Trains a model, evaluates it on the test part, and returns the opened run: `hardpp train`.

    The same call goes on with a run that was interrupted, and only opens one that is complete.

    Example:
        run = hardpp.train(model="alignment", data="words.tsv", max_epochs=3)
        run.evaluate(beam=5)

    Args:
        model: a model family (`hardpp.list_models()`), or a class of your own that can be imported; such a
            run is opened again with `trust=True`.
        guide: a guide of that family (`hardpp.list_guides(model)`), or a class of your own, which says how it
            is made (`hardpp.tasks.own_guides`), or a guide that is made, which is trained as it is; None: the
            recommended one.
        objective: an objective (`hardpp.list_objectives()`), or a class of your own; None: the family's.
        data: a data set (`hardpp.list_data()`), file or folder, or what `load_data` gave; None: the family's.
        preset: sizes and settings to start from, "small" or "paper".
        particles: draws of the guide for each datum and step.
        seed: of weights, batches and draws.
        device: "auto", "cpu" or "cuda".
        max_steps, max_epochs: stop after so many optimiser steps, or passes over the data.
        settings: any other settings, by section or by dotted key:
            `{"network": {"dropout": 0.2}}` or `{"network.dropout": 0.2}`.
        then: stages of training that follow, each from the weights of the one before: an objective with
            settings of its own, as "rloo training.max_epochs=5" or as a dict.
        init_from: begin with the weights of another run.
        out: the run folder [runs/MODEL-GUIDE-OBJECTIVE-SEED].
        evaluate: how much of the test part is evaluated afterwards: "none", "quick" (its first 200 items) or
            "full"; "auto" is full, but quick where the training takes fewer data than the test part has.
        log: trackers that are told as well: "tensorboard", "wandb", "mlflow".
        resume: go on with a run that is in the folder; one with fewer epochs or steps is prolonged.
        force: overwrite a run that is in the folder.
        report: told in a few words what is going on.

    Raises:
        UsageError: unknown names or settings, or parts that do not go together; all of them at once.
        DataError: the data cannot be read.
        NumericalError: a loss or gradient is not finite.
        ResourceError: memory or disk space ran out, or the folder cannot be written.
        Interrupted: a signal came; the same call goes on from there.
    """
    if not (isinstance(settings, Mapping | None) and all(isinstance(key, str) for key in settings or {})):
        raise UsageError(f"settings are a dict of names and values, not {settings!r}")
    for key, given in (("model", model), ("guide", guide), ("objective", objective)):
        if not isinstance(given, str | type | None) and not (key == "guide" and isinstance(given, nn.Module)):
            raise UsageError(f"{key} is a name or a class, not {given!r}")
    loaded = data if isinstance(data, LoadedData) else None
    read = {} if loaded is None else {"data": loaded.config.model_dump(exclude_none=True)}
    if loaded is not None:
        loaded.check_model(_plain(model))
    later = [stage.get("guide") for stage in then or () if isinstance(stage, Mapping)]
    own = {name_of(each): each for each in (guide, *later) if isinstance(each, type | nn.Module)}
    config = configuration(
        [read, merge(nested(*setting) for setting in (settings or {}).items())],
        own,
        model=model,
        guide=guide,
        objective=objective,
        data=None if loaded is not None else data,
        preset=preset,
        particles=particles,
        seed=seed,
        device=device,
        max_steps=max_steps,
        max_epochs=max_epochs,
        init_from=init_from,
        then=None if then is None else [_plain(stage) for stage in then],
    )
    if loaded is not None:
        loaded.check(config)
    folder = default_folder(config) if out is None else Path(out)
    with mended():
        run, _ = run_in_folder(
            config,
            folder,
            resume=resume,
            force=force,
            report=report,
            family=catalogue.family(config.model, own),
            data=None if loaded is None else loaded.data,
            evaluate=evaluate,
            log=log,
        )
    return run


def load_data(
    name: str | Path,
    model: str = "alignment",
    report: Callable[[str], None] = to_stderr,
    **settings: Any,
) -> LoadedData:
    """The data that a model family would train on: their parts are `train`, `dev` and `test`.

    Example:
        data = hardpp.load_data("words.tsv", reverse=True)
        run = hardpp.train(data=data, max_epochs=3)
        run.evaluate(data.test[:20])

    Args:
        name: a data set, file or folder.
        model: the family whose reader reads them.
        report: told in a few words what is going on.
        settings: of the family's [data] (`hardpp models NAME` lists them).

    Raises:
        UsageError: there is no such data set, or no such setting.
        DataError: the data cannot be read.
    """
    family = catalogue.family(model)
    tables: dict[str, Any] = {"model": model, "data": {"name": data_name(name), **_plain(settings)}}
    replaying = [guide for guide, spec in family.guides.items() if spec.replays]
    if settings.get("sequences") is not None and replaying:  # others have no use for them, and refuse them
        tables["guide"] = replaying[0]
    config = resolve([tables])
    return LoadedData(family.load(config.data, report), config.data, config.model, family)


def configuration(
    layers: Sequence[Mapping[str, Any]], own_guides: catalogue.OwnGuides = catalogue.NONE, **choices: Any
) -> RunConfig:
    """The configuration of layers of settings with choices on top, as `hardpp train` names them.

    Choices that are None are left to the layers; `own_guides` are those that were given as classes or guides.

    Raises:
        UsageError: see `hardpp.tasks.configuration.resolve`.
    """
    given = {key: _plain(value) for key, value in choices.items() if value is not None}
    if "data" in given:
        given["data"] = data_name(given["data"])
    if "init_from" in given:
        given["init_from"] = str(Path(given["init_from"]).absolute())
    all_layers = [*layers, *(nested(_PLACES.get(key, key), value) for key, value in given.items())]
    if "on_bad" in given:
        model = merge(all_layers).get("model", RunConfig.model_fields["model"].default)
        check_on_bad(catalogue.family(model), given["on_bad"])
    return resolve(all_layers, own_guides)


def default_folder(config: RunConfig) -> Path:
    """runs/MODEL-GUIDE-OBJECTIVE-SEED."""
    name = f"{config.model}-{config.guide}-{config.objective}-{config.seed}"
    return Path("runs") / re.sub(r"[^\w.-]+", ".", name)


def _plain(value: Any) -> Any:
    if isinstance(value, type | nn.Module):
        return name_of(value)
    if isinstance(value, Mapping):
        return {key: _plain(inside) for key, inside in value.items()}
    return str(value) if isinstance(value, Path) else value
