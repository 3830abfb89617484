"""Models: generative programs. They name their sample sites and say nothing about inference."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hardpp.models.captioner import Captioner as Captioner
    from hardpp.models.ctc import CTC as CTC
    from hardpp.models.glimpse_classifier import GlimpseClassifier as GlimpseClassifier
    from hardpp.models.latent_alignment import LatentAlignment as LatentAlignment
    from hardpp.models.online_alignment import OnlineAlignment as OnlineAlignment
    from hardpp.models.question_answering import QuestionAnswering as QuestionAnswering
    from hardpp.models.transducer import TransducerAlignment as TransducerAlignment

_MODULE_OF = {
    "CTC": "ctc",
    "Captioner": "captioner",
    "GlimpseClassifier": "glimpse_classifier",
    "LatentAlignment": "latent_alignment",
    "OnlineAlignment": "online_alignment",
    "QuestionAnswering": "question_answering",
    "TransducerAlignment": "transducer",
}
__all__ = list(_MODULE_OF)


# Lazily (PEP 562): to import this package alone does not import torch.
def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
