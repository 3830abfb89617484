"""The lattice of connectionist temporal classification.

Every frame emits a symbol or a blank; repeated symbols are joined, then blanks are removed. For n tokens
there are 2 n + 1 states: blank, token 1, blank, token 2, ... blank. At each frame a path stays, moves to the
next state, or skips the blank between two different tokens. It ends in the last token or the blank after it.

Source: Graves, Fernandez, Gomez and Schmidhuber (2006), Connectionist Temporal Classification, section 4.1.
Shapes: B data, S frames (the steps of the lattice), T tokens, V symbols.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad


def ctc_arcs(log_probs: Tensor, frames: Tensor, target: Tensor, blank: int) -> Tensor:
    """Log-probabilities of the symbol of the state that a frame moves to, as arcs of the lattice.

    Args:
        log_probs: (B, S, V) of every frame.
        frames: (B,) int64, how many there are.
        target: (B, T) tokens; those of padding are any symbol.
        blank: the symbol that stands for nothing.

    Returns:
        (B, S, 2 T + 1, 3); after the last frame paths stay where they are.
    """
    states = torch.stack([torch.full_like(target, blank), target], -1).flatten(-2)
    states = pad(states, (0, 1), value=blank)  # (B, 2 T + 1), the symbol of each
    symbols = log_probs.gather(-1, states.unsqueeze(1).expand(-1, log_probs.shape[1], -1))  # (B, S, 2 T + 1)
    arcs = torch.stack([pad(symbols[..., j:], (0, j), value=-torch.inf) for j in range(3)], -1)
    skips = torch.zeros_like(states, dtype=torch.bool)
    skips[:, 1:-2:2] = ~without_skip(target, blank)[:, 1:]
    allowed = torch.stack([torch.ones_like(skips), torch.ones_like(skips), skips], -1).unsqueeze(1)
    over = torch.arange(log_probs.shape[1], device=frames.device) >= frames.unsqueeze(-1)
    stay = arcs.new_full((3,), -torch.inf)
    stay[0] = 0.0
    return torch.where(over[..., None, None], stay, arcs.masked_fill(~allowed, -torch.inf))


def without_skip(target: Tensor, blank: int) -> Tensor:
    """Which tokens can only follow a blank, (B, T) bool, and not the token before: the same, or a blank.

    The first token follows none.
    """
    before, after = target[:, :-1], target[:, 1:]
    return pad((after == before) | (after == blank) | (before == blank), (1, 0))[:, : target.shape[-1]]


def first_frames(taken: Tensor) -> Tensor:
    """The probability that each frame is the first of each token, (..., S, T), of arcs (..., S, 2 T + 1, 3).

    A path that stays in a state has emitted its token before.
    """
    entering = [pad(taken[..., : taken.shape[-2] - j, j], (j, 0)) for j in (1, 2)]
    return (entering[0] + entering[1])[..., 1::2]


def ctc_end(tokens: Tensor, states: int, dtype: torch.dtype) -> Tensor:
    """The weights of ending in each state, (B, 2 T + 1), for (B,) int64 numbers of tokens."""
    last = 2 * tokens.unsqueeze(-1)
    state = torch.arange(states, device=tokens.device)
    ends = (state == last) | (state == last - 1)
    return torch.where(ends, 0.0, -torch.inf).to(dtype)
