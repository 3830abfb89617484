"""Completion by retrieval: images of a database, drawn by how well they agree with what was seen.

    d_n        = sum over seen pixels of (x - x~_n)^2        x~_n of n's principal components
    proposal   q_n proportional to exp(-d_n / (2 s^2))^beta         M draws; beta: so many count effectively
    weights    w_n = exp(-D_n / (2 s^2)) / q_n                      D_n of the pixels themselves
    completions  N draws by w_n^gamma, the whole part of N W_n of each and the rest at random

Only principal components are kept in memory, and the pixels of M images are read at every step. What patches
say of an image adds up, all of them in one sum. An image does not complete itself: those that are equal to it
in every pixel are left out. Where nothing was seen, N images are drawn evenly.

Source: Harvey, Teng and Wood (2019), Near-optimal glimpse sequences, section 3.3 and the code of its authors,
which differs: see docs/near_optimal.md.
Shapes: N completions, M candidates, D images of the database, F components, C channels, S seen pixels times
channels; height x width the image.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from hardpp.design.completion import Completions
from hardpp.design.tempering import tempered
from hardpp.errors import DataError

Reader = Callable[[Sequence[int]], Tensor]  # images (., C, height, width) uint8 of the database, by number

_FITTED = 2000  # images that components are computed from
_AT_ONCE = 500  # images read together
_COUNT = 0.9  # of M candidates, the share that is to count effectively


class Retrieval:
    """Images of a database.

    Args:
        read: reads images by number.
        size: D.
        completions: N.
        first: how many where nothing was seen; None: N.
        candidates: M; where D is not more, all images are candidates, and there is no proposal.
        components: F.
        deviation: s, of the noise with which pixels are seen, in grey values from 0 to 255.
        least: how many completions are to count effectively, at most N; likelihoods are made flatter until
            they do.

    Raises:
        DataError: the database has fewer than two images.
    """

    def __init__(
        self,
        read: Reader,
        size: int,
        *,
        completions: int = 100,
        first: int | None = None,
        candidates: int = 1000,
        components: int = 64,
        deviation: float = 20.0,
        least: float = 20.0,
    ):
        if size < 2:
            raise DataError(f"a database of {size} images has nothing to complete others with")
        self.read, self.size, self.deviation = read, size, deviation
        self.completions, self.candidates = completions, candidates
        self.first = completions if first is None else first
        self.least = min(least, completions, size)
        self._components: tuple[Tensor, Tensor, Tensor] | None = None
        if size > candidates:
            self._components = self._principal_components(components)

    def complete(self, pixels: Tensor, seen: Tensor, seed: int) -> Completions:
        """Completes an image (C, height, width) uint8 of which `seen` (height, width) bool was seen.

        Raises:
            DataError: the database has no other image.
        """
        generator = torch.Generator().manual_seed(seed)
        if not seen.any():
            drawn = torch.randperm(self.size, generator=generator)[: self.first]
            return Completions(self._read_all(drawn.tolist()), torch.zeros(len(drawn), dtype=torch.float64))
        at = seen.expand(pixels.shape).flatten().nonzero().squeeze(-1)
        there = pixels.flatten()[at].float()
        numbers, log_odds = self._candidates(there, at, generator)
        images = self._read_all(numbers.tolist())
        log_weights = log_odds - self._scaled(images.flatten(1)[:, at].float() - there)
        log_weights = log_weights.masked_fill((images == pixels).flatten(1).all(1), -torch.inf)
        possible = int(log_weights.isfinite().sum())
        if not possible:
            raise DataError("the database has nothing but the image that is to be completed")
        flat = tempered(log_weights, min(self.least, possible))
        counts = drawn_counts(flat.softmax(0), self.completions, generator)
        kept = counts.nonzero().squeeze(-1)
        return Completions(images[kept], counts[kept].double().log())

    # Numbers of images (M',), and the log of how often each was drawn over its probability.
    def _candidates(self, there: Tensor, at: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        if self._components is None:
            return torch.arange(self.size), torch.zeros(self.size, dtype=torch.float64)
        mean, directions, codes = self._components
        within = directions[at]  # (S, F)
        # The squared distance without what all images have in common, so that nothing (D, S) is made.
        cross = codes @ (within.T @ (there - mean[at]))
        log_fit = -((codes @ (within.T @ within) * codes).sum(-1) - 2 * cross).double()
        log_q = tempered(log_fit / (2 * self.deviation**2), _COUNT * self.candidates).log_softmax(0)
        counts = drawn_counts(log_q.exp(), self.candidates, generator)
        numbers = counts.nonzero().squeeze(-1)
        return numbers, counts[numbers].double().log() - log_q[numbers]

    def _scaled(self, apart: Tensor) -> Tensor:
        return apart.double().square().sum(-1) / (2 * self.deviation**2)

    def _principal_components(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        fitted = self._read_all(torch.arange(self.size)[:: -(-self.size // _FITTED)].tolist()).flatten(1)
        mean = fitted.float().mean(0)
        count = min(count, *fitted.shape)
        # Its start is drawn; nothing outside may depend on it, nor it on anything outside.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            _, _, directions = torch.pca_lowrank(fitted.float() - mean, count, center=False)
        codes = [
            (self.read(list(range(start, min(start + _AT_ONCE, self.size)))).flatten(1).float() - mean)
            @ directions
            for start in range(0, self.size, _AT_ONCE)
        ]
        return mean, directions, torch.cat(codes)

    def _read_all(self, numbers: list[int]) -> Tensor:
        parts = [self.read(numbers[start : start + _AT_ONCE]) for start in range(0, len(numbers), _AT_ONCE)]
        return torch.cat(parts)


def drawn_counts(probabilities: Tensor, draws: int, generator: torch.Generator) -> Tensor:
    """How often each of probabilities (N,) comes up in so many draws: their expected counts, rounded.

    Each has the whole part of its expected count; what is left is drawn by the remainders (residual
    resampling), so that every count has the right expectation.
    """
    expected = draws * probabilities
    counts = expected.floor().long()
    left = draws - int(counts.sum())
    if left > 0:
        rest = (expected - counts).clamp(min=0)
        more = rest.multinomial(left, replacement=True, generator=generator)
        counts += torch.bincount(more, minlength=len(counts))
    return counts
