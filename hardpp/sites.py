"""Site names and plates that models and guides share.

Shapes: B data, T output steps or questions.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pyro
from pyro import poutine
from pyro.poutine.runtime import _ENUM_ALLOCATOR
from torch import Tensor

ALIGNMENT = "alignment"  # the source position that an output symbol attends to
SYMBOL = "symbol"  # the output symbol
REGION = "region"  # the region of an image that a question or word attends to
ANSWER = "answer"  # the answer to a question
LOCATION = "location"  # centres and scales of all glimpses of an image
GLIMPSE = "glimpse"  # the place of a glimpse, see `glimpse`
SHOWN = "shown"  # how many patches of an image are shown
LABEL = "label"  # the class of an image
CODE = "code"  # what an image is made from, a vector of features
PIXELS = "pixels"  # of an image
STEPS = "steps"  # the plate of output steps
DECISIONS = "decisions"  # all decisions of an utterance to emit a token or to consume a frame


def glimpse(number: int) -> str:
    """The site of the place of the glimpse of a number, from 1."""
    return f"{GLIMPSE}_{number}"


@contextmanager
def output_steps(mask: Tensor) -> Iterator[None]:
    """Plates data (outermost) and steps for a (B, T) bool mask; padded steps carry no probability."""
    with _plates("data", STEPS, mask):
        yield


@contextmanager
def sentences(size: int, device: str) -> Iterator[None]:
    """Plate data alone; all steps of a sentence, a plate in `output_steps`, are in the event of its site."""
    with pyro.plate("data", size, dim=-1, device=device):
        yield


@contextmanager
def aside() -> Iterator[None]:
    """Runs programs of which no handler outside knows, and which leave Pyro's count of dims as it was."""
    before = {
        name: dict(value) if isinstance(value, dict) else value
        for name, value in vars(_ENUM_ALLOCATOR).items()
    }
    try:
        with poutine.block():
            yield
    finally:
        vars(_ENUM_ALLOCATOR).update(before)


@contextmanager
def questions(mask: Tensor) -> Iterator[None]:
    """Plates images (outermost) and questions for a (B, T) bool mask; False where there is no question."""
    with _plates("images", "questions", mask):
        yield


@contextmanager
def utterances(size: int, device: str) -> Iterator[None]:
    """Plate utterances; all steps of an utterance are in the event of its site."""
    with pyro.plate("utterances", size, dim=-1, device=device):
        yield


@contextmanager
def images(size: int, device: str) -> Iterator[None]:
    """Plate images; all glimpses of an image are in the event of their site, and so are all of its pixels."""
    with pyro.plate("images", size, dim=-1, device=device):
        yield


@contextmanager
def _plates(outer: str, inner: str, mask: Tensor) -> Iterator[None]:
    B, T = mask.shape
    rows = pyro.plate(outer, B, dim=-2, device=str(mask.device))
    columns = pyro.plate(inner, T, dim=-1, device=str(mask.device))
    with rows, columns, poutine.mask(mask=mask):
        yield
