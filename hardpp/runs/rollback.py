"""Going back to the last sound checkpoint when numbers went bad: `training.on_nonfinite=rollback`.

The same steps would end in the same way, so they are taken at half the learning rate and with other draws.
How often that has happened is kept in checkpoints, and the learning rate stays halved. What is drawn follows
from the seed, the step and that number, so the run is still one that its seed makes.
"""

from pathlib import Path

import torch

from hardpp.diagnostics.seeds import stream
from hardpp.errors import NumericalError
from hardpp.runs import checkpoint
from hardpp.runs.session import Session
from hardpp.runs.stage import Place, place_of
from hardpp.runs.trainer import Trainer
from hardpp.tasks.opened_run import Report

MOST = 3  # times a stage


def roll_back(
    session: Session, trainer: Trainer, folder: Path, place: Place, error: NumericalError, report: Report
) -> None:
    """Takes the trainer back to the newest sound checkpoint of its stage.

    Args:
        session, trainer: of the stage.
        folder: the run's.
        place: of the stage in the run.
        error: what ended the steps.
        report: told that they are taken again.

    Raises:
        NumericalError: `error`, where that is not asked for, or there is no such checkpoint, or it has
            happened `MOST` times.
    """
    done = trainer.rollbacks
    if session.config.training.on_nonfinite != "rollback" or done >= MOST:
        raise error
    session.ranks.wait()  # for what one of them has written
    saved = checkpoint.newest_sound(folder, report)
    if saved is None or place_of(saved.checkpoint, place.stage + 1, saved.folder).stage != place.stage:
        raise error
    trainer.restore(saved.checkpoint)
    trainer.nonfinite.forget()
    begin_again(trainer, session.config.seed, done + 1)
    again = f"goes back to step {trainer.step}, at half the learning rate and with other draws"
    report(f"warning: {error}; {again} ({trainer.rollbacks} of {MOST} times)")


def begin_again(trainer: Trainer, seed: int, rollbacks: int) -> None:
    """Lets a trainer that was restored draw as it does when it has gone back so often."""
    trainer.rollbacks = rollbacks
    torch.manual_seed(stream(seed, trainer.step * (MOST + 1) + rollbacks))
