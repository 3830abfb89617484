"""Near-optimal glimpse sequences: places chosen one after the other, each by what it is expected to tell.

    l_t = the place not yet taken of the smallest expected posterior entropy, given what l_1 .. l_{t-1} showed

Greedy in t. The first step knows nothing of the image, so one answer serves all images. Coarse to fine, only
places that may still be the best are looked at: first every third one, then the neighbours of those whose
expected entropy is within two standard errors of the best, the errors being those of differences, since all
places are judged by the same completions.

Source: Harvey, Teng and Wood (2019), Near-optimal glimpse sequences, section 3; the search is ours.
Shapes: N completions, L places, T glimpses, C channels, V classes.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from hardpp.design.completion import Completion, Completions
from hardpp.design.expected_information import Information, expected_information
from hardpp.design.patch_grid import PatchGrid
from hardpp.errors import UsageError

COARSE = 3  # every so-manyth place is looked at first
WITHIN = 2.0  # standard errors of the difference

# Log-probabilities (M, V) of images (M, C, size, size) uint8 of which pixels (M, size, size) bool were seen.
Classifier = Callable[[Tensor, Tensor], Tensor]


class Step(NamedTuple):
    """How one glimpse was chosen."""

    place: int
    looked_at: Tensor  # (L') the places that were judged, int64
    information: Information  # of these
    passes: int  # partly seen images that were classified

    def map_of(self, quantity: Tensor, places: int) -> Tensor:
        """A quantity (L') as (places,), not a number where it was not judged."""
        return quantity.new_full((places,), torch.nan).index_put((self.looked_at,), quantity)


class Designer:
    """Chooses places of images.

    Args:
        grid: the places.
        completion: gives whole images that agree with what was seen.
        classifier: predicts the label of partly seen images, in evaluation mode and calibrated: its
            entropies are what places are judged by.
        coarse_to_fine: look at few places, or at all.
        at_once: partly seen images that are classified together.
    """

    def __init__(
        self,
        grid: PatchGrid,
        completion: Completion,
        classifier: Classifier,
        *,
        coarse_to_fine: bool = True,
        at_once: int = 500,
    ):
        self.grid, self.completion, self.classifier = grid, completion, classifier
        self.coarse_to_fine, self.at_once = coarse_to_fine, at_once
        self._first: dict[int, Step] = {}  # by seed

    def design(self, pixels: Tensor, glimpses: int, seed: int = 0) -> list[Step]:
        """Chooses the places of so many glimpses of an image (C, size, size) uint8.

        Raises:
            UsageError: more glimpses than places, or an image of another size.
        """
        grid = self.grid
        if pixels.shape[-2:] != (grid.size, grid.size):
            raise UsageError(f"images have {tuple(pixels.shape[-2:])} pixels, and the grid is of {grid.size}")
        if glimpses > grid.places:
            raise UsageError(f"{glimpses} glimpses cannot be at {grid.places} places")
        steps: list[Step] = []
        for _ in range(glimpses):
            steps.append(self.next(pixels, [step.place for step in steps], seed))
        return steps

    def next(self, pixels: Tensor, taken: list[int], seed: int = 0) -> Step:
        """Chooses the next place of an image of which some places were seen."""
        if not taken and seed in self._first:
            return self._first[seed]
        seen = self.grid.seen(torch.tensor(taken, dtype=torch.int64))
        completions = self.completion.complete(pixels, seen, seed)
        free = torch.ones(self.grid.places, dtype=torch.bool)
        free[taken] = False
        step = self._searched(completions, seen, free) if self.coarse_to_fine else None
        step = step or self._judged(completions, seen, free.nonzero().squeeze(-1))
        if not taken:
            self._first[seed] = step
        return step

    # From coarse to fine; None where no place of the coarse grid is free.
    def _searched(self, completions: Completions, seen: Tensor, free: Tensor) -> Step | None:
        judged: dict[int, Tensor] = {}  # predictions (N, V) by place
        step, wanted = None, self.grid.coarse(COARSE)
        while new := [place for place in wanted.unique().tolist() if free[place] and place not in judged]:
            log_p = self._log_p(completions, seen, torch.tensor(new))
            judged.update(zip(new, log_p.unbind(1), strict=True))
            step = _step(judged, completions)
            close = step.information.behind <= WITHIN * step.information.behind_error
            hopeful = step.looked_at[close].tolist()
            wanted = torch.cat([self.grid.around(place, COARSE // 2) for place in hopeful])
        return step

    def _judged(self, completions: Completions, seen: Tensor, places: Tensor) -> Step:
        log_p = self._log_p(completions, seen, places)
        return _step(dict(zip(places.tolist(), log_p.unbind(1), strict=True)), completions)

    # Predictions (N, L', V) for every completion and place.
    @torch.no_grad()
    def _log_p(self, completions: Completions, seen: Tensor, places: Tensor) -> Tensor:
        N, L = len(completions.pixels), len(places)
        masks = self.grid.mask(places) | seen  # (L', size, size)
        pairs = torch.cartesian_prod(torch.arange(N), torch.arange(L)).split(self.at_once)
        log_p = [self.classifier(completions.pixels[rows[:, 0]], masks[rows[:, 1]]) for rows in pairs]
        return torch.cat(log_p).unflatten(0, (N, L)).double()


def _step(judged: dict[int, Tensor], completions: Completions) -> Step:
    looked_at = torch.tensor(sorted(judged))
    log_p = torch.stack([judged[place] for place in looked_at.tolist()], 1)  # (N, L', V)
    information = expected_information(log_p, completions.log_weights.double())
    place = int(looked_at[information.best])
    return Step(place, looked_at, information, len(completions.pixels) * len(judged))
