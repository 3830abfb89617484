"""Where a checkpoint stands among the stages of its run, and how a stage takes up the weights of the last.

Steps of a run count through all of its stages; those of a trainer begin anew in each. `state.json` has the
number of the stage, from 0, and how many steps the stages before it took.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from hardpp.config import RunConfig
from hardpp.errors import CheckpointError, UsageError
from hardpp.runs.checkpoint_format import Checkpoint
from hardpp.tasks.catalogue import guide_spec, objective
from hardpp.tasks.catalogue import programs as programs_of
from hardpp.tasks.family import Description, Family, Programs, has_own_parameters


class Place(NamedTuple):
    """The place of a step in its run."""

    stage: int = 0  # its number
    before: int = 0  # steps of the stages before


FIRST = Place()  # of a run without stages, too


def place_of(checkpoint: Checkpoint, stages: int, where: Any) -> Place:
    """The place of a checkpoint in a run of so many stages; `where` it lies is for messages.

    Raises:
        CheckpointError: it does not state one.
    """
    given = {key: checkpoint.state.get(key, 0) for key in Place._fields}
    for key, number in given.items():
        if type(number) is not int or not 0 <= number < (stages if key == "stage" else 2**62):
            raise CheckpointError(f"{where}: state.json has no {key} of this run: {number!r}")
    return Place(**given)


def step_of(checkpoint: Checkpoint, place: Place, where: Any) -> int:
    """The step of the run that a checkpoint is of; a CheckpointError if it does not state it."""
    if type(step := checkpoint.state.get("step")) is not int:
        raise CheckpointError(f"{where}: state.json does not state the step: {step!r}")
    return place.before + step


def carry_over(programs: Programs, weights: dict[str, Any], *, same_guide: bool, names: str) -> None:
    """Gives programs the weights of an earlier stage as far as they have the same modules.

    Args:
        programs: of the new stage.
        weights: state dict of the earlier stage's `OBJ(model, guide)`.
        same_guide: have both stages the same guide? Else it begins anew.
        names: of both stages, for messages.

    Raises:
        UsageError: weights of one name have different shapes.
    """
    parts: list[tuple[str, nn.Module]] = [("model.", programs.model)]
    if same_guide:
        parts.append(("guide.", programs.guide))
    for prefix, program in parts:
        ours = program.state_dict()
        theirs = {
            name.removeprefix(prefix): each for name, each in weights.items() if name.startswith(prefix)
        }
        shared = {name: theirs[name] for name in ours if name in theirs}
        for name, value in shared.items():
            if value.shape != ours[name].shape:
                raise UsageError(
                    f"stages {names}: {prefix}{name} has shape {tuple(value.shape)} in the first and "
                    f"{tuple(ours[name].shape)} in the second, so that no weights can be taken over"
                )
        program.load_state_dict(shared, strict=False)


def check_stages(
    family: Family, stages: Sequence[RunConfig], description: Description, first: Programs
) -> None:
    """Refuses stages that cannot follow one another, before the first of them, of `first`, is trained.

    Raises:
        UsageError: as for `hardpp.tasks.catalogue.programs`, `freeze` and `carry_over`, or nothing trains the
            parameters that a guide of the user's own turns out to have.
    """
    built: list[tuple[RunConfig, Programs]] = []
    with torch.random.fork_rng(devices=[]):
        for stage in stages:
            programs = programs_of(family, stage, description) if built else first
            freeze(programs, stage)
            same = built and built[-1][0].guide == stage.guide
            if not same and stage.init_from is None:
                _check_is_trained(family, stage, programs)
            if built:
                before, earlier = built.pop()
                weights = nn.ModuleDict(earlier._asdict()).state_dict()
                names, same = f"{before.stage} and {stage.stage}", before.guide == stage.guide
                carry_over(programs, weights, same_guide=same, names=names)
            built.append((stage, programs))


def _check_is_trained(family: Family, stage: RunConfig, programs: Programs) -> None:
    if guide_spec(family, stage.guide).trained is not None:
        return  # it was known all along
    if has_own_parameters(programs) and not objective(stage.objective, stage.inference).trains_guide:
        what = f"objective {stage.objective!r} trains no guide, and guide {stage.guide!r} has parameters"
        raise UsageError(
            what, "give another objective, or go on from a run that has trained it (--init-from)"
        )


def freeze(programs: Programs, config: RunConfig) -> list[nn.Module]:
    """The modules of the model that `training.frozen` names; their parameters want no gradient from here on.

    Raises:
        UsageError: the model has no such module, or no parameter is left to train.
    """
    modules = []
    for name in config.training.frozen:
        try:
            modules.append(programs.model.get_submodule(name).requires_grad_(False))
        except AttributeError:
            there = ", ".join(name for name, _ in programs.model.named_children())
            what = f"training.frozen: the model has no module {name!r} (there are: {there})"
            raise UsageError(what) from None
    if modules and not any(p.requires_grad for program in programs for p in program.parameters()):
        raise UsageError(f"training.frozen: nothing is left to train ({', '.join(config.training.frozen)})")
    return modules
