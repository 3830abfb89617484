"""Partial supervision: recorded choices are replayed, and all others are drawn by another guide.

    z[site] = recorded value        where the batch has one
    z[site] ~ base                  elsewhere, given all that came before, recorded or drawn

A recorded choice has log q = 0, so that any bound of its datum is one on log p(y, z recorded): the model
learns to choose so, and to predict from there, and no score of the guide is needed. A batch with nothing
recorded is the base's alone.

Source: Harvey, Teng and Wood (2019), Near-optimal glimpse sequences, section 4.
Shapes: ... = the plates of a site, without what inference adds on the left.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pyro.nn import PyroModule
from pyro.poutine.messenger import Messenger
from torch import Tensor, nn

from hardpp.distributions.recorded import recorded_in
from hardpp.errors import UsageError


class Known(NamedTuple):
    """What was recorded of a site."""

    value: Tensor  # (..., *event), anything where nothing was recorded
    recorded: Tensor  # (...) bool


class Replay(PyroModule):
    """A guide that draws what was recorded, and else as its base does.

    Args:
        base: a guide.
        recorded: what both programs take -> what was recorded, by site; None or nothing where the batch has
            nothing recorded.
    """

    def __init__(self, base: nn.Module, recorded: Callable[..., Mapping[str, Known] | None]):
        super().__init__()
        self.base, self.recorded = base, recorded
        self.max_plate_nesting = getattr(base, "max_plate_nesting", None)

    @property
    def prior_of(self) -> nn.Module | None:
        """The model, if the base is its prior: one run of `joint` then draws and scores."""
        return getattr(self.base, "prior_of", None)

    def joint(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the model of a base that is its prior, observations included, at what this guide draws."""
        return self._run(self.prior_of, args, kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the base at what was recorded.

        Raises:
            UsageError: the base has no such site, or observes it.
            ValueError: values have other shapes than the site.
        """
        return self._run(self.base, args, kwargs)

    def _run(self, program: Any, args: Any, kwargs: Any) -> Any:
        known = self.recorded(*args, **kwargs)
        if not known:
            return program(*args, **kwargs)
        with _Replayed(known) as replayed:
            result = program(*args, **kwargs)
        for name in replayed.left:
            raise UsageError(f"values of site {name!r} were recorded, which the guide does not draw")
        return result


class _Replayed(Messenger):
    """Draws recorded values in place of what a program would draw."""

    def __init__(self, known: Mapping[str, Known]):
        super().__init__()
        self.left = dict(known)

    def _pyro_sample(self, msg: Any) -> None:
        if msg["name"] in self.left and not msg["is_observed"]:
            msg["fn"] = recorded_in(msg["fn"], *self.left.pop(msg["name"]))
