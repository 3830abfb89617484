"""Schedules and proposals of objectives as a configuration spells them: a few plain values each.

`hardpp.inference.control.schedules` and `hardpp.inference.weights.proposals` say what they do.
"""

from typing import Any, Literal

from pydantic import Field

from hardpp.config import Section
from hardpp.errors import UsageError
from hardpp.inference.control.schedules import EntropyBonus, KLWarmUp, TrainingSchedule
from hardpp.inference.weights.proposals import Proposal, Tempered, UniformMixture


class ScheduleOptions(Section):
    """The plain values that stand for a schedule or a proposal."""

    def schedule(self) -> TrainingSchedule | Proposal | None:
        """The schedule or proposal, None where there is none.

        Raises:
            UsageError: numbers of which there is none.
        """
        raise NotImplementedError


class KLOptions(ScheduleOptions):
    """Of the weight of the KL term."""

    kl_warmup: int = Field(
        0, description="training steps over which the weight of the KL term rises from 0 to 1; 0: it is 1"
    )

    def schedule(self) -> KLWarmUp | None:
        """The warm-up; see `ScheduleOptions`."""
        if self.kl_warmup < 0:
            raise UsageError(f"kl_warmup is a number of steps, 0 or more, not {self.kl_warmup}")
        return KLWarmUp(self.kl_warmup) if self.kl_warmup else None


class EntropyOptions(ScheduleOptions):
    """Of the weight of the guide's entropy."""

    entropy_bonus: float = Field(0.0, description="weight of the guide's entropy in the gradient, at first")
    entropy_bonus_steps: int = Field(0, description="training steps over which it falls; 0: it stays")
    entropy_bonus_final: float = Field(0.1, description="the share of it that is left then, and stays")

    def schedule(self) -> EntropyBonus | None:
        """The bonus; see `ScheduleOptions`."""
        weight, steps, final = self.entropy_bonus, self.entropy_bonus_steps, self.entropy_bonus_final
        if weight < 0 or steps < 0:
            raise UsageError(f"entropy_bonus and entropy_bonus_steps are 0 or more, not {weight} and {steps}")
        if not 0 <= final <= 1:
            raise UsageError(f"entropy_bonus_final is a share of entropy_bonus, 0 to 1, not {final}")
        if not weight:
            return None
        return EntropyBonus(weight, final * weight if steps else weight, hold=0, steps=steps or 1)


class ProposalOptions(ScheduleOptions):
    """Of what draws the particles."""

    proposal: Literal["none", "temperature", "mixture"] = Field(
        "none", description="what draws the particles: the guide, or a flatter version of it"
    )
    temperature: float = Field(
        2.0, description='what the proposal "temperature" divides log-probabilities by, at least 1'
    )
    mixture: float = Field(0.1, description='the share of the uniform distribution in the proposal "mixture"')

    def schedule(self) -> Proposal | None:
        """The proposal; see `ScheduleOptions`."""
        flatter = {"temperature": Tempered(self.temperature), "mixture": UniformMixture(self.mixture)}
        return flatter.get(self.proposal)


SCHEDULES: dict[Any, type[ScheduleOptions]] = {
    KLWarmUp: KLOptions,
    EntropyBonus: EntropyOptions,
    Proposal: ProposalOptions,
}
