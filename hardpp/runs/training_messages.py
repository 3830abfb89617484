"""What is told of a training: its data and networks before it; after it why it stopped, and what to type."""

import shlex
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from textwrap import shorten
from typing import Any

from torch import nn

from hardpp.runs.session import Session
from hardpp.runs.trainer import Trainer

_EXAMPLES = 3
_LONGEST = 100  # characters of an example


def introduction(session: Session, trainer: Trainer) -> Iterator[str]:
    """Lines about the data, the networks and a few examples, as training sees them."""
    parts = (f"{len(getattr(session.data, part)):,} {part}" for part in ("train", "dev", "test"))
    sentences = ", ".join(session.family.outline(session.config, session.description))
    yield f"data: {', '.join(parts)}" + (f"; {sentences}" if sentences else "")
    model, both = map(_parameters, (session.programs.model, nn.ModuleList(session.programs)))
    own = f", and {both - model:,} of the guide alone" if both > model else ""
    yield f"parameters: {model:,} of the model{own}"
    yield f"steps: {len(trainer.epoch_batches(0)):,} an epoch, {trainer.schedule.total_steps:,} at most"
    for example in islice(_examples(session, trainer), _EXAMPLES):
        yield f"for example {shorten(example, _LONGEST, placeholder=' ...')}"


def ending(trainer: Trainer) -> str:
    """Why a finished training stopped, in a sentence."""
    if trainer.bad_epochs >= trainer.patience:
        return f"stopped: no better dev bound for {trainer.bad_epochs} epochs (training.patience)"
    if trainer.epoch >= trainer.max_epochs:
        return f"stopped: all {trainer.max_epochs} epochs are done"
    return f"stopped: all {trainer.schedule.total_steps} steps are done (training.max_steps)"


def kept(state: dict[str, Any], step: int, unit: str) -> str:
    """Which weights a run keeps, from the state of their checkpoint, of a step of the run."""
    bound = state.get("best")
    of_dev = f", dev {bound:.4f} nats {unit}" if isinstance(bound, float) else ""
    return f"kept: the weights after epoch {state.get('epoch')}, step {step}{of_dev}"


def next_commands(folder: Path) -> list[str]:
    """What to type next."""
    run = shlex.quote(str(folder))
    return [f"hardpp decode {run} --limit 5", f"hardpp plot {run}", f"hardpp plot {run} --kind training"]


def _parameters(program: nn.Module) -> int:
    return sum(parameter.numel() for parameter in program.parameters())


# Data of the first batches, as the family speaks of them.
def _examples(session: Session, trainer: Trainer) -> Iterator[str]:
    for make in trainer.epoch_batches(0):
        batch = make()
        for row in range(batch.size):
            yield session.family.label(session.description, batch, row)
