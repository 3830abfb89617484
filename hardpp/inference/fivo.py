"""Filtering: particles of a long chain are weighed step by step, and resampled where few still count.

    bound = sum_t log sum_k v[t-1, k] exp(a[t, k]),   a[t, k] = what step t adds to log p - log q
    log v[t] = log v[t-1] + a[t], normalised; all equal after resampling

The exponential of the bound is an unbiased estimate of p(y), so the bound lies below log p(y) in
expectation, and far less so than that of whole independent chains when the chain is long. The gradient is

    grad bound  +  sum_t,k (sum_{u >= t} gain[u] - control[t, k]) grad log q(z[t, k]),   gain[t] the t-th term

the control being gain[t] with a[t, k] replaced by the mean of the others' (later gains have none, for what
comes of a particle is mixed with the others). The score of the resampling itself is dropped, as in the
papers, where it would drown the rest: so the gradient is biased, unless nothing is resampled.

No handler can permute what a program holds in local variables. Programs come in steps with an explicit
state (`StepProgram`), as for `pyro.infer.SMCFilter`; `run` makes ordinary programs of them. A datum whose
particles are all impossible at some step has the bound -inf and no gradient.

Sources: Maddison et al. (2017); Naesseth et al. (2018); Le et al. (2018).
Shapes: B data, K particles, T steps.
"""

from typing import Any, Literal, Protocol, Unpack, runtime_checkable

import pyro
import torch
from pyro import poutine
from pyro.poutine import Trace
from torch import Tensor, nn

from hardpp.errors import UsageError
from hardpp.inference.objective import SurrogateObjective, check_particles
from hardpp.inference.options import PlateOptions
from hardpp.inference.weights.particles import particle_trace
from hardpp.inference.weights.sample_sites import common_scale, sample_sites
from hardpp.inference.weights.tabulate import Weighing, tabulate
from hardpp.ops.leave_one_out import held_out_bound, log_geometric_mean_of_others
from hardpp.ops.weights import effective_sample_size, log_mean_exp, suffix_sums
from hardpp.types import Estimate, Program

State = dict[str, Tensor]  # by key (B, ...); (K, B, ...) where it depends on a draw


@runtime_checkable
class StepProgram(Program, Protocol):
    """A model or guide as a loop over steps; `forward = run` makes it a program like any other.

    What a step leaves for later ones is in the state, a dict of tensors with the data on the left; model
    and guide have one each. Steps replace its values, never in place, and have t in the names of their
    sites. A datum that has ended is masked with `poutine.mask`. An attribute `history`, if there is one,
    tells `pyro.markov` how many steps back a step depends on: `ExactMarginal` can then sum long chains.
    """

    def init(self, state: State, *args: Any, **kwargs: Any) -> Any:
        """Writes every key, (B, ...), draws nothing, and returns the data plate, the outermost one."""

    def step(self, state: State, t: int, *args: Any, **kwargs: Any) -> None:
        """Runs step t = 0 .. T - 1; the data plate is open."""

    def num_steps(self, *args: Any, **kwargs: Any) -> int:
        """T, of the longest datum."""


def run(program: StepProgram, *args: Any, **kwargs: Any) -> State:
    """Runs init and every step, without resampling; returns the last state."""
    state: State = {}
    plate = program.init(state, *args, **kwargs)
    steps, history = range(program.num_steps(*args, **kwargs)), getattr(program, "history", None)
    with plate:
        for t in steps if history is None else pyro.markov(steps, history=history):
            program.step(state, t, *args, **kwargs)
    return state


