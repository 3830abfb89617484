"""The evidence lower bound, trained by the score function with credit where it is due.

    bound    = mean_k log w[k],     log w = log p(x, z) - log q(z),     z ~ q
    gradient = mean_k sum_s (return[k, s] - baseline[k, s]) grad log q(z_s)  +  grad log p

The return of the s-th latent is what the program adds to log w from that latent on
(`credit="causal"`: the estimator of `pyro.infer.TraceGraph_ELBO`, in time linear in the number of
latents) or all of log w (`credit="global"`), in every plate that the latent is in
(`hardpp.inference.weights.credit`). A baseline must not depend on the latent it judges; then it changes the
variance and not the expectation. A guide that is the model's prior makes no difference to log w: grad log p
is then that of the observations alone. An instance with an impossible particle has the bound -inf, and no
gradient.

Published estimators are settings of this one:

    REINFORCE   credit="global"                            Williams (1992)
    RLOO        baseline="leave-one-out"                   Kool, van Hoof and Welling (2019)
    NVIL        baseline="learned", normalize=True         Mnih and Gregor (2014), section 2.3
    VAR         baseline="soft-attention"                  Deng et al. (2018), equation 1
    temporal    baseline="temporal"                        Lawson et al. (2017), equation 7

Sources: those, and Schulman et al. (2015) for causal credit.
Shapes: K particles, I instances, N stages (see `hardpp.inference.weights.weight_table`).
"""

from typing import Any, Literal, Unpack, get_args

import torch
from torch import Tensor, nn

from hardpp.errors import UsageError
from hardpp.inference.control.baselines import (
    AverageBaseline,
    Baseline,
    LearnedBaseline,
    follow,
    history_of,
    predicted,
)
from hardpp.inference.control.emission_count import Progress, progress_of
from hardpp.inference.control.running_moments import RunningMoments
from hardpp.inference.control.schedules import EntropyBonus, KLWarmUp
from hardpp.inference.objective import SampledObjective, check_particles
from hardpp.inference.options import SampledOptions
from hardpp.inference.soft_attention import ExpectedLatents
from hardpp.inference.sums.partial_elbo import partial_elbo, partial_traces, sums_any
from hardpp.inference.weights.recorded_latents import log_prior_of_recorded
from hardpp.inference.weights.vital_signs import share_left
from hardpp.inference.weights.weigh import Handlers
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.ops.leave_one_out import (
    mean_of_all_others,
    mean_of_others,
    mean_of_others_at_same_progress,
)
from hardpp.ops.weights import suffix_sums
from hardpp.types import Estimate, Need, Program

Credit = Literal["causal", "global"]
BaselineName = Literal["leave-one-out", "batch", "soft-attention", "temporal", "average", "learned"]
NEEDS: dict[str, frozenset[Need]] = {  # of a baseline
    "soft-attention": frozenset({"relaxable"}),
    "temporal": frozenset({"emission-counts"}),
}


