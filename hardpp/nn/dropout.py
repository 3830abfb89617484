"""Dropout whose masks are cheap to draw.

On the CPU torch draws a number for every feature, which took a seventh of a training step. Here four features
share the bits of one number: a feature is dropped if its 16 bits are below a threshold. CUDA has a kernel of
its own, which does all at once.

Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov (2014), Dropout: A Simple Way to Prevent
Neural Networks from Overfitting.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from hardpp.ops.precision import wide

LEVELS = 2**16  # a share to drop is a whole number of so many parts


class Dropout(nn.Module):
    """Drops features at random while training, and makes up for it by scaling those that are kept.

    Args:
        p: share of the features that are dropped. Except on CUDA it is rounded to a 65,536th.
        rows: are whole rows, of the last dim, dropped or kept together?

    Raises:
        ValueError: p is not in [0, 1].
    """

    def __init__(self, p: float = 0.5, *, rows: bool = False):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"the share p that is dropped must be in [0, 1], got {p}")
        self.p, self.rows = p, rows

    def forward(self, features: Tensor) -> Tensor:
        """Maps (..., F) to (..., F); the same features in evaluation mode, or if nothing is dropped."""
        if not self.training or self.p == 0:
            return features
        masked = features[..., :1] if self.rows else features
        if features.device.type != "cuda" and not torch.compiler.is_compiling():
            return (features * dropout_mask(masked, self.p)).to(features.dtype)
        if self.rows:
            return features * dropout(torch.ones_like(masked), self.p)
        return dropout(features, self.p)

    def extra_repr(self) -> str:
        return f"{self.p}, rows={self.rows}"


def dropout_mask(like: Tensor, p: float) -> Tensor:
    """What to multiply features by: 0, or the reciprocal of the share that is kept.

    Args:
        like: floating.
        p: share that is dropped, rounded to a 65,536th; all are dropped by 1 only.

    Returns:
        The shape of `like`; float32 or wider.
    """
    if p == 1:
        return torch.zeros_like(like, dtype=wide(like.dtype))
    dropped = min(round(p * LEVELS), LEVELS - 1)
    numbers = torch.empty(-(-like.numel() // 4), dtype=torch.int64, device=like.device)
    bits = numbers.random_(-(2**63), None).view(torch.int16)[: like.numel()].view(like.shape)
    mask = torch.empty(like.shape, dtype=wide(like.dtype), device=like.device)
    return torch.ge(bits, dropped - LEVELS // 2, out=mask).mul_(LEVELS / (LEVELS - dropped))
