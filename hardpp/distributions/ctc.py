"""The distribution of token sequences in connectionist temporal classification (CTC).

    p(y) = sum over alignments of y with the frames, of prod_s p(label[s] | frames)

An alignment gives every frame a token or a blank. No frame emits the end mark, because an utterance ends with
its frames; the symbol of the end mark serves as the blank.

Source: Graves, Fernandez, Gomez and Schmidhuber (2006), Connectionist Temporal Classification.
Shapes: B data, S frames, T tokens with the end mark, V symbols.
"""

from copy import copy
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from hardpp.ops.lattice import arc_probabilities
from hardpp.ops.lattice_ctc import ctc_arcs, ctc_end, first_frames
from hardpp.ops.lattice_ctc_total import ctc_log_total
from hardpp.ops.precision import log_softmax


class CTCSequence(TorchDistribution):
    """Token sequences (B, T), each ending with the boundary symbol; all alignments are summed out.

    Args:
        logits: (B, S, V) of every frame; normalised here.
        source_mask: (B, S) bool, which frames are there; right-padded.
        target_mask: (B, T) bool, which tokens are there, the end mark included; right-padded.
        boundary: the end mark, which is also the blank.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, logits: Tensor, source_mask: Tensor, target_mask: Tensor, boundary: int = 0):
        self.log_probs = log_softmax(logits)
        self.frames, self.tokens, self.boundary = source_mask.sum(-1), target_mask.sum(-1) - 1, boundary
        super().__init__(target_mask.shape[:-1], target_mask.shape[-1:], validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "CTCSequence":
        new = copy(self)
        new._batch_shape = torch.Size(batch_shape)
        return new

    @property
    def support(self) -> Any:
        return constraints.independent(constraints.nonnegative_integer, 1)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(tokens), (..., B), in nats; minus infinity if the frames are too few."""
        target = value[:, :-1]
        total = ctc_log_total(self.log_probs, self.frames, target, self.tokens, self.boundary)
        return total.expand(self.batch_shape)

    def token_frames(self, value: Tensor) -> Tensor:
        """The probability that each frame is the first to emit each token, (B, T - 1, S); without gradient.

        Every token has a first frame, later than that of the token before, so each row sums to one (to zero
        at padding, or if the frames are too few) and medians are in order.
        """
        taken = arc_probabilities(*self._lattice(value))  # by the state that a path leaves
        return first_frames(taken).transpose(-1, -2)

    # The arcs of the lattice and the weights of its ends.
    def _lattice(self, value: Tensor) -> tuple[Tensor, Tensor]:
        arcs = ctc_arcs(self.log_probs, self.frames, value[:, :-1], self.boundary)
        return arcs, ctc_end(self.tokens, arcs.shape[-2], arcs.dtype)
