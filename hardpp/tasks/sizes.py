"""How many parameters and statistics the programs of a run have, by stage and by module, as rows."""

from typing import Any

import torch
from torch import nn

from hardpp.config import RunConfig
from hardpp.tasks.catalogue import programs as made_programs
from hardpp.tasks.family import Family

Row = dict[str, Any]


def sizes(family: Family, config: RunConfig, description: Any) -> list[Row]:
    """A row for each module of model and guide, stage by stage.

    `parameters` are those that an optimiser may move, whether or not the stage does; `statistics` are running
    means and variances of normalisation. A guide that uses a module of the model has it counted once, with
    the model.
    """
    rows = []
    for stage in config.stages():
        programs = made_programs(family, stage, description)
        counted: set[int] = set()
        for role, program in programs._asdict().items():
            children = [*program.named_children()]
            of_its_own = nn.Module()
            for name, parameter in program.named_parameters(recurse=False):
                of_its_own.register_parameter(name, parameter)
            for name, module in [*children, ("", of_its_own)]:
                parameters, statistics = _count(module, counted)
                if parameters or statistics:
                    named = f"{role}.{name}" if name else role
                    head = {"stage": stage.stage} if stage.stage else {}
                    rows.append({**head, "module": named, "parameters": parameters, "statistics": statistics})
    return rows


def _count(module: nn.Module, counted: set[int]) -> tuple[int, int]:
    new = [each for each in module.parameters() if id(each) not in counted]
    buffers = [
        buffer
        for each in module.modules()
        if isinstance(each, nn.modules.batchnorm._BatchNorm)
        for buffer in (each.running_mean, each.running_var)
        if isinstance(buffer, torch.Tensor) and id(buffer) not in counted
    ]
    counted.update(map(id, [*new, *buffers]))
    return sum(each.numel() for each in new), sum(each.numel() for each in buffers)
