"""Types that all rooms share: batches, estimates of objectives, records of training, programs.

Shapes: B data, T output steps or questions, S source positions, regions or frames, L words, F features,
K particles.
"""

from typing import Any, Literal, NamedTuple, Protocol, Self

import torch
from torch import Tensor, device


class SequenceBatch(NamedTuple):
    """Sources with target sequences: pairs of sequences, speech with its tokens, images with their captions.

    Sequences are padded on the right and end with the boundary symbol, 0, which also stands before the first
    symbol. Padding is never read; the masks say what is there.
    """

    source: Tensor  # (B, S) int64; (B, S, F) float32 frames or regions; (B, channels, height, width) pixels
    source_mask: Tensor  # (B, S) bool, at least one True a row
    target: Tensor  # (B, T) int64
    target_mask: Tensor  # (B, T) bool, at least one True a row

    @property
    def size(self) -> int:
        return self.target.shape[0]

    @property
    def symbols(self) -> Tensor:  # end marks included
        return self.target_mask.sum()

    def to(self, where: device | str) -> "SequenceBatch":
        return SequenceBatch(*(part.to(where) for part in self))


class QuestionBatch(NamedTuple):
    """Images with the questions asked about each and their answers; questions are padded on the right.

    An image is given by its pixels, or by features of regions that were detected in it. Where `target_mask`
    is False there is no question, or its answer is unknown.
    """

    source: Tensor  # (B, 3, height, width) uint8 pixels, or (B, S, F) features of regions
    source_mask: Tensor  # (B, S) bool, which regions are there; at least one True a row
    question: Tensor  # (B, T, L) int64
    question_mask: Tensor  # (B, T, L) bool
    target: Tensor  # (B, T) int64, the answers
    target_mask: Tensor  # (B, T) bool

    @property
    def size(self) -> int:
        return self.target.shape[0]

    @property
    def symbols(self) -> Tensor:
        return self.target_mask.sum()

    def to(self, where: device | str) -> "QuestionBatch":
        return QuestionBatch(*(part.to(where) for part in self))


class ImageBatch(NamedTuple):
    """Images of one size with their labels."""

    source: Tensor  # (B, channels, height, width) uint8; or floating features of theirs, (B, F, C, C)
    target: Tensor  # (B,) int64 labels
    # (B, G, 2) floating, y and x from -1 to 1: centres of the glimpses that were recorded of an image, NaN
    # where none were; None: of no image.
    recorded: Tensor | None = None

    @property
    def size(self) -> int:
        return self.target.shape[0]

    @property
    def symbols(self) -> Tensor:
        return torch.full((), self.size, device=self.target.device)

    def to(self, where: device | str) -> "ImageBatch":
        recorded = None if self.recorded is None else self.recorded.to(where)
        return ImageBatch(self.source.to(where), self.target.to(where), recorded)


class PartlySeenBatch(NamedTuple):
    """Images of one size of which parts may have been seen, with their labels."""

    source: Tensor  # (B, channels, height, width) uint8
    target: Tensor  # (B,) int64 labels
    seen: Tensor  # (B, height, width) bool

    @property
    def size(self) -> int:
        return self.target.shape[0]

    @property
    def symbols(self) -> Tensor:
        return torch.full((), self.size, device=self.target.device)

    def to(self, where: device | str) -> "PartlySeenBatch":
        return PartlySeenBatch(*(part.to(where) for part in self))


class Batch(Protocol):
    """What training needs of any batch; programs know its fields."""

    @property
    def size(self) -> int:
        """B, the number of data."""

    @property
    def symbols(self) -> Tensor:
        """The number of predicted symbols, (), by which reported bounds are divided."""

    def to(self, where: device | str) -> Self:
        """The same batch on another device."""


# What an objective may need of the programs that it trains, and what a model family may lack:
#   latents          there are latent sites, which can be drawn
#   marginal         log p(y), all latents summed out, can be computed
#   enumerable       each latent can be summed over by itself, given what it depends on
#   relaxable        latents may arrive as weights over their values in place of one of them
#   independent      no latent of a datum's own depends on another one of them
#   emission-counts  it can be told how many symbols were emitted before each decision
#   predictions      what is observed has a likeliest value at each of its elements
#   policy           how latents are chosen is learnt: the model has parameters for it
#   dreams           one run of the model draws observations, too
Need = Literal[
    "latents",
    "marginal",
    "enumerable",
    "relaxable",
    "independent",
    "emission-counts",
    "predictions",
    "policy",
    "dreams",
]
Prediction = Literal["marginal", "expected"]  # latents are summed out, or replaced by their expected values


class Estimate(NamedTuple):
    """An objective's estimate for one batch; bounds and weights in nats."""

    bound: Tensor  # (B,) detached, per datum
    surrogate: Tensor  # () its gradient is the estimator's; the sum over data, to be maximised
    log_weights: Tensor | None  # (K, B) detached log p - log q of every particle, per datum
    diagnostics: dict[str, Tensor]  # detached, per datum (B,) or scalar


class Record(NamedTuple):
    """What is recorded of one step, or of one validation on the dev part; bounds in nats per symbol."""

    split: str  # "train" or "dev"
    step: int  # optimiser steps done
    epoch: int  # epochs done, or under way
    bound: Tensor | float  # per symbol; a tensor while on the device
    values: dict[str, float]


class Program(Protocol):
    """A model or guide: calling it, on a batch or on whatever it takes, runs its sample statements."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
