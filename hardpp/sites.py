"""Names of the random variables, and the plates, that models and guides share.

Shapes: B data, T output steps or questions.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pyro
from pyro import poutine
from torch import Tensor

ALIGNMENT = "alignment"  # which source position an output symbol looks at
SYMBOL = "symbol"  # the output symbol itself
REGION = "region"  # which region of an image a question is answered from
ANSWER = "answer"  # the answer itself
LOCATION = "location"  # where, and at which scale, all glimpses of an image are
LABEL = "label"  # what an image shows
DECISIONS = "decisions"  # all decisions of an utterance to emit a token or to consume a frame


@contextmanager
def output_steps(mask: Tensor) -> Iterator[None]:
    """Plates data (outermost) and steps for a (B, T) bool mask; padded steps carry no probability."""
    with _plates("data", "steps", mask):
        yield


@contextmanager
def questions(mask: Tensor) -> Iterator[None]:
    """Plates images (outermost) and questions for a (B, T) bool mask; where it is False nothing is asked."""
    with _plates("images", "questions", mask):
        yield


@contextmanager
def utterances(size: int, device: str) -> Iterator[None]:
    """Plate utterances, of so many data; what an utterance holds is in the events of its sites."""
    with pyro.plate("utterances", size, dim=-1, device=device):
        yield


@contextmanager
def images(size: int, device: str) -> Iterator[None]:
    """Plate images, of so many data; all glimpses of an image are in the event of their site."""
    with pyro.plate("images", size, dim=-1, device=device):
        yield


@contextmanager
def _plates(outer: str, inner: str, mask: Tensor) -> Iterator[None]:
    B, T = mask.shape
    rows = pyro.plate(outer, B, dim=-2, device=str(mask.device))
    columns = pyro.plate(inner, T, dim=-1, device=str(mask.device))
    with rows, columns, poutine.mask(mask=mask):
        yield
