"""Guides: programs that sample a model's latent sites and may read what the model has to predict."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hardpp.guides.alignment import StepwiseAlignment as StepwiseAlignment
    from hardpp.guides.captioner import SentenceInformed as SentenceInformed
    from hardpp.guides.glimpse import LabelInformed as LabelInformed
    from hardpp.guides.online_alignment import TargetInformed as TargetInformed
    from hardpp.guides.prior import Prior as Prior
    from hardpp.guides.question_answering import AnswerInformed as AnswerInformed
    from hardpp.guides.smoothed_alignment import SmoothedAlignment as SmoothedAlignment

_MODULE_OF = {
    "AnswerInformed": "question_answering",
    "LabelInformed": "glimpse",
    "Prior": "prior",
    "SentenceInformed": "captioner",
    "SmoothedAlignment": "smoothed_alignment",
    "StepwiseAlignment": "alignment",
    "TargetInformed": "online_alignment",
}
__all__ = list(_MODULE_OF)


# Lazily (PEP 562): to import this package alone does not import torch.
def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
