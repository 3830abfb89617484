"""The ladder of connectionist temporal classification.

Every frame says a symbol or a blank; runs of one symbol are joined and then blanks left out. For n tokens the
rungs are blank, token 1, blank, token 2, .. blank (2 n + 1); a frame may stay, climb one, or climb over the
blank between two different tokens. A path ends on the last token or on the blank after it.

Source: Graves, Fernandez, Gomez and Schmidhuber (2006), Connectionist Temporal Classification, section 4.1.
Shapes: B data, S frames (the steps of the ladder), T tokens, V symbols.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad


def ctc_rungs(target: Tensor, blank: int) -> Tensor:
    """What is said on each rung, (B, 2 T + 1), of tokens (B, T)."""
    each = torch.stack([torch.full_like(target, blank), target], -1).flatten(-2)
    return pad(each, (0, 1), value=blank)


def ctc_arcs(log_probs: Tensor, frames: Tensor, target: Tensor, blank: int) -> Tensor:
    """Log-probabilities of what is said on the rung that a frame gets to, as arcs of the ladder.

    Args:
        log_probs: (B, S, V) of every frame.
        frames: (B,) int64, how many there are.
        target: (B, T) tokens; those of padding are any symbol.
        blank: the symbol that stands for nothing.

    Returns:
        (B, S, 2 T + 1, 3); after the last frame paths stay where they are.
    """
    rungs = ctc_rungs(target, blank)
    said = log_probs.gather(-1, rungs.unsqueeze(1).expand(-1, log_probs.shape[1], -1))  # (B, S, 2 T + 1)
    arcs = torch.stack([pad(said[..., j:], (0, j), value=-torch.inf) for j in range(3)], -1)
    after = pad(rungs[:, 2:], (0, 2), value=blank)
    skips = (rungs != blank) & (after != blank) & (after != rungs)
    allowed = torch.stack([torch.ones_like(skips), torch.ones_like(skips), skips], -1).unsqueeze(1)
    over = torch.arange(log_probs.shape[1], device=frames.device) >= frames.unsqueeze(-1)
    stay = arcs.new_full((3,), -torch.inf)
    stay[0] = 0.0
    return torch.where(over[..., None, None], stay, arcs.masked_fill(~allowed, -torch.inf))


def ctc_end(tokens: Tensor, rungs: int, dtype: torch.dtype) -> Tensor:
    """The weights of ending on each rung, (B, 2 T + 1), for (B,) int64 numbers of tokens."""
    last = 2 * tokens.unsqueeze(-1)
    rung = torch.arange(rungs, device=tokens.device)
    ends = (rung == last) | (rung == last - 1)
    return torch.where(ends, 0.0, -torch.inf).to(dtype)