class FIVO(SurrogateObjective):
    """The filtering bound, each datum's particles resampled when their effective sample size is low.

    An estimate has no log weights, for resampled particles are not independent. Its diagnostic "resampled"
    is how many times each datum was, (B,); one that has ended may be once more, to no effect.

    Args:
        num_particles: K, at least 2 draws a datum.
        threshold: resample where the effective sample size is below this share of K, 0 to 1; 0 is never,
            which leaves the importance-weighted bound.
        resampling: "systematic" (one uniform number a datum) or "multinomial" (one a particle).
        baseline: None, or "leave-one-out", the control above.
    """

    name = "fivo"
    needs = frozenset({"latents"})
    unbiased = False
    bound = "iw"
    least_particles = 2

    def __init__(
        self,
        num_particles: int = 8,
        *,
        threshold: float = 0.5,
        resampling: Literal["systematic", "multinomial"] = "systematic",
        baseline: Literal["leave-one-out"] | None = "leave-one-out",
        **options: Unpack[PlateOptions],
    ):
        super().__init__(num_particles, **options)
        check_particles(self.name, num_particles, self.least_particles)
        if not 0 <= threshold <= 1:
            raise UsageError(f"threshold is a share of the particles, 0 to 1, not {threshold}")
        if resampling not in ("systematic", "multinomial") or baseline not in ("leave-one-out", None):
            raise UsageError(f"fivo has no resampling {resampling!r} with a baseline {baseline!r}")
        self.threshold, self.resampling, self.baseline = threshold, resampling, baseline

    def estimate(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Estimate:
        K, nesting = self.num_particles, self.nesting.of(model, guide, args, kwargs)
        how = Weighing(nesting, self.data_plate)
        guide_side = _Side(guide, Trace(), args, kwargs)
        model_side = _Side(model, guide_side.start, args, kwargs)
        weights: Tensor | None = None  # since the last resampling, log and not normalised: (K, B)
        steps, scales, resampled = [], [], torch.zeros(())
        for t in range(model_side.program.num_steps(*args, **kwargs)):
            if weights is not None and self.threshold > 0:
                low = effective_sample_size(weights.detach()) < self.threshold * K  # (B,)
                index = torch.arange(K, device=low.device).unsqueeze(-1)
                index = self.ancestors(weights.detach()).where(low, index)
                guide_side.permute(index)
                model_side.permute(index)
                weights, resampled = weights.masked_fill(low, 0.0), resampled + low
            guide_trace = particle_trace(guide_side.step, K, nesting, (guide_side.state, t, *args), kwargs)
            replayed = poutine.replay(model_side.step, trace=guide_trace)
            model_trace = particle_trace(replayed, K, nesting, (model_side.state, t, *args), kwargs)
            table = tabulate([(model_trace, guide_trace)], K, how)
            added = table.layout.per_datum((table.log_p - table.log_q).sum(-1), 1).expand(K, -1)  # (K, B)
            weights, *terms = _weighed(torch.zeros_like(added) if weights is None else weights, added)
            steps.append((*terms, table.layout.per_datum(table.score.sum(-1), 1)))
            scales.append({"name": f"of step {t}", "scale": table.scale})
        gain, value, control, score = (torch.stack(part, -1) for part in zip(*steps, strict=True))
        signal = suffix_sums(gain.detach()) - (0 if self.baseline is None else control)  # (K, B, T)
        bound, scale = value.sum(-1), common_scale(scales)
        surrogate = (gain + (score * signal).sum(0)).sum(-1).masked_fill(bound == -torch.inf, 0.0).sum()
        diagnostics = {"resampled": resampled.to(bound).expand_as(bound)}
        return Estimate(bound * scale, surrogate * scale, None, diagnostics)

    def loss_and_grads(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> float:
        for name, program in (("model", model), ("guide", guide)):
            if isinstance(program, nn.Module):  # Pyro would learn of its parameters when it is called
                pyro.module(f"{self.name}.{name}", program)
        return super().loss_and_grads(model, guide, *args, **kwargs)

    def ancestors(self, log_weights: Tensor) -> Tensor:
        """Which particle each one goes on from, (K, B) int64, drawn by log weights (K, B)."""
        cumulative = log_weights.softmax(0).cumsum(0).T.contiguous()  # (B, K)
        u = torch.rand_like(cumulative)
        if self.resampling == "systematic":
            u = (torch.arange(u.shape[1], device=u.device) + u[:, :1]) / u.shape[1]
        # Rounding must lead neither past the end nor to a weight of zero.
        u = u.clamp(max=1 - torch.finfo(u.dtype).eps)
        return torch.searchsorted(cumulative / cumulative[:, -1:], u, right=True).clamp(max=u.shape[1] - 1).T


# The log weights after a step, (K, B); its gain, (B,), and the value of that, -inf where no particle is
# possible (all then go on with equal weights); its control, (K, B).
def _weighed(before: Tensor, added: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    failed = (before + added == -torch.inf).all(0)
    weights, start = (before + added).masked_fill(failed, 0.0), log_mean_exp(before)
    gain = log_mean_exp(weights) - start
    stand_in = (before + log_geometric_mean_of_others(added)).detach()
    control = held_out_bound(weights.detach(), stand_in) - start.detach()
    control = control.masked_fill(control == -torch.inf, 0.0)  # no other particle is possible
    return weights, gain, gain.detach().masked_fill(failed, -torch.inf), control


class _Side:
    """A program and its state, one for all particles until a draw comes in."""

    def __init__(self, program: Program, other: Trace, args: Any, kwargs: Any):
        if not isinstance(program, StepProgram):
            raise UsageError(f"fivo takes programs with init and step, not {type(program).__name__}")
        self.program, self.state = program, dict[str, Tensor]()
        init = poutine.trace(poutine.replay(program.init, trace=other))
        self.start = init.get_trace(self.state, *args, **kwargs)
        for name in sample_sites(self.start):
            raise UsageError(f"site {name!r} is in init, but sites of a program in steps are in its steps")
        self.step = self.start.nodes["_RETURN"]["value"](program.step)  # in the data plate
        self.dims = {key: value.dim() for key, value in self.state.items()}

    def permute(self, index: Tensor) -> None:
        """Particle k of datum b goes on from index[k, b]."""
        for key, value in self.state.items():
            more = value.dim() - self.dims.get(key, -1)
            if key not in self.dims or more not in (0, 1) or (more and value.shape[:2] != index.shape):
                raise UsageError(
                    f"state {key!r} has shape {tuple(value.shape)}, but a state has the dims that init gave "
                    f"it, and {tuple(index.shape)}, particles and data, on the left once it depends on draws"
                )
            if more:
                self.state[key] = value[index, torch.arange(index.shape[1], device=index.device)]
