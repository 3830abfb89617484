"""Whether an opened run of a family answers what the command line asks of it, on a few toy items."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from torch import nn

from hardpp.errors import UsageError
from hardpp.tasks.doctor.findings import Check, Skip, failure
from hardpp.tasks.doctor.subject import ToyPrograms, subject_of
from hardpp.tasks.opened_run import OpenedRun

ITEMS = 3  # that a run is asked about

Question = Callable[[OpenedRun, Any], Iterator[str]]


def _protocol(on: ToyPrograms) -> Iterator[str]:
    wanted = on.family.protocol
    if wanted is None:
        raise Skip("the family declares no protocol")
    model = subject_of(on).run.programs.model
    for name in members(wanted):
        if not hasattr(model, name):
            yield (
                f"model {type(model).__name__} has no {name!r}, which evaluate and decode need: see "
                f"{wanted.__module__}.{wanted.__qualname__}"
            )


def members(protocol: type) -> list[str]:
    """The names that a typing.Protocol asks for."""
    names: dict[str, None] = {}
    for kind in reversed(protocol.__mro__):
        if getattr(kind, "_is_protocol", False) and kind.__module__ != "typing":
            names |= dict.fromkeys(vars(kind).get("__annotations__", {}))
            names |= dict.fromkeys(name for name in vars(kind) if not name.startswith("_"))
    return list(names)


def _evaluate(run: OpenedRun, items: Any) -> Iterator[str]:
    figures = run.evaluate(items)
    if not isinstance(figures, dict) or not figures:
        yield f"evaluate gives {figures!r}: figures by their names are wanted"


def _decode(run: OpenedRun, items: Any) -> Iterator[str]:
    decoded = run.decode(items, report=lambda text: None)
    if not decoded or any(not isinstance(each.text, str) for each in decoded):
        yield f"decode gives {decoded!r}: a name and a text of each item are wanted"


def _posterior(run: OpenedRun, items: Any) -> Iterator[str]:
    tree = run.posterior(items, draws=4)
    for name, variable in tree["posterior"].to_dataset().data_vars.items():
        if variable.dims[:2] != ("chain", "draw"):
            yield f"variable {name!r} has the dims {variable.dims}: chain and draw come first"
    from hardpp.diagnostics.posterior_file import missing_parts

    if lost := missing_parts(tree):
        yield f"{lost}: hardpp.diagnostics.posterior.posterior_tree makes a whole tree of groups"
        return
    for name in tree["observed_data"].data_vars:
        if name not in tree["posterior_predictive"].data_vars:
            yield (
                f"{name!r} of observed_data is not drawn anew in posterior_predictive, where az.plot_ppc "
                "looks for it: what the model does not predict stands in constant_data"
            )


def _align(run: OpenedRun, items: Any) -> Iterator[str]:
    forms = run.family.alignment_forms
    if not forms:
        raise Skip("the family declares no alignment_forms")
    for form, spec in forms.items():
        if not (run.align_files if spec.files else run.align)(items, form=form):
            yield f"align gives nothing in the form {form!r}"


def _plot(run: OpenedRun, items: Any) -> Iterator[str]:
    if not run.plot(items=items, count=1):
        yield "plot draws nothing of the first item"


def _answers(ask: Question, on: ToyPrograms) -> Iterator[str]:
    run = subject_of(on).run
    for program in run.programs:
        program.eval()
    try:
        yield from ask(run, run.select(limit=ITEMS))
    except UsageError as error:
        raise Skip(f"declared as absent: {error}") from error
    except AttributeError as error:
        if not isinstance(error.obj, nn.Module):
            raise
        yield f"{failure(error)}: name what runs need of the model in the family's `protocol`"


_QUESTIONS: dict[str, Question] = {
    "evaluate": _evaluate,
    "decode": _decode,
    "posterior": _posterior,
    "align": _align,
    "plot": _plot,
}

CHECKS: list[Check[ToyPrograms]] = [
    Check("protocol", "the model has what runs need of it", _protocol, ("model",)),
    *(
        Check(verb, "answers on a few items", partial(_answers, ask), ("model", "protocol"))
        for verb, ask in _QUESTIONS.items()
    ),
]
