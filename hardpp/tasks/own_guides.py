"""Guides of the user's own: what a class must be, and how a guide is made of it.

A guide is a `torch.nn.Module` (or `PyroModule`) whose call with a batch draws the model's latent sites. Its
class may say how it is made for a model by one classmethod,

    @classmethod
    def for_model(cls, parts, description): ...  # -> the guide

where `parts` is what `hardpp.tasks.family.Family.parts` gave (`parts.model` is the model, and beside it is
what the family's guides are made from) and `description` what a run keeps of its data (vocabularies, sizes).
A class without it is called without arguments. Two attributes of the class may say more: `models`, names of
the model families that it is for (left out: any), and `lacks`, what objectives may need and it does not give
(`hardpp.types.Need` -> why).
"""

import inspect
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from torch import nn

from hardpp.errors import UsageError, unknown
from hardpp.types import Need


class NotForModel(UsageError):
    """A guide of other model families."""


Given = type | nn.Module  # the class of a guide, or a guide


def class_of(given: Any, name: str, *, imported: bool = False) -> type[nn.Module]:
    """The class of a guide, given as a class, or as an object unless it was `imported` by its name.

    Raises:
        UsageError: it is no torch module, or what was imported is no class.
    """
    if imported and not isinstance(given, type):
        raise UsageError(f"{name} is no class, but {type(given).__name__}")
    kind = given if isinstance(given, type) else type(given)
    if not issubclass(kind, nn.Module):
        what = f"{name} is no guide: {kind.__qualname__} is no subclass of torch.nn.Module"
        raise UsageError(what, "pyro.nn.PyroModule is one")
    return kind


def summary_of(kind: type) -> str:
    """What a class says of itself, in the first line of its docstring."""
    own = kind.__doc__  # not that of a base class
    return (inspect.cleandoc(own or "").split("\n")[0] or f"a guide of {kind.__module__}").rstrip(".")


def check_model(kind: type, name: str, model: str) -> None:
    """Refuses, by a NotForModel, a guide whose class says that it is for other model families."""
    models = getattr(kind, "models", None)
    if models is None:
        return
    if isinstance(models, str) or not isinstance(models, Sequence):
        raise UsageError(f"{name}: its attribute `models` is a tuple of model families, not {models!r}")
    if model not in models:
        raise NotForModel(f"{name} is for model {' or '.join(models)}, not {model}")


def lacks_of(kind: type, name: str) -> dict[Need, str]:
    """What objectives may need and a guide does not give, as its class says: need -> why.

    Raises:
        UsageError: there is no such need.
    """
    lacks = getattr(kind, "lacks", {})
    needs = get_args(Need)
    if not isinstance(lacks, Mapping):
        raise UsageError(f"{name}: its attribute `lacks` maps needs of objectives to reasons, not {lacks!r}")
    for need in lacks:
        if need not in needs:
            raise UsageError(f"{name}: its attribute `lacks`: {unknown('need', str(need), needs)}")
    return {need: str(why).rstrip(".") for need, why in lacks.items()}


def made(given: Given, name: str, parts: Any, description: Any) -> nn.Module:
    """The guide of a class, made for a model; an object is one already.

    Raises:
        UsageError: the class does not say how it is made, fails, or makes something that is no module.
    """
    if isinstance(given, nn.Module):
        return _with_own_parameters(given)
    for_model = getattr(given, "for_model", None)
    if for_model is None and (needed := _needed(given)):
        what = f"{name} does not say how it is made for a model: its constructor needs {', '.join(needed)}"
        raise UsageError(what, "give it a classmethod for_model(cls, parts, description) -> guide")
    if for_model is not None and not (inspect.ismethod(for_model) and for_model.__self__ is given):
        raise UsageError(f"{name}: for_model is a classmethod, for_model(cls, parts, description) -> guide")
    made_by = f"{given.__name__}.for_model(parts, description)" if for_model else f"{given.__name__}()"
    try:
        guide: Any = given() if for_model is None else for_model(parts, description)
    except UsageError:  # it does not go with this model, and says why
        raise
    except (AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = "" if where.filename == __file__ else f", {where.filename}:{where.lineno}"
        raise UsageError(f"{made_by} fails ({type(error).__name__}: {error}{place})") from error
    if not isinstance(guide, nn.Module):
        raise UsageError(f"{made_by} gives no torch.nn.Module but {type(guide).__name__}")
    return guide


# A PyroModule that was made before `module_local_params` was switched on lacks what it then asks for.
def _with_own_parameters(guide: nn.Module) -> nn.Module:
    for module in guide.modules():
        context = vars(module).get("_pyro_context")
        if context is not None and not hasattr(context, "param_state"):
            context.param_state = {"params": {}, "constraints": {}}
    return guide


# The arguments without a default of a class's constructor.
def _needed(kind: type) -> list[str]:
    try:
        parameters = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):  # of what is not written in Python
        return []
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each.name for each in parameters if each.default is each.empty and each.kind not in free]
