"""Connectionist temporal classification: the tokens of an utterance, all alignments summed out.

    p(y) = sum over labellings of the frames that join to y, of prod_t p(label[t] | frames)

The end of an utterance is the end of its frames, so the end mark is not said, and its symbol serves as the
blank.

Source: Graves, Fernandez, Gomez and Schmidhuber (2006), Connectionist Temporal Classification.
Shapes: B data, S frames, T tokens with the end mark, V symbols.
"""

from copy import copy
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from hardpp.ops.lattice import arc_probabilities, log_total
from hardpp.ops.lattice_ctc import ctc_arcs, ctc_end
from hardpp.ops.precision import log_softmax


class CTCSequence(TorchDistribution):
    """Token sequences (B, T) that end with the boundary symbol.

    Args:
        logits: (B, S, V) of every frame; normalised here.
        source_mask: (B, S) bool, which frames are there; right-padded.
        target_mask: (B, T) bool, which tokens are, end mark included; right-padded, at least one a row.
        boundary: the end mark, which is also the blank.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, logits: Tensor, source_mask: Tensor, target_mask: Tensor, boundary: int = 0):
        self.log_probs = log_softmax(logits)
        self.frames, self.said, self.boundary = source_mask.sum(-1), target_mask.sum(-1) - 1, boundary
        super().__init__(target_mask.shape[:-1], target_mask.shape[-1:], validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "CTCSequence":
        """The same tokens in more plates."""
        new = copy(self)
        new._batch_shape = torch.Size(batch_shape)
        return new

    @property
    def support(self) -> Any:
        """Whole numbers."""
        return constraints.independent(constraints.nonnegative_integer, 1)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(tokens), (..., B), in nats; minus infinity if the frames are too few."""
        arcs = self._arcs(value)
        return log_total(arcs, self._end(arcs)).expand(self.batch_shape)

    def token_frames(self, value: Tensor) -> Tensor:
        """How probable it is that a frame is the first to say each token, (B, T - 1, S); without gradient.

        Every token has a first frame, later than that of the token before it, so each row sums to one
        (to zero if it is padding, or if the frames are too few) and medians are in order.
        """
        arcs = self._arcs(value)
        taken = arc_probabilities(arcs, self._end(arcs))  # by the state that is left
        # Whoever stays on a state has said its token before.
        climbed = [torch.nn.functional.pad(taken[..., : taken.shape[-2] - j, j], (j, 0)) for j in (1, 2)]
        return (climbed[0] + climbed[1])[..., 1::2].transpose(-1, -2)

    def _arcs(self, value: Tensor) -> Tensor:
        return ctc_arcs(self.log_probs, self.frames, value[:, :-1], self.boundary)

    def _end(self, arcs: Tensor) -> Tensor:
        return ctc_end(self.said, arcs.shape[-2], arcs.dtype)
