"""Schedules and proposals as options of an objective: what makes each of them of plain numbers and words.

An argument of an objective that is such an object stands on the command line as the arguments of its
function here.
"""

from collections.abc import Callable
from typing import Any

from hardpp.errors import UsageError
from hardpp.inference.control.schedules import EntropyBonus, KLWarmUp, Supervision
from hardpp.inference.weights.proposals import Proposal


def kl_weight(kl_warmup: int = 0) -> KLWarmUp | None:
    """The weight of the KL term; None where it is always 1.

    Args:
        kl_warmup: training steps over which the weight of the KL term rises from 0 to 1; 0: it is 1
    """
    if kl_warmup < 0:
        raise UsageError(f"kl_warmup is a number of steps, 0 or more, not {kl_warmup}")
    return KLWarmUp(kl_warmup) if kl_warmup else None


def entropy_weight(
    entropy_bonus: float = 0.0, entropy_bonus_steps: int = 0, entropy_bonus_final: float = 0.1
) -> EntropyBonus | None:
    """The weight of the guide's entropy; None where it is 0.

    Args:
        entropy_bonus: weight of the guide's entropy in the gradient, at first
        entropy_bonus_steps: training steps over which it falls; 0: it stays
        entropy_bonus_final: the share of it that is left then, and stays
    """
    weight, steps, final = entropy_bonus, entropy_bonus_steps, entropy_bonus_final
    if weight < 0 or steps < 0:
        raise UsageError(f"entropy_bonus and entropy_bonus_steps are 0 or more, not {weight} and {steps}")
    if not 0 <= final <= 1:
        raise UsageError(f"entropy_bonus_final is a share of entropy_bonus, 0 to 1, not {final}")
    last = final * weight if steps else weight
    return EntropyBonus(weight, last, hold=0, steps=steps or 1) if weight else None


def supervision_weight(supervision: float | None = None, supervision_steps: int = 0) -> Supervision | None:
    """The weight of what was recorded; None where it is that of any other log-probability.

    Args:
        supervision: weight of the mean over data with recorded choices; left out: each datum has the same
        supervision_steps: training steps over which it falls to 0; 0: it stays
    """
    if supervision_steps < 0:
        raise UsageError(f"supervision_steps is a number of steps, 0 or more, not {supervision_steps}")
    if supervision is None:
        if supervision_steps:
            raise UsageError("supervision_steps is for a weight that falls: give supervision, too")
        return None
    return Supervision(supervision, supervision_steps or None)


SCHEDULES: dict[Any, Callable[..., Any]] = {
    KLWarmUp: kl_weight,
    EntropyBonus: entropy_weight,
    Supervision: supervision_weight,
    Proposal: Proposal,
}
