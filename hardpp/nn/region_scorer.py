"""Attention scores of image regions for a question; at first they are the same for every question.

    score[b, t, s] = w^T tanh(W1 x[b, s] + g W2 q[b, t])          with W2 = 0 at the start

The prior of Deng et al. (2018), section 5; the gain g is ours. Before the readout can use a region's
features, they only disturb it. A question that is slow to learn then tends to attend to empty regions, and
never learns. While all questions have the same scores, those that learn quickly teach the others which
regions matter; g slows W2 down, so that this lasts long enough.

Source: Deng, Kim, Chiu, Guo and Rush (2018), Latent Alignment and Variational Attention.
Shapes: B images, T questions, S regions, Q query features, M memory features.
"""

from torch import Tensor, nn

from hardpp.nn.attention import AdditiveScorer

GAIN = 0.1  # g: optimisers like Adam move W2 a tenth as fast as the rest


class RegionScorer(AdditiveScorer):
    """How well each region fits each question; see `hardpp.nn.attention.Scorer`.

    Args:
        query: Q.
        memory: M.
        hidden: features of w.
    """

    def __init__(self, query: int, memory: int, hidden: int):
        super().__init__(query, memory, hidden)
        nn.init.zeros_(self.query.weight)

    def forward(self, query: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """Scores (B, T, S) of queries (B, T, Q) against `keys(memory)`; mask is (B, S) bool."""
        return super().forward(GAIN * query, keys, mask)
