"""A categorical distribution that gives most values a probability of exactly zero.

    p = sparsemax(scores), 1.5-entmax(scores), or the softmax of the K largest scores

Values outside the support have log-probability -inf and are never drawn; whatever sums over all values may
leave them out (`hardpp.inference.sum_and_sample` does). The gradient of the probabilities is that of the
transform (`hardpp.ops.sparse_softmax`): scores outside the support have none.

As a prior it makes data impossible that only other values explain, and the evidence lower bound of a guide
that draws such a value is -inf: let the guide be the prior, or sum the latent out. As a guide it cannot learn
from dreams of values outside its support, and a Dirichlet in its place is infinitely far from a prior of more
values.

Sources: Correia, Niculae, Aziz and Martins (2020), Efficient Marginalization of Discrete and Structured
Latent Variables via Sparsity; and those of `hardpp.ops.sparse_softmax`.
Shapes: ... = batch, S values.
"""

from torch import Tensor

from hardpp.distributions.categorical import Categorical
from hardpp.ops.sparse_softmax import Sparsity, sparse_log_softmax


class SparseCategorical(Categorical):
    """Integers 0 .. S-1 with probabilities that are a sparse function of scores (..., S).

    To everything else it is a Categorical whose logits, normalised, are -inf outside the support.

    Args:
        scores: -inf is impossible.
        sparsity: "sparsemax", "entmax15", or how many of the largest scores are kept.

    Raises:
        ValueError: the sparsity is none of these, the scores have no dim, or (validating) hold a NaN.
    """

    def __init__(
        self, scores: Tensor, sparsity: Sparsity = "sparsemax", *, validate_args: bool | None = None
    ):
        if scores.dim() == 0:
            raise ValueError("scores have one dim of values at least, got a scalar")
        super().__init__(sparse_log_softmax(scores, sparsity), validate_args=validate_args)
