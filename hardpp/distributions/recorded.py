"""Draws of which some were recorded: a point mass where a value is known, another distribution elsewhere.

    z = value           where recorded, log-probability 0
    z ~ base            elsewhere

A guide whose sites are so has no say in what was recorded: it is not scored there.

Source: Harvey, Teng and Wood (2019), Near-optimal glimpse sequences, section 4 (partial supervision).
Shapes: T steps; ... = batch shape, which inference extends on the left.
"""

from typing import Any, ClassVar

from pyro.distributions import MaskedDistribution, TorchDistribution
from torch import Tensor, no_grad

from hardpp.distributions.step_independent import DependentSteps, StepIndependent


class Recorded(TorchDistribution):
    """Values that were recorded, and draws of a base elsewhere; see `recorded_in` for bases with steps.

    It is never enumerated, nor differentiated through. What is recorded has log-probability 0 whatever value
    it is asked about: that another could not have been drawn is for whoever asks to know.

    Args:
        base: a distribution of batch shape (...).
        value: what was recorded, (..., *event); any value where nothing was. It may lack dims on the left.
        recorded: where it was, bool (...). It may lack dims on the left.
    """

    has_rsample = False
    has_enumerate_support = False
    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, base: Any, value: Tensor, recorded: Tensor):
        self.base, self.value, self.recorded = base, value, recorded
        TorchDistribution.__init__(self, base.batch_shape, base.event_shape, validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "Recorded":
        return type(self)(self.base.expand(batch_shape), self.value, self.recorded)

    @property
    def support(self) -> Any:
        return self.base.support

    @no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        drawn: Tensor = self.base.sample(sample_shape)
        where = self.recorded.reshape(self.recorded.shape + (1,) * len(self.event_shape))
        return self.value.to(drawn.dtype).where(where, drawn)

    def log_prob(self, value: Tensor) -> Tensor:
        log_prob: Tensor = self.base.log_prob(value)
        return log_prob.masked_fill(self.recorded, 0.0)


class RecordedSteps(Recorded, DependentSteps):
    """The same of a base whose T steps are credited one by one; all steps are recorded, or none."""

    @property
    def base_dist(self) -> Any:
        """Of the base."""
        return self.base.base_dist

    def step_log_prob(self, value: Tensor) -> Tensor:
        log_prob: Tensor = self.base.step_log_prob(value)
        return log_prob.masked_fill(self.recorded.unsqueeze(-1), 0.0)

    def step_mask(self) -> Tensor | bool:
        mask: Tensor | bool = self.base.step_mask()
        return mask


def recorded_in(base: Any, value: Tensor, recorded: Tensor) -> Any:
    """`Recorded` of a base, as `RecordedSteps` where it has steps; a mask of its own stays outermost.

    Raises:
        ValueError: values, or where they are, of other shapes than the base has.
    """
    batch, event = tuple(base.batch_shape), tuple(base.event_shape)
    of_value, of_mask = tuple(value.shape), tuple(recorded.shape)
    within = len(of_value) - len(event)
    if within < 0 or of_value[within:] != event or not all(map(_fits(batch), (of_value[:within], of_mask))):
        raise ValueError(
            f"values of shape {of_value}, recorded at {of_mask}, for a distribution of batch shape {batch} "
            f"and event shape {event}"
        )
    if isinstance(base, MaskedDistribution):
        return recorded_in(base.base_dist, value, recorded).mask(base._mask)
    return (RecordedSteps if isinstance(base, StepIndependent) else Recorded)(base, value, recorded)


# Does a shape broadcast to the batch shape?
def _fits(batch: tuple[int, ...]) -> Any:
    def fits(shape: tuple[int, ...]) -> bool:
        sizes = zip(shape[::-1], batch[::-1], strict=False)
        return len(shape) <= len(batch) and all(one in (1, size) for one, size in sizes)

    return fits
