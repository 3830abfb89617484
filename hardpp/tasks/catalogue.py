"""The names the command line takes.

They are looked up here and nowhere else. The name of a model family or objective may also be
`package.module:Class`, or an entry point of the groups `hardpp.tasks` and `hardpp.objectives`; guides are
the model family's to name.
"""

import importlib
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from typing import Any

from hardpp.config import nearest
from hardpp.errors import UsageError
from hardpp.inference.objective import SurrogateObjective
from hardpp.tasks.alignment.family import AlignmentTask
from hardpp.tasks.caption.family import CaptionTask
from hardpp.tasks.family import Task
from hardpp.tasks.glimpse.family import GlimpseTask
from hardpp.tasks.objectives import OBJECTIVES, ObjectiveSpec, build
from hardpp.tasks.online_alignment.family import OnlineAlignmentTask
from hardpp.tasks.question_answering.family import QuestionTask

TASKS: dict[str, type[Task]] = {
    "alignment": AlignmentTask,
    "online-alignment": OnlineAlignmentTask,
    "question-answering": QuestionTask,
    "glimpse": GlimpseTask,
    "caption": CaptionTask,
}


def task(name: str) -> Task:
    """The model family of that name.

    Raises:
        UsageError: there is none, and the message has the nearest name; or it is no model family.
    """
    kind = _lookup("model", name, TASKS, "hardpp.tasks")
    lacking = [part for part in Task.__annotations__ if not hasattr(kind, part)]
    if lacking or not isinstance(kind, type):
        what = f"it has no {', '.join(lacking)}" if isinstance(kind, type) else "it is no class"
        raise UsageError(f"model {name!r} is no model family: {what} (see hardpp.tasks.family.Task)")
    return kind()


def objective(name: str, options: Mapping[str, Any]) -> SurrogateObjective:
    """The objective of that name, with the options of a resolved configuration.

    Raises:
        UsageError: there is none, or its options do not go together.
    """
    return build(offer(name), options)


def offer(name: str) -> ObjectiveSpec:
    """What is on offer under an objective's name.

    Raises:
        UsageError: nothing, or something that is no objective.
    """
    found = _lookup("objective", name, OBJECTIVES, "hardpp.objectives")
    if isinstance(found, ObjectiveSpec):
        return found
    if not (isinstance(found, type) and issubclass(found, SurrogateObjective)):
        raise UsageError(f"objective {name!r} is no subclass of {SurrogateObjective.__name__}")
    return ObjectiveSpec(found, {})


def _lookup(kind: str, name: str, names: Mapping[str, Any], group: str) -> Any:
    if name in names:
        return names[name]
    for entry in entry_points(group=group):
        if entry.name == name:
            return imported(entry.value, kind)
    if ":" in name:
        return imported(name, kind)
    raise UsageError(unknown(kind, name, names))


def imported(name: str, kind: str) -> Any:
    """The object that `package.module:Name` names.

    Raises:
        UsageError: it cannot be imported.
    """
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever somebody else's module does when it is imported
        raise UsageError(f"{kind} {name!r} cannot be imported ({type(error).__name__}: {error})") from error


def unknown(kind: str, name: str, names: Iterable[str]) -> str:
    """The sentence that there is no such thing, with the nearest name, or all names if none is near."""
    others = f" (there are: {', '.join(names)})"
    return f"there is no {kind} {name!r}{nearest(name, names) or others}"
