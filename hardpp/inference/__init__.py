"""Objectives for any Pyro model and guide, and what they are made of.

from hardpp.inference import VIMCO, ExactMarginal
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hardpp.inference.control.baselines import AverageBaseline as AverageBaseline
    from hardpp.inference.control.baselines import Baseline as Baseline
    from hardpp.inference.control.baselines import LearnedBaseline as LearnedBaseline
    from hardpp.inference.control.schedules import EntropyBonus as EntropyBonus
    from hardpp.inference.control.schedules import KLWarmUp as KLWarmUp
    from hardpp.inference.dirichlet import ImplicitDirichlet as ImplicitDirichlet
    from hardpp.inference.disarm import DisARM as DisARM
    from hardpp.inference.exact import EnumeratedELBO as EnumeratedELBO
    from hardpp.inference.exact import ExactMarginal as ExactMarginal
    from hardpp.inference.fivo import FIVO as FIVO
    from hardpp.inference.gumbel import GumbelSoftmax as GumbelSoftmax
    from hardpp.inference.hybrid import Hybrid as Hybrid
    from hardpp.inference.importance_weighted import IWAE as IWAE
    from hardpp.inference.importance_weighted import VIMCO as VIMCO
    from hardpp.inference.objective import SampledObjective as SampledObjective
    from hardpp.inference.objective import SurrogateObjective as SurrogateObjective
    from hardpp.inference.ovis import OVIS as OVIS
    from hardpp.inference.relaxed import RelaxedObjective as RelaxedObjective
    from hardpp.inference.score_function import ScoreFunctionELBO as ScoreFunctionELBO
    from hardpp.inference.soft_attention import SoftAttention as SoftAttention
    from hardpp.inference.sum_and_sample import SumAndSample as SumAndSample
    from hardpp.inference.tracegraph import TraceGraph as TraceGraph
    from hardpp.inference.trajectory_balance import TrajectoryBalance as TrajectoryBalance
    from hardpp.inference.wake_sleep import ReweightedWakeSleep as ReweightedWakeSleep
    from hardpp.inference.weights.weigh import weigh as weigh
    from hardpp.types import Estimate as Estimate

_MODULE_OF = {
    "AverageBaseline": "control.baselines",
    "Baseline": "control.baselines",
    "DisARM": "disarm",
    "EntropyBonus": "control.schedules",
    "EnumeratedELBO": "exact",
    "Estimate": "objective",
    "ExactMarginal": "exact",
    "FIVO": "fivo",
    "GumbelSoftmax": "gumbel",
    "Hybrid": "hybrid",
    "IWAE": "importance_weighted",
    "ImplicitDirichlet": "dirichlet",
    "KLWarmUp": "control.schedules",
    "LearnedBaseline": "control.baselines",
    "OVIS": "ovis",
    "RelaxedObjective": "relaxed",
    "ReweightedWakeSleep": "wake_sleep",
    "SampledObjective": "objective",
    "ScoreFunctionELBO": "score_function",
    "SoftAttention": "soft_attention",
    "SumAndSample": "sum_and_sample",
    "SurrogateObjective": "objective",
    "TraceGraph": "tracegraph",
    "TrajectoryBalance": "trajectory_balance",
    "VIMCO": "importance_weighted",
    "weigh": "weights.weigh",
}
__all__ = list(_MODULE_OF)


# Lazily (PEP 562): to import this package alone does not import torch.
def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
