"""Objectives for any Pyro model and guide, and what they are made of.

    from hardpp.inference import VIMCO, ExactMarginal

Names are imported when they are first asked for: `import hardpp.inference` alone needs no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hardpp.inference.control.baselines import AverageBaseline, Baseline, LearnedBaseline
    from hardpp.inference.control.schedules import EntropyBonus, KLWarmUp
    from hardpp.inference.dirichlet import ImplicitDirichlet
    from hardpp.inference.disarm import DisARM
    from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
    from hardpp.inference.fivo import FIVO
    from hardpp.inference.gumbel import GumbelSoftmax
    from hardpp.inference.hybrid import Hybrid
    from hardpp.inference.importance_weighted import IWAE, VIMCO
    from hardpp.inference.objective import SampledObjective, SurrogateObjective
    from hardpp.inference.ovis import OVIS
    from hardpp.inference.relaxed import RelaxedObjective
    from hardpp.inference.score_function import ScoreFunctionELBO
    from hardpp.inference.soft_attention import SoftAttention
    from hardpp.inference.sum_and_sample import SumAndSample
    from hardpp.inference.tracegraph import TraceGraph
    from hardpp.inference.trajectory_balance import TrajectoryBalance
    from hardpp.inference.wake_sleep import ReweightedWakeSleep
    from hardpp.inference.weights.weigh import weigh
    from hardpp.types import Estimate

_NAMES = {
    "control.baselines": ("AverageBaseline", "Baseline", "LearnedBaseline"),
    "control.schedules": ("EntropyBonus", "KLWarmUp"),
    "dirichlet": ("ImplicitDirichlet",),
    "disarm": ("DisARM",),
    "exact": ("EnumeratedELBO", "ExactMarginal"),
    "fivo": ("FIVO",),
    "gumbel": ("GumbelSoftmax",),
    "hybrid": ("Hybrid",),
    "importance_weighted": ("IWAE", "VIMCO"),
    "objective": ("Estimate", "SampledObjective", "SurrogateObjective"),
    "ovis": ("OVIS",),
    "relaxed": ("RelaxedObjective",),
    "score_function": ("ScoreFunctionELBO",),
    "soft_attention": ("SoftAttention",),
    "sum_and_sample": ("SumAndSample",),
    "tracegraph": ("TraceGraph",),
    "trajectory_balance": ("TrajectoryBalance",),
    "wake_sleep": ("ReweightedWakeSleep",),
    "weights.weigh": ("weigh",),
}
_MODULES = {name: f"{__name__}.{module}" for module, names in _NAMES.items() for name in names}

__all__ = [
    "FIVO",
    "IWAE",
    "OVIS",
    "VIMCO",
    "AverageBaseline",
    "Baseline",
    "DisARM",
    "EntropyBonus",
    "EnumeratedELBO",
    "Estimate",
    "ExactMarginal",
    "GumbelSoftmax",
    "Hybrid",
    "ImplicitDirichlet",
    "KLWarmUp",
    "LearnedBaseline",
    "RelaxedObjective",
    "ReweightedWakeSleep",
    "SampledObjective",
    "ScoreFunctionELBO",
    "SoftAttention",
    "SumAndSample",
    "SurrogateObjective",
    "TraceGraph",
    "TrajectoryBalance",
    "weigh",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
