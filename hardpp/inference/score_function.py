"""The evidence lower bound, trained by the score function with credit where it is due.

    bound    = mean_k log w[k],     log w = log p(x, z) - log q(z),     z ~ q
    gradient = mean_k sum_s (return[k, s] - baseline[k, s]) grad log q(z_s)  +  grad log p

The return of the s-th latent is what the program adds to log w from that latent on
(`credit="causal"`: the estimator of `pyro.infer.TraceGraph_ELBO`, in time linear in the number of
latents) or all of log w (`credit="global"`: REINFORCE). A baseline must not depend on the latent
it judges; then it changes the variance and not the expectation. A guide that is the model's prior makes no
difference to log w: grad log p is then that of the observations alone.

Sources: Williams (1992); Schulman et al. (2015); Mnih and Gregor (2014), section 2.3, for baselines that
learn and for normalised signals; Kool et al. (2019) for leave-one-out; Deng et al. (2018), equation 1, for
the soft-attention baseline; Lawson et al. (2017), equation 7, for the temporal one.
Shapes: K particles, I instances, N stages (see `hardpp.inference.weights.weight_table`).
"""

from typing import Any, Literal, get_args

import torch
from pyro.poutine import Trace
from torch import Tensor, nn

from hardpp.errors import UsageError
from hardpp.inference.control.baseline_features import history_of
from hardpp.inference.control.baselines import AverageBaseline, Baseline, LearnedBaseline, follow, predicted
from hardpp.inference.control.emission_count import Progress, progress_of
from hardpp.inference.control.running_moments import RunningMoments
from hardpp.inference.control.schedules import EntropyBonus, entropy_schedule, kl_warm_up
from hardpp.inference.objective import SampledObjective
from hardpp.inference.soft_attention import ExpectedLatents
from hardpp.inference.weights.weigh import weigh
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.ops.temporal import mean_of_others_at_same_progress
from hardpp.ops.weights import mean_of_others, suffix_sums
from hardpp.types import Program

Credit = Literal["causal", "global"]
BaselineName = Literal["leave-one-out", "soft-attention", "temporal", "average", "learned"]