class ScoreFunctionELBO(SampledObjective):
    """The evidence lower bound by Monte Carlo, K particles at once.

    Args:
        credit: what a latent's return is made of, "causal" or "global". With the temporal baseline the two
            are one: a particle's past is its own.
        baseline: what returns are compared with. None; "leave-one-out", the mean return of the other
            particles (K >= 2); "batch", that of all other particles of all data; "temporal", the mean of
            their futures from the same point of progress (K >= 2); "soft-attention", the return of one more
            particle whose latents are at their expected value under the model's prior (the model must take
            relaxed latents); "average", the decaying average of a stage's returns; "learned", a small
            network of what was drawn before; or a module of your own (see
            `hardpp.inference.control.baselines.Baseline`). A module, kept as `baseline`, is trained along
            with the programs and moves to the device where they compute.
        normalize: centre and scale the signal (return - baseline) by its running moments. It is divided by
            the running standard deviation where that is above 1; a module regresses in that unit too. The
            expected score-function part of the gradient is then right up to that one known number, the same
            for all parameters (the pathwise part is as without), so `unbiased` is False.
        progress: for the temporal baseline, how much each particle has emitted after each latent, given the
            latents' values, see `hardpp.inference.control.emission_count`. By default their cumulative sum.
        kl: schedule of the weight of the KL term in the gradient; the bound keeps it at 1.
        entropy: schedule of the weight of the guide's entropy in the gradient. If it does not end at 0,
            `unbiased` is False.
    """

    name = "elbo"
    bound = "elbo"
    additive = True

    def __init__(
        self,
        num_particles: int = 1,
        *,
        credit: Credit = "causal",
        baseline: BaselineName | nn.Module | None = None,
        normalize: bool = False,
        progress: Progress | None = None,
        kl: KLWarmUp | None = None,
        entropy: EntropyBonus | None = None,
        **options: Unpack[SampledOptions],
    ):
        self.draws_together = baseline == "soft-attention"
        super().__init__(num_particles, **options)
        if credit not in get_args(Credit):
            raise UsageError(f"credit is 'causal' or 'global', not {credit!r}")
        if not (baseline is None or isinstance(baseline, nn.Module) or baseline in get_args(BaselineName)):
            names = ", ".join(repr(name) for name in get_args(BaselineName))
            raise UsageError(f"baseline is {names}, a module or None, not {baseline!r}")
        if baseline in ("leave-one-out", "temporal"):
            self.least_particles = 2
            check_particles(f"a {baseline} baseline", num_particles, self.least_particles)
        if progress is not None and baseline != "temporal":
            raise UsageError(f"progress is for baseline 'temporal', not for {baseline!r}")
        self.needs = self.needs | NEEDS.get(str(baseline), frozenset())
        modules = {"average": AverageBaseline, "learned": LearnedBaseline}
        self.baseline = modules[str(baseline)]() if baseline in modules else baseline
        self.credit, self.progress = credit, progress
        self.moments = RunningMoments() if normalize else None
        self.kl_weight, self.entropy_bonus = kl, entropy
        self.sums_guide = False
        self.unbiased = not normalize and (entropy is None or entropy.final == 0)

    def estimate(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Estimate:
        if not self.sums_guide:
            table = self.weight_table(model, guide, *args, **kwargs)
            marked = any(self.sums.chooses(each.guide["name"], each.guide["infer"]) for each in table.latents)
            if not (marked and self._may_sum()):
                return self.estimate_of(table)
            self.sums_guide = True  # from now on nothing is tabulated

        def estimate(nesting: int) -> Estimate | None:
            K = self.num_particles
            traces = partial_traces(model, guide, self.sums, K, nesting, args, kwargs)
            if not sums_any(traces[1]):
                return None
            leave_one_out, causal = self.baseline == "leave-one-out", self.credit == "causal"
            return partial_elbo(
                *traces, K, leave_one_out=leave_one_out, causal=causal, data_plate=self.data_plate
            )

        summed = self.nesting.enough_for(estimate, model, guide, args, kwargs)
        if summed is not None:
            return summed
        self.sums_guide = False  # another guide, or a batch without such latents
        return self.estimate(model, guide, *args, **kwargs)

    # Baselines that learn or compare progress, and rewards, are for draws.
    def _may_sum(self) -> bool:
        more = (self.moments, self.kl_weight, self.entropy_bonus, self.supervision)
        plain = not self.one_by_one and all(each is None for each in more)
        return plain and self.baseline in (None, "leave-one-out") and type(self) is ScoreFunctionELBO

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        for _, module in self._modules():
            follow(module, table.log_q.device)
        gain, credited = self._gain(table)
        # A prior's own score has no mean and would be noise; a guide's is taken off log p - log q.
        beta: float | Tensor = float(not table.guide_is_prior)
        if self.kl_weight is not None:
            beta = beta * self.kl_weight()
        if self.entropy_bonus is not None:
            beta = beta + self.entropy_bonus()
        own = table.score if table.scaled_score is None else table.scaled_score
        none = gain.new_zeros(())
        pathwise = (gain + beta * own).where(table.sound.unsqueeze(-1), none)
        surrogate = pathwise.sum((0, -1)) / self.num_particles  # (*I)
        for part in table.credit or (table,):
            signal, regression = self._signal(part, credited if part is table else self._gain(part)[1])
            signal = signal.where(part.sound.unsqueeze(-1), none)
            scored = (part.score * signal).sum((0, -1)) / self.num_particles
            scored = scored if regression is None else scored - regression
            surrogate = surrogate + part.layout.within(scored, table.layout)
        return table.log_weights.mean(0), surrogate

    # What is differentiated, and what draws are credited with, (K, *I, N) each.
    def _gain(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        gain = table.log_p - table.log_q
        if self.kl_weight is not None:
            drawn = table.log_prior - log_prior_of_recorded(table)
            gain = self.kl_weight.weighed(gain, drawn - table.log_q)
        credited = self.rewards(table, gain)
        if self.entropy_bonus is not None:
            bonus = self.entropy_bonus()
            gain, credited = gain - bonus * table.log_q, credited - bonus * table.log_q.detach()
        return gain, credited

    def rewards(self, table: WeightTable, gain: Tensor) -> Tensor:
        """What draws are credited with, stage by stage: (K, *I, N), detached, like `gain`."""
        return gain.detach()

    # The signal (K, *I, N or 1), detached, and the regression (*I) of a baseline that is a module.
    def _signal(self, table: WeightTable, terms: Tensor) -> tuple[Tensor, Tensor | None]:
        returns = self._returns(terms)
        if not isinstance(self.baseline, nn.Module):
            signal = returns - self._comparison(table, terms, returns)
            return (signal if self.moments is None else self._normalised(signal, table.live)[0]), None
        history = history_of(table)
        surprise = returns - predicted(self.baseline, history, table)
        counts = history.live & table.sound.unsqueeze(-1)
        self.own_signs = {"unexplained": share_left(surprise, returns, counts)} if self.tells else {}
        signal, unit = self._normalised(surprise.detach(), history.live)
        if isinstance(self.baseline, Baseline):
            self.baseline.update(history, returns.expand_as(terms))
        if not surprise.requires_grad:
            return signal, None
        errors = (surprise / unit).where(counts, surprise.new_zeros(()))
        return signal, errors.square().sum((0, -1)) / self.num_particles

    def _returns(self, terms: Tensor) -> Tensor:
        return suffix_sums(terms) if self._by_stage else terms.sum(-1, keepdim=True)

    # Has each stage a return of its own?
    @property
    def _by_stage(self) -> bool:
        return self.credit == "causal" or self.baseline == "temporal"

    def _comparison(self, table: WeightTable, terms: Tensor, returns: Tensor) -> float | Tensor:
        if self.baseline == "leave-one-out":
            return mean_of_others(returns)
        if self.baseline == "batch":
            counts = table.live & table.sound.unsqueeze(-1)
            counts = counts if self._by_stage else counts.any(-1, keepdim=True)
            # Where latents are credited plate by plate, what all share is in every instance's return.
            return mean_of_all_others(returns, counts, beside=table.credited is None)
        if self.baseline == "soft-attention":
            return self._returns(table.extra.detach())
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

    def handlers(self, nesting: int) -> Handlers:
        """For the soft-attention baseline one more particle has its latents at their expected value."""
        if self.baseline != "soft-attention":
            return {}
        return {"score": lambda model, draws: ExpectedLatents(draws, plates=nesting)(model), "extra": 1}
