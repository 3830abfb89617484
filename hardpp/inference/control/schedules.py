"""Schedules: weights and temperatures that change during training.

    share        = min(n / steps, 1)                          after n training estimates
    beta         = share                                      of the KL term; 1 where nothing is trained
    temperature  = initial (final / initial)^share
    lambda       = initial + (final - initial) share', share' = min(max(n - hold, 0) / (steps - hold), 1)

A training estimate is one made in training mode with gradients, so one an optimiser step; its objective
counts it when it is done (`SurrogateObjective`), whatever becomes of the step. The count is a buffer: it is
saved, restored and moved with `OBJ(model, guide)`, and a run that resumes goes on where it stopped.

A warm-up of the KL term trains

    E_q[f],   f = log p(y | z) + beta (log p(z) - log q(z))

which lets a model use its latents before they have to pay for it. Below 1 it bounds nothing, so the bound
that objectives report keeps beta = 1: only gradients are weighed.

An entropy bonus adds lambda times the entropy of the guide, -E_q[log q(z)], to what is trained: decisions
that would settle too early are paid for staying open. The bound is reported without it, too.

Supervision gives the choices that a guide has recorded (`hardpp.distributions.recorded`) a weight of their
own: what is trained has

    weight x mean of log p(z recorded), over the data with something recorded

beside the mean over all B data of all else. In a sum over data that is weight B / (their number) times
log p(z recorded) of each of them, where its natural weight is 1. Harvey et al. take the sum over them beside
the mean of the rest: weight = B x their share. A warm-up of the KL term leaves these choices alone.

Sources: Bowman et al. (2016), section 3.1, for the warm-up (there a sigmoid; linear here); Luo et al. (2016)
and Chiu et al. (2017), section 3.2, for the bonus, where the guide is the model's own prior and lambda falls
from 1, held for 10,000 steps, to 0.1 at 200,000. Harvey, Teng and Wood (2019), Near-optimal glimpse
sequences, section 4, for supervision; they intended it to end, too.
"""

import torch
from torch import Tensor, nn

from hardpp.errors import UsageError

LARGEST = 1e9  # weight of a part of a bound: squares of gradients of a larger one overflow float32


class TrainingSchedule(nn.Module):
    """Counts training estimates; after `steps`, at least 1, the schedule is over."""

    estimates: Tensor

    def __init__(self, steps: int):
        super().__init__()
        if steps < 1:
            raise UsageError(f"a schedule takes at least 1 step, not {steps}")
        self.steps = steps
        self.register_buffer("estimates", torch.zeros((), dtype=torch.int64))

    @property
    def share(self) -> Tensor:
        """How much of the schedule is over, 0 to 1: a scalar on the module's device, as all below are."""
        return (self.estimates / self.steps).clamp(max=1.0)

    def advance(self) -> None:
        """Counts one estimate, if it was made for training: in training mode and with gradients."""
        if self.training and torch.is_grad_enabled():
            self.estimates += 1


class TemperatureSchedule(TrainingSchedule):
    """A temperature that decays exponentially from initial to final, and then stays."""

    def __init__(self, initial: float, final: float, steps: int):
        super().__init__(steps)
        self.initial, self.final = initial, final

    def forward(self) -> Tensor:
        return self.initial * (self.final / self.initial) ** self.share


class KLWarmUp(TrainingSchedule):
    """The weight beta of the KL term, from 0 to 1."""

    def forward(self) -> Tensor:
        """beta now: 1 in evaluation mode and without gradients."""
        share = self.share
        return share if self.training and torch.is_grad_enabled() else torch.ones_like(share)

    def weighed(self, bound: Tensor, ratio: Tensor) -> Tensor:
        """A bound, in nats and of any shape, with beta on the `ratio` in it, its log p(z) - log q(z).

        Where the ratio is infinite the bound stays as it is.
        """
        return bound - ((1 - self()) * ratio).where(ratio.isfinite(), ratio.new_zeros(()))


class EntropyBonus(TrainingSchedule):
    """The weight lambda of the guide's entropy: constant, then linear to a final value, and then that.

    Args:
        initial: the weight at first.
        final: the weight at last; None: a tenth of the initial one.
        hold: for how many training estimates the weight stays as it was at first.
        steps: after how many it has become the final one, more than `hold`.
    """

    def __init__(
        self, initial: float = 1.0, final: float | None = None, *, hold: int = 0, steps: int = 200_000
    ):
        super().__init__(steps)
        final = 0.1 * initial if final is None else final
        if not 0 <= min(initial, final) <= max(initial, final) <= LARGEST:
            what = f"an entropy bonus has weights of 0 to {LARGEST:.0e}, not {initial} and {final}"
            raise UsageError(what)
        if not 0 <= hold < steps:
            raise UsageError(f"an entropy bonus is held for 0 steps or more and below {steps}, not {hold}")
        self.initial, self.final, self.hold = initial, final, hold

    def forward(self) -> Tensor:
        """lambda now: 0 in evaluation mode and without gradients."""
        share = ((self.estimates - self.hold) / (self.steps - self.hold)).clamp(0.0, 1.0)
        weight = self.initial + (self.final - self.initial) * share
        return weight if self.training and torch.is_grad_enabled() else torch.zeros_like(weight)


class Supervision(TrainingSchedule):
    """The weight of what was recorded: constant, or linear to 0 and then that.

    Args:
        weight: at first.
        steps: after how many training estimates it has become 0; None: it stays.
    """

    def __init__(self, weight: float, steps: int | None = None):
        super().__init__(1 if steps is None else steps)
        if not 0 <= weight <= LARGEST:
            raise UsageError(f"supervision has a weight of 0 to {LARGEST:.0e}, not {weight}")
        self.weight, self.ends = weight, steps is not None

    def forward(self) -> Tensor:
        """The weight now."""
        share = self.share
        return self.weight * (1 - share if self.ends else torch.ones_like(share))

    def beyond(self, log_prior: Tensor, recorded: Tensor) -> Tensor:
        """What the weight adds to a sum over data where everything has its natural weight.

        Args:
            log_prior: log p of what was recorded, in nats, of any shape; 0 where nothing was.
            recorded: of which data something was, bool (B,).
        """
        factor = self() * len(recorded) / recorded.sum().clamp(min=1)
        possible = log_prior.where(log_prior.isfinite(), log_prior.new_zeros(()))
        return (factor.to(log_prior.device) - 1) * possible
