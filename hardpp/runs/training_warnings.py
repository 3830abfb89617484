"""Warnings of a training that goes on and learns little, each with its number and what to do about it.

    what                      number                                     warns when its median
    the baseline is dead      share of the returns that it leaves        is above .999
    weights have degenerated  effective particles of an instance         is below 1.1, of several
    the guide has collapsed   entropy of a draw, nats, in the beginning  is below .01
    the guide is the prior    |log q - log p| of a draw, nats            is below .001
    a parameter is unused     tensors that no gradient has reached       (once, after 50 steps)

Medians are of the steps that metrics.jsonl has of the last 300 (of the entropy: 100), five at least, so that
nothing is said in the beginning. A warning that stays true is repeated after 1,000 steps. The thresholds
were measured: normal trainings of all families on their toy data stay silent (`docs/numbers.md`).

The numbers are computed of the steps that are recorded anyway. An objective is asked what it is (its
`bound`, whether it trains the guide) and says what signs it has, never what it is called.
"""

from collections.abc import Iterator, Mapping
from math import isfinite
from statistics import median
from typing import NamedTuple

from hardpp.runs.optimisation import trained_parameters
from hardpp.runs.session import Session
from hardpp.runs.trainer import Trainer
from hardpp.tasks.family import has_own_parameters

REPEAT = 1000  # steps after which a warning is repeated
_LOOKS = 5  # records that a median is over, at least
_UNUSED_AFTER, _NAMED = 50, 5  # steps, and parameters that are named


class Sign(NamedTuple):
    """A number that tells, and when it does."""

    name: str  # among the diagnostics of an objective
    threshold: float
    above: bool  # is it bad above the threshold, or below?
    steps: int  # over which a median is taken
    until: float  # the last step, as a share of the training, at which it is bad
    sentence: str  # with {number} and {steps}


_BASELINE = Sign(
    "unexplained",
    0.999,
    True,
    300,
    1.0,
    "the baseline explains nothing: of the returns' mean square {number:.3g} are left over {steps} steps; "
    "leave-one-out needs no learning (inference.baseline, with two particles at least)",
)
_WEIGHTS = Sign(
    "instance_ess",
    1.1,
    False,
    300,
    1.0,
    "{number:.3g} particles are effective over {steps} steps, of {particles}: one has all the weight, the "
    "others are in vain; train the guide by elbo first (--then), or take fewer particles",
)
_ENTROPY = Sign(
    "guide_entropy",
    0.01,
    False,
    100,
    0.1,
    "{what} draws one value and tries no other: its entropy is {number:.2g} nats a draw over {steps} steps, "
    "so early; lower optimiser.learning_rate, or reward entropy (inference.entropy_bonus, where it is)",
)
_PRIOR = Sign(
    "guide_to_prior",
    0.001,
    False,
    300,
    1.0,
    "the guide is the prior: {number:.2g} nats a draw are between them over {steps} steps, so it learns "
    "nothing of the data; let the KL term grow from 0 (inference.kl_warmup, where it is) or take guide prior",
)


class TrainingWarnings:
    """What is to be said of one stage's training, asked after each step that is recorded.

    Args:
        session, trainer: of the stage.
    """

    def __init__(self, session: Session, trainer: Trainer):
        self.trainer, objective = trainer, session.objective
        learns = has_own_parameters(session.programs) and objective.trains_guide
        self.signs = [_BASELINE, _ENTROPY]
        self.signs += [_WEIGHTS] if objective.bound == "iw" else []
        self.signs += [_PRIOR] if learns else []
        self.words = {
            "particles": objective.num_particles,
            "what": "the guide" if learns else "the policy",
        }
        self.seen: dict[str, list[tuple[int, float]]] = {sign.name: [] for sign in self.signs}
        self.told: dict[str, int] = {}  # at which step
        self.looked_for_unused = False

    def look(self, figures: Mapping[str, float]) -> list[str]:
        """The warnings that are due after a step of which an objective says these figures."""
        return [*self._of_signs(figures), *self._unused()]

    def _of_signs(self, figures: Mapping[str, float]) -> Iterator[str]:
        step = self.trainer.step
        for sign in self.signs:
            seen, value = self.seen[sign.name], figures.get(sign.name)
            if value is None or not isfinite(value):
                continue
            seen.append((step, value))
            while len(seen) > _LOOKS and seen[1][0] <= step - sign.steps:
                del seen[0]
            span, middle = step - seen[0][0], median(value for _, value in seen)
            late = step > sign.until * self.trainer.schedule.total_steps
            if len(seen) < _LOOKS or span < 0.8 * sign.steps or late:
                continue
            bad = middle > sign.threshold if sign.above else middle < sign.threshold
            if bad and step - self.told.get(sign.name, -REPEAT) >= REPEAT:
                self.told[sign.name] = step
                yield sign.sentence.format(number=middle, steps=span, **self.words)

    # The optimiser has moments of every parameter that has had a gradient, be it one of zeros.
    def _unused(self) -> Iterator[str]:
        if self.looked_for_unused or self.trainer.step < _UNUSED_AFTER:
            return
        self.looked_for_unused = True
        trained = trained_parameters(self.trainer.objective)
        programs = [name for name in trained if name.startswith(("model.", "guide."))]
        unused = [name for name in programs if trained[name] not in self.trainer.optimiser.state]
        if unused:
            more = f" and {len(unused) - _NAMED} more" if len(unused) > _NAMED else ""
            names = ", ".join(unused[:_NAMED]) + more
            yield (
                f"no gradient has reached {len(unused)} of {len(programs)} parameters in {self.trainer.step} "
                f"steps: {names}; the programs do not use them, or what they give is detached on its way"
            )
