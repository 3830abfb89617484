"""What a training step showed when it was taken again: what went bad first, or why nothing may have."""

import math
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hardpp.runs.bad_steps.bad_batch import BadBatch
from hardpp.runs.bad_steps.first_fault import Fault, not_numbers
from hardpp.runs.processes.exchange import gathered
from hardpp.runs.processes.ranks import Ranks, meeting_device
from hardpp.runs.run_files import read_json, versions
from hardpp.runs.session import Session
from hardpp.runs.trainer import Trainer

_LATE = ("gradient", "norm", "update")  # kinds of faults that come after the bounds


class Replay(NamedTuple):
    """What a step showed when it was taken again."""

    kept: BadBatch  # what the run folder keeps of the step
    step: int  # that was taken last, of the run, from 1
    shown: bool  # was it not finite again?
    faults: list[Fault]  # what was not finite, the first one first
    loss: float | None  # of all data of the batch, nats; None where there was none
    gradient_norm: float | None
    items: list[str]  # the data of its batch, in words
    why: str  # what went bad in a sentence; where nothing did, why that may be


def said_of(
    session: Session,
    trainer: Trainer,
    kept: BadBatch,
    folder: Path,
    faults: list[Fault] | None,
    failure: str,
    step: int,
) -> Replay:
    """What is to be said of a step of the stage, from 1, that a trainer has taken again.

    Args:
        session, trainer: of the stage.
        kept: what the run folder keeps of the step.
        folder: the run's.
        faults: in the order in which they came; None: the step is finite.
        failure: the message of the error that ended it, if one did.
    """
    ranks, noted = session.ranks, trainer.nonfinite.noted()
    make = trainer.nonfinite.batches.get(step)
    batch = None if make is None else make()
    rows = range(0 if batch is None else batch.size)
    items = [session.family.label(session.description, batch, row) for row in rows]
    shown, found = faults is not None, [_of_all(fault, ranks, kept.parts) for fault in faults or ()]
    if shown and batch is not None:
        found = [*_of_data(batch), *found]
    if noted is not None:
        if noted.row in rows:
            found.append(Fault("bound", items[noted.row], "no finite number", place={"data": noted.row}))
        if math.isfinite(noted.loss) and not any(fault.kind in _LATE for fault in found):
            found.append(Fault("norm", "the gradient", f"{noted.gradient_norm:.6g}"))
    found = _in_order(found, noted is None or not math.isfinite(noted.loss))
    why = failure or (trainer.nonfinite.sentence() if noted else found[0].sentence if found else "")
    found = _of_all_processes(found, ranks)
    return Replay(
        kept,
        kept.before + step,
        shown,
        found,
        None if noted is None else noted.loss,
        None if noted is None else noted.gradient_norm,
        items,
        why if shown else _why_finite(kept, folder, session),
    )


# The first datum of a batch whose numbers are not finite.
def _of_data(batch: Any) -> Iterator[Fault]:
    source = getattr(batch, "source", None)
    if isinstance(source, Tensor) and (numbers := not_numbers(source, masked=False)):
        row = int((~source.isfinite()).nonzero()[0, 0])
        yield Fault("data", "source", numbers, place={"data": row})


# Rows of a process's share of a batch become rows of the batch; those of its parts are not known.
def _of_all(fault: Fault, ranks: Ranks, parts: int) -> Fault:
    if parts > 1:
        return fault._replace(place={})
    places = [(plate, index) for plate, index in fault.place.items()]
    rows = [(plate, index * ranks.size + ranks.rank) for plate, index in places[:1]]
    return fault._replace(place=dict([*rows, *places[1:]]))


# Those come first of the process in whose share the step went bad; from the sums NaN comes to all.
def _of_all_processes(faults: list[Fault], ranks: Ranks) -> list[Fault]:
    if ranks.size == 1:
        return faults
    handed = gathered([list(fault) for fault in faults], meeting_device())
    every = [[Fault(*fault) for fault in theirs] for theirs in handed]
    every.sort(key=lambda theirs: not theirs or theirs[0].kind in (*_LATE, "bound"))
    found: dict[Any, Fault] = {}
    for fault in chain.from_iterable(every):
        found.setdefault(fault[:2], fault)
    return list(found.values())


# What is impossible comes first only where a loss is not finite and no number before it was.
def _in_order(faults: list[Fault], loss_is_bad: bool) -> list[Fault]:
    early = [fault for fault in faults if fault.kind not in (*_LATE, "impossible", "bound")]
    impossible = [fault for fault in faults if fault.kind == "impossible"] if loss_is_bad else []
    bounds = [fault for fault in faults if fault.kind == "bound"]
    return [*early, *impossible, *bounds, *(fault for fault in faults if fault.kind in _LATE)]


def _why_finite(kept: BadBatch, folder: Path, session: Session) -> str:
    before, now = read_json(folder / "versions.json"), versions()
    changed = [name for name in now if before.get(name, now[name]) != now[name]]
    reasons = [f"{name} was {before[name]}, and is {now[name]}" for name in changed]
    if session.device.type != kept.device:
        reasons.append(f"it ran on {kept.device}, and here on {session.device.type}")
    elif kept.device == "cuda":
        reasons.append("a GPU adds numbers in no fixed order")
    if kept.device == "cpu" and torch.get_num_threads() != kept.threads:
        reasons.append(f"it had {kept.threads} CPU threads, and here {torch.get_num_threads()}")
    if kept.parts > 1:
        reasons.append(f"memory ran out on the way, and batches were cut into {kept.parts} parts")
    known = "; ".join(reasons) or "nothing that is known of it is otherwise: is it another machine?"
    return f"the step is finite here ({known})"
