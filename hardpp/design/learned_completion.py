"""Completion by a learnt sampler: a network of what was seen gives codes, and a decoder makes images of them.

    code_n ~ q(code | seen pixels, mask),    x_n = the mean of p(pixels | code_n)

Pixels that were seen are in all completions as they were seen.

Trained to cover the codes of all images that agree with what was seen, q needs no search and no weights. Its
draws may also be weighed by how well they agree,

    log W_n = log p(code_n) + sum over seen pixels of log p(x | code_n) - log q(code_n | seen)

which mends a q that is too wide; one that is too narrow leaves few draws that count.

Source: Harvey, Naderiparizi and Wood (2022), Conditional image generation by conditioning variational
auto-encoders.
Shapes: N completions, C channels, height x width the image, D features of a code.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hardpp.design.completion import Completions

# Makes the distribution of codes of images (1, C, height, width) uint8 seen at (1, height, width) bool: of
# the plates (1,) or none, with the event (D,).
Encode = Callable[[Tensor, Tensor], Any]
# Makes the distribution of pixels (N, C, height, width), each by itself, and its `mean`, of codes (N, D).
Decode = Callable[[Tensor], Any]


class LearnedCompletion:
    """Draws of a partial encoder, decoded.

    Args:
        encode: what codes images may have of which a part was seen, such as `ImageVAE.codes`.
        decode: the pixels that images of codes have, such as `ImageVAE.pixels`. Both in evaluation mode.
        draws: N.
        prior: log-probability of codes (N, D) under the decoder's prior, (N,); with it draws are weighed, and
            without it all weigh the same.
        device: where the networks are. Images may be elsewhere; their completions are where they are.
        first: how many draws where nothing was seen; None: N.
    """

    def __init__(
        self,
        encode: Encode,
        decode: Decode,
        draws: int = 100,
        prior: Callable[[Tensor], Tensor] | None = None,
        device: torch.device | str = "cpu",
        *,
        first: int | None = None,
    ):
        if draws < 1:
            raise ValueError(f"expected at least 1 draw, got {draws}")
        self.encode, self.decode, self.draws, self.prior = encode, decode, draws, prior
        self.first = draws if first is None else first
        self.device = torch.device(device)

    @torch.no_grad()
    def complete(self, pixels: Tensor, seen: Tensor, seed: int) -> Completions:
        """See `hardpp.design.completion.Completion`."""
        mask = seen.to(self.device)
        blank = pixels.to(self.device).masked_fill(~mask, 0)  # so that nothing else can matter
        codes = self.encode(blank.unsqueeze(0), mask.unsqueeze(0))
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(seed)
            draws = self.draws if bool(seen.any()) else self.first
            code = codes.sample((draws,)).reshape(draws, -1)
        decoded = self.decode(code)
        whole = decoded.mean.round().clamp(0, 255).to(torch.uint8)
        log_weights = code.new_zeros(draws, dtype=torch.float64)
        if self.prior is not None:
            agrees = (decoded.log_prob(blank) * mask).double().sum((1, 2, 3))
            log_q = codes.log_prob(code.unsqueeze(1) if codes.batch_shape else code).reshape(draws)
            log_weights = self.prior(code).double() + agrees - log_q.double()
        whole = torch.where(mask, blank, whole)
        return Completions(whole.to(pixels.device), log_weights.to(pixels.device))
