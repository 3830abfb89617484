"""Guides whose latents depend on one another along a plate of their model.

A plate says that its elements are independent, and a model of alignments is right to say so of its steps. A
guide of it may be a Markov chain over the steps: then it draws all of them as one event, says by an attribute
`joined_plate` along which plate, and opens only the other plates. Its model is run with the elements of that
plate as the steps of one event, too (`hardpp.distributions.step_independent`): weights are then of the whole
event, and a step is credited with all that come after it.

Only the innermost plate, at dim -1, can be joined.
"""

from typing import Any

from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import nn

from hardpp.distributions.step_independent import StepIndependent
from hardpp.errors import UsageError


class JoinedSteps(nn.Module):
    """A model that is run with the elements of a plate as the steps of one event.

    Args:
        model: the model.
        plate: the name of its plate at dim -1, in which every site of its that is in any plate has to be.
    """

    def __init__(self, model: Any, plate: str):
        super().__init__()
        self.model, self.plate = model, plate
        nesting = getattr(model, "max_plate_nesting", None)
        self.max_plate_nesting = None if nesting is None else nesting - 1
        self.training = getattr(model, "training", True)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the model."""
        with _Joins(self.plate):
            return self.model(*args, **kwargs)


def joined(model: Any, guide: Any) -> Any:
    """The model as a guide wants it to be run: as it is, or with the plate joined that the guide names."""
    plate = getattr(guide, "joined_plate", None)
    return model if plate is None or isinstance(model, JoinedSteps) else JoinedSteps(model, plate)


class _Joins(Messenger):
    def __init__(self, plate: str):
        super().__init__()
        self.plate = plate

    def _pyro_sample(self, msg: Any) -> None:
        frames = [frame for frame in msg["cond_indep_stack"] if frame.vectorized]
        if site_is_subsample(msg) or not frames:
            return
        place = next((frame.dim for frame in frames if frame.name == self.plate), None)
        if place != -1:
            where = f"in the plates {', '.join(repr(frame.name) for frame in frames)}"
            raise UsageError(
                f"the guide draws all elements of plate {self.plate!r} together, so that it has to be the "
                f"innermost plate, at dim -1, of every site of the model; site {msg['name']!r} is {where}"
            )
        fn = msg["fn"] if msg["mask"] is None or msg["mask"] is True else msg["fn"].mask(msg["mask"])
        msg["fn"], msg["mask"] = StepIndependent(fn), None
        msg["cond_indep_stack"] = tuple(
            frame._replace(dim=frame.dim + 1) if frame.vectorized else frame
            for frame in msg["cond_indep_stack"]
            if frame.name != self.plate
        )