class ScoreFunctionELBO(SampledObjective):
    """The evidence lower bound by Monte Carlo, K particles at once.

    Args:
        num_particles: K.
        credit: "causal" or "global", what a latent's return is made of. (With the temporal baseline the two
            are one: a particle's past is its own.)
        baseline: what returns are compared with: None; "leave-one-out", the mean return of the other
            particles (K >= 2); "temporal", the mean of their futures from the same point of progress
            (K >= 2); "soft-attention", the return of one more particle whose latents are at their expected
            value under the model's prior (the model must take relaxed latents); "average", the decaying
            average of a stage's returns; "learned", a small network of what was drawn before; or a module of
            your own (see `hardpp.inference.control.baselines.Baseline`). A module, kept as `baseline`, is
            trained along with the programs and moves to the device where they compute.
        normalize: centre the signal (return - baseline) by its running mean, and divide it by its running
            standard deviation where that is above 1; a module regresses in that unit too. The expected
            score-function part of the gradient is then right up to that one known number, the same for all
            parameters (the pathwise part is as without), so `unbiased` is False.
        progress: for the temporal baseline: how much each particle has emitted after each latent, given the
            latents' values, see `hardpp.inference.control.emission_count`. By default their cumulative sum.
        kl_warmup: training steps over which the weight of the KL term rises from 0 to 1 in the gradient (the
            bound keeps it at 1); 0 for a weight of 1 throughout. See `hardpp.inference.control.schedules`.
        entropy_bonus: weight of the guide's entropy that is added in the gradient; or a schedule of it.
        entropy_bonus_steps: training steps over which that weight falls; 0: it stays.
        entropy_bonus_final: the share of it that is left then, and from then on.
        max_plate_nesting: see `SampledObjective`.

    Raises:
        UsageError: an unknown credit or baseline, a comparison of particles with one particle, or progress
            for another baseline than the temporal one.
    """

    name = "elbo"
    bound = "elbo"

    def __init__(
        self,
        num_particles: int = 1,
        *,
        credit: Credit = "causal",
        baseline: BaselineName | nn.Module | None = None,
        normalize: bool = False,
        progress: Progress | None = None,
        kl_warmup: int = 0,
        entropy_bonus: EntropyBonus | float = 0.0,
        entropy_bonus_steps: int = 0,
        entropy_bonus_final: float = 0.1,
        max_plate_nesting: float = float("inf"),
    ):
        super().__init__(num_particles, max_plate_nesting=max_plate_nesting)
        if credit not in get_args(Credit):
            raise UsageError(f"credit is 'causal' or 'global', not {credit!r}")
        if not (baseline is None or isinstance(baseline, nn.Module) or baseline in get_args(BaselineName)):
            names = ", ".join(repr(name) for name in get_args(BaselineName))
            raise UsageError(f"baseline is {names}, a module or None, not {baseline!r}")
        if baseline in ("leave-one-out", "temporal") and num_particles < 2:
            raise UsageError(
                f"a {baseline} baseline compares particles: it needs at least 2, got {num_particles}"
            )
        if progress is not None and baseline != "temporal":
            raise UsageError(f"progress is for baseline 'temporal', not for {baseline!r}")
        made = {"average": AverageBaseline, "learned": LearnedBaseline}.get(str(baseline))
        self.baseline = baseline if made is None else made()
        self.credit, self.progress = credit, progress
        self.moments = RunningMoments() if normalize else None
        self.kl_weight = kl_warm_up(kl_warmup)
        self.entropy_bonus = entropy_schedule(entropy_bonus, entropy_bonus_steps, entropy_bonus_final)
        self.unbiased = not normalize

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        """Bound (*I) and surrogate of the estimator above, less the regression of a baseline that learns."""
        for _, module in self._modules():
            follow(module, table.log_q.device)
        gain = table.log_p[: self.num_particles] - table.log_q  # (K, *I, N)
        # A prior's own score has no mean and would be noise; a guide's is taken off log p - log q.
        beta: float | Tensor = float(any(latent.guide is not latent.model for latent in table.latents))
        if self.kl_weight is not None:
            beta = beta * self.kl_weight()
            gain = self.kl_weight.weighed(gain, table.log_prior[: self.num_particles] - table.log_q)
        credited = self.rewards(table, gain)
        if self.entropy_bonus is not None:
            bonus = self.entropy_bonus()
            gain, beta = gain - bonus * table.log_q, beta + bonus
            credited = credited - bonus * table.log_q.detach()
        signal, regression = self._signal(table, credited)
        pathwise = gain + beta * table.score
        surrogate = (pathwise + table.score * signal).sum() / self.num_particles
        return table.log_weights.mean(0), surrogate if regression is None else surrogate - regression

    def rewards(self, table: WeightTable, gain: Tensor) -> Tensor:
        """What draws are credited with, stage by stage: (K, *I, N), detached, like `gain`."""
        return gain.detach()

    # The signal (K, *I, N or 1), detached, and the regression of a baseline that is a module.
    def _signal(self, table: WeightTable, terms: Tensor) -> tuple[Tensor, Tensor | None]:
        returns = self._returns(terms)
        if not isinstance(self.baseline, nn.Module):
            signal = returns - self._comparison(table, terms, returns)
            return (signal if self.moments is None else self._normalised(signal, table.live)[0]), None
        history = history_of(table)
        surprise = returns - predicted(self.baseline, history, table)
        signal, unit = self._normalised(surprise.detach(), history.live)
        if isinstance(self.baseline, Baseline):
            self.baseline.update(history, returns.expand_as(terms))
        if not surprise.requires_grad:
            return signal, None
        errors = (surprise / unit).where(history.live, surprise.new_zeros(()))
        return signal, errors.square().sum() / self.num_particles

    def _returns(self, terms: Tensor) -> Tensor:
        causal = self.credit == "causal" or self.baseline == "temporal"
        return suffix_sums(terms) if causal else terms.sum(-1, keepdim=True)

    def _comparison(self, table: WeightTable, terms: Tensor, returns: Tensor) -> float | Tensor:
        if self.baseline == "leave-one-out":
            return mean_of_others(returns)
        if self.baseline == "soft-attention":
            return self._returns(table.log_p[self.num_particles :].detach())
        if self.baseline == "temporal":
            return mean_of_others_at_same_progress(terms, progress_of(table, self.progress))
        return 0.0

    # The signal, and the unit (in nats) that it is in now.
    def _normalised(self, signal: Tensor, live: Tensor) -> tuple[Tensor, float | Tensor]:
        if self.moments is None:
            return signal, 1.0
        centre, deviation = (moment.to(signal.dtype) for moment in self.moments(1))
        self.moments.update(*torch.broadcast_tensors(signal, live))
        unit = deviation.clamp(min=1.0)
        return (signal - centre) / unit, unit

    def weight_table(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> WeightTable:
        """Draws the particles; for the soft-attention baseline one more has its latents at their mean."""
        if self.baseline != "soft-attention":
            return super().weight_table(model, guide, *args, **kwargs)
        K, nesting = self.num_particles, self.program_nesting(model, guide, args, kwargs)

        def score(model: Program, trace: Trace) -> Program:
            return ExpectedLatents(trace, plates=nesting)(model)

        return weigh(model, guide, K, args, kwargs, nesting=nesting, score=score, extra=1)
