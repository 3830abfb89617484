"""Every objective, in settings that differ in what they compute; what each says of itself."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import torch

from hardpp.inference.control.running_moments import RunningMoments
from hardpp.inference.control.schedules import KLWarmUp
from hardpp.inference.dirichlet import ImplicitDirichlet
from hardpp.inference.disarm import DisARM
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.fivo import FIVO
from hardpp.inference.gumbel import GumbelSoftmax
from hardpp.inference.hybrid import Hybrid
from hardpp.inference.imitation import Imitation
from hardpp.inference.importance_weighted import IWAE, VIMCO
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.ovis import OVIS
from hardpp.inference.rebar import REBAR
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.soft_attention import SoftAttention
from hardpp.inference.sum_and_sample import SumAndSample
from hardpp.inference.tracegraph import TraceGraph
from hardpp.inference.trajectory_balance import TrajectoryBalance
from hardpp.inference.unordered_set import UnorderedSet
from hardpp.inference.wake_sleep import ReweightedWakeSleep
from hardpp.inference.weights.dreams import Dream
from hardpp.inference.weights.proposals import Proposal
from hardpp.tasks.doctor.objective_programs import forced as forced
from hardpp.tasks.doctor.objective_programs import noise as noise
from hardpp.types import SequenceBatch

FOREVER = 2**60  # steps

# Published settings of one class.
reinforce = partial(ScoreFunctionELBO, credit="global")
rloo = partial(ScoreFunctionELBO, baseline="leave-one-out")
nvil = partial(ScoreFunctionELBO, baseline="learned", normalize=True)


def dreamer(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Dream:
    """A dream that is a function of the datum alone, the same for any padding."""
    if not args:
        return Dream({"z": torch.tensor([1, 0])}, args, kwargs)
    if not isinstance(args[0], SequenceBatch):  # the chain
        return Dream({f"z_{t}": args[0][:, t] % 2 for t in range(args[0].shape[1])}, args, kwargs)
    (data,) = args
    z = data.target % data.source_mask.sum(-1, keepdim=True)
    return Dream({"alignment": z}, (data._replace(target=(data.target + 1) % 4),), kwargs)


def half_trained(objective: ScoreFunctionELBO) -> ScoreFunctionELBO:
    """With weights and moments that training may have left behind, and no more training."""
    generator = torch.Generator().manual_seed(4)
    for module in (objective.baseline, objective.moments):
        if isinstance(module, torch.nn.Module):
            module.double().eval()
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter.copy_(torch.randn(parameter.shape, generator=generator))
                for part in module.modules():
                    if isinstance(part, RunningMoments):
                        part.mean.copy_(torch.randn(part.mean.shape, generator=generator))
                        part.variance.copy_(1 + 4 * torch.rand(part.variance.shape, generator=generator))
    return objective


Objective = TypeVar("Objective", ScoreFunctionELBO, GumbelSoftmax)


def half_warm(objective: Objective) -> Objective:
    """In the midst of a warm-up too slow for a few estimates to be noticed."""
    assert objective.kl_weight is not None
    objective.kl_weight.estimates.fill_(FOREVER // 2)
    return objective


OBJECTIVES: dict[str, Callable[..., SurrogateObjective]] = {
    "elbo": ScoreFunctionELBO,
    "elbo-two": lambda **kw: ScoreFunctionELBO(2, **kw),
    "elbo-global": lambda **kw: ScoreFunctionELBO(credit="global", **kw),
    "leave-one-out": lambda **kw: ScoreFunctionELBO(2, baseline="leave-one-out", **kw),
    "leave-one-out-global": lambda **kw: ScoreFunctionELBO(
        3, credit="global", baseline="leave-one-out", **kw
    ),
    "soft-attention": lambda **kw: ScoreFunctionELBO(baseline="soft-attention", **kw),
    "soft-attention-two": lambda **kw: ScoreFunctionELBO(2, baseline="soft-attention", **kw),
    "temporal": lambda **kw: ScoreFunctionELBO(3, baseline="temporal", **kw),
    "average": lambda **kw: half_trained(ScoreFunctionELBO(2, baseline="average", **kw)),
    "warm-up": lambda **kw: half_warm(
        ScoreFunctionELBO(2, baseline="leave-one-out", kl=KLWarmUp(FOREVER), **kw)
    ),
    "learned": lambda **kw: half_trained(ScoreFunctionELBO(baseline="learned", **kw)),
    "reinforce": lambda **kw: reinforce(2, **kw),
    "rloo": lambda **kw: rloo(3, **kw),
    "nvil": lambda **kw: half_trained(nvil(2, **kw)),
    "hybrid": lambda **kw: half_trained(Hybrid(2, **kw)),
    "iwae": lambda **kw: IWAE(2, **kw),
    "iwae-one": lambda **kw: IWAE(1, **kw),
    "iwae-prefix": lambda **kw: IWAE(3, control="prefix", **kw),
    "vimco": lambda **kw: VIMCO(2, **kw),
    "vimco-geometric": lambda **kw: VIMCO(3, control="geometric", center=False, **kw),
    "vimco-arithmetic": lambda **kw: VIMCO(3, control="arithmetic", **kw),
    "vimco-temporal": lambda **kw: VIMCO(3, control="temporal", **kw),
    "ovis": lambda **kw: OVIS(3, **kw),
    "ovis-unbiased": lambda **kw: OVIS(3, gamma=0.0, **kw),
    "rws": lambda **kw: ReweightedWakeSleep(2, **kw),
    "rws-plain": lambda **kw: ReweightedWakeSleep(3, control_variates=False, **kw),
    "rws-temperature": lambda **kw: ReweightedWakeSleep(2, proposal=Proposal("temperature"), **kw),
    "rws-mixture": lambda **kw: ReweightedWakeSleep(2, proposal=Proposal("mixture"), **kw),
    "rws-dream": lambda **kw: ReweightedWakeSleep(2, insomnia=0.5, dream=dreamer, **kw),
    "trajectory-balance": lambda **kw: TrajectoryBalance(2, **kw),
    "trajectory-balance-learned": lambda **kw: TrajectoryBalance(1, log_partition="learned", **kw),
    "trajectory-balance-mixture": lambda **kw: TrajectoryBalance(3, proposal=Proposal("mixture"), **kw),
    "imitation": lambda **kw: Imitation(2, **kw),
    "batch": lambda **kw: ScoreFunctionELBO(2, baseline="batch", **kw),
    "sum-and-sample": lambda **kw: SumAndSample(3, top=1, **kw),
    "sum-over-the-support": lambda **kw: SumAndSample(3, top="support", **kw),
    "unordered-set": lambda **kw: UnorderedSet(3, **kw),
    "gumbel": lambda **kw: GumbelSoftmax(2, temperature=0.5, **kw),
    "dirichlet": lambda **kw: ImplicitDirichlet(2, **kw),
    "straight-through": lambda **kw: GumbelSoftmax(2, straight_through=True, **kw),
    "straight-through-warm-up": lambda **kw: half_warm(
        GumbelSoftmax(2, straight_through=True, kl=KLWarmUp(FOREVER), **kw)
    ),
    "reinmax": lambda **kw: GumbelSoftmax(1, reinmax=True, **kw),
    "tracegraph": TraceGraph,
    "tracegraph-two": lambda **kw: TraceGraph(2, **kw),
    "exact": ExactMarginal,
    "enum": EnumeratedELBO,
    "soft": SoftAttention,
    "disarm": DisARM,
    "rebar": lambda **kw: REBAR(2, **kw),
    "rebar-learned": lambda **kw: REBAR(3, scale=0.5, learned="both", **kw),
    "rebar-fixed": lambda **kw: REBAR(2, scale=-0.7, temperature=2.0, learned=None, **kw),
    "disarm-three": lambda **kw: DisARM(3, **kw),
    "fivo": lambda **kw: FIVO(2, threshold=0.0, **kw),  # what resamples draws more than the guide
}

# Those that do not take the latents of an alignment, and of a chain.
NO_ALIGNMENT = {"fivo": "takes programs with init and step"}
NO_CHAIN = dict.fromkeys(
    ("sum-and-sample", "sum-over-the-support"), "takes one Categorical latent an instance"
)
NO_CHAIN |= dict.fromkeys(("rebar", "rebar-learned", "rebar-fixed"), "logits depend on no draw")
# What the host asks the device in a step, where it asks anything.
ASKS = {"sum-over-the-support": ["_local_scalar_dense"]}  # how large the largest support is
ALIGNMENTS = [name for name in OBJECTIVES if name not in NO_ALIGNMENT]
CHAINS = [name for name in OBJECTIVES if name not in NO_CHAIN]


ACROSS_DATA = {"batch"}  # compare a datum with others, so that its gradient is not one of itself alone
POLICY_ONLY = {"imitation"}  # train the model's choices, and nothing that reads out or observes

DRAW_THEMSELVES = (SumAndSample, UnorderedSet, DisARM)  # by a handler close to the guide


# By class, or by setting where it differs: name, bound, unbiased.
EXPECTED: dict[Any, tuple[str, str, bool]] = {
    ScoreFunctionELBO: ("elbo", "elbo", True),
    "nvil": ("elbo", "elbo", False),
    Hybrid: ("hybrid", "elbo", False),
    TraceGraph: ("tracegraph", "elbo", False),
    IWAE: ("iwae", "iw", True),
    VIMCO: ("vimco", "iw", True),
    OVIS: ("ovis", "iw", False),
    "ovis-unbiased": ("ovis", "iw", True),
    ReweightedWakeSleep: ("rws", "iw", False),
    TrajectoryBalance: ("trajectory-balance", "iw", False),
    Imitation: ("imitation", "none", False),
    GumbelSoftmax: ("gumbel", "none", False),
    SumAndSample: ("sum-and-sample", "elbo", True),
    UnorderedSet: ("unordered-set", "elbo", True),
    ImplicitDirichlet: ("dirichlet", "none", False),
    REBAR: ("rebar", "elbo", True),
    DisARM: ("disarm", "elbo", True),
    FIVO: ("fivo", "iw", False),
    ExactMarginal: ("exact", "exact", True),
    EnumeratedELBO: ("enum", "elbo", True),
    SoftAttention: ("soft", "none", False),
}
