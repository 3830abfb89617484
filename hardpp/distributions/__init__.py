"""Distributions for sample sites: whole sequences, locations of glimpses, large vocabularies."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hardpp.distributions.categorical import Categorical as Categorical
    from hardpp.distributions.ctc import CTCSequence as CTCSequence
    from hardpp.distributions.decisions import (
        Decider as Decider,
    )
    from hardpp.distributions.decisions import (
        Decisions as Decisions,
    )
    from hardpp.distributions.decisions import (
        GridDecisions as GridDecisions,
    )
    from hardpp.distributions.emissions import Emissions as Emissions
    from hardpp.distributions.emissions import GridEmissions as GridEmissions
    from hardpp.distributions.glimpses import Glimpses as Glimpses
    from hardpp.distributions.glimpses import Policy as Policy
    from hardpp.distributions.linear_categorical import LinearCategorical as LinearCategorical
    from hardpp.distributions.location_spaces import (
        CentreAndScale as CentreAndScale,
    )
    from hardpp.distributions.location_spaces import (
        ContinuousSpace as ContinuousSpace,
    )
    from hardpp.distributions.location_spaces import (
        GridSpace as GridSpace,
    )
    from hardpp.distributions.location_spaces import (
        Locations as Locations,
    )
    from hardpp.distributions.repeated_label import RepeatedLabel as RepeatedLabel
    from hardpp.distributions.step_independent import DependentSteps as DependentSteps
    from hardpp.distributions.step_independent import StepIndependent as StepIndependent
    from hardpp.distributions.truncated_normal import TruncatedNormal as TruncatedNormal

_NAMES_OF = {
    "categorical": "Categorical",
    "ctc": "CTCSequence",
    "decisions": "Decider Decisions GridDecisions",
    "emissions": "Emissions GridEmissions",
    "glimpses": "Glimpses Policy",
    "linear_categorical": "LinearCategorical",
    "location_spaces": "CentreAndScale ContinuousSpace GridSpace Locations",
    "repeated_label": "RepeatedLabel",
    "step_independent": "DependentSteps StepIndependent",
    "truncated_normal": "TruncatedNormal",
}
_MODULE_OF = {name: module for module, names in _NAMES_OF.items() for name in names.split()}
__all__ = sorted(_MODULE_OF)


# Lazily (PEP 562): to import this package alone does not import torch.
def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
