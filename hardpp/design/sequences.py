"""Near-optimal glimpse sequences: places chosen one after the other, each by what it is expected to tell.

    l_t = the place not yet taken of the smallest expected posterior entropy, given what l_1 .. l_{t-1} showed

Greedy in t. The first step knows nothing of the image, so one answer serves all images.

Not all places are judged by all completions. First every third place is, by an eighth of them; whichever is
more than two standard errors behind the best is given up, the neighbours of the others join, and those that
are left are judged by twice as many completions, until all are used. The errors are those of differences,
since places are judged by the same completions. Completions whose weights sum to less than `NEGLIGIBLE` are
left out everywhere.

Source: Harvey, Teng and Wood (2019), Near-optimal glimpse sequences, section 3; the search is ours, by the
races of Maron and Moore (1994), Hoeffding races.
Shapes: N completions, L places, T glimpses, C channels, V classes.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from hardpp.design.completion import Completion, Completions
from hardpp.design.expected_information import Information, expected_information
from hardpp.errors import UsageError
from hardpp.ops.patch_grid import PatchGrid

COARSE = 3  # every so-manyth place is looked at first
FIRST = 8  # by so-manyth part of the completions, but by as many of them at least
WITHIN = 2.0  # standard errors of the difference
NEGLIGIBLE = 1e-9  # of the completions' weights

# Log-probabilities (M, V) of images (M, C, size, size) uint8 of which pixels (M, size, size) bool were seen.
Classifier = Callable[[Tensor, Tensor], Tensor]


class Step(NamedTuple):
    """How one glimpse was chosen."""

    place: int
    looked_at: Tensor  # (L') the places that were judged, int64
    information: Information  # of these
    passes: int  # partly seen images that were classified

    @property
    def gain(self) -> float:
        """How many nats the glimpse is expected to tell of the label."""
        return float(self.information.gain[self.information.best])

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

    def design(self, pixels: Tensor, glimpses: int, seed: int = 0, budget: float = 0.0) -> list[Step]:
        """Chooses the places of so many glimpses of an image (C, size, size) uint8.

        It ends earlier where the next glimpse is expected to tell less than `budget`, in nats.

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
            step = self.next(pixels, [step.place for step in steps], seed)
            if step.gain < budget:
                break
            steps.append(step)
        return steps

    def next(self, pixels: Tensor, taken: list[int], seed: int = 0) -> Step:
        """Chooses the next place of an image of which some places were seen."""
        if not taken and seed in self._first:
            return self._first[seed]
        seen = self.grid.seen(torch.tensor(taken, dtype=torch.int64))
        completions = _counting(self.completion.complete(pixels, seen, seed), seed)
        # What was seen is known; only what a look would add is not.
        completions = completions._replace(pixels=torch.where(seen, pixels, completions.pixels))
        free = torch.ones(self.grid.places, dtype=torch.bool)
        free[taken] = False
        judged = _Judged(self, completions, seen)
        if self.coarse_to_fine:
            self._race(judged, free)
        else:
            judged.judge(free.nonzero().squeeze(-1).tolist(), len(completions.pixels))
        step = judged.step()
        if not taken:
            self._first[seed] = step
        return step

    # From few places and completions to the best place by all of them.
    def _race(self, judged: "_Judged", free: Tensor) -> None:
        N = judged.count
        count = min(N, max(FIRST, N // FIRST))
        running = [place for place in self.grid.coarse(COARSE).tolist() if free[place]]
        running = running or free.nonzero().squeeze(-1).tolist()
        while True:
            near: list[int] = []
            while True:
                judged.judge(running, count)
                running = judged.close(running, count)
                around = torch.cat([self.grid.around(place, COARSE // 2) for place in running]).unique()
                near = [place for place in around.tolist() if free[place] and place not in judged.log_p]
                if not near:
                    break
                running = [*running, *near]
            if count == N:
                return
            count = min(N, 2 * count)

    @torch.no_grad()
    def predictions(self, pixels: Tensor, seen: Tensor, places: list[int]) -> Tensor:
        """Log-probabilities (N, L, V) of images (N, C, size, size) seen at places and where `seen` says."""
        masks = self.grid.mask(torch.tensor(places)) | seen  # (L, size, size)
        pairs = torch.cartesian_prod(torch.arange(len(pixels)), torch.arange(len(places)))
        rows = [self.classifier(pixels[some[:, 0]], masks[some[:, 1]]) for some in pairs.split(self.at_once)]
        return torch.cat(rows).unflatten(0, (len(pixels), len(places))).double()


class _Judged:
    """The predictions that were made for one step: of some places, by the first so many completions."""

    def __init__(self, designer: Designer, completions: Completions, seen: Tensor):
        self.designer, self.completions, self.seen = designer, completions, seen
        self.count, self.passes = len(completions.pixels), 0
        self.log_p: dict[int, Tensor] = {}  # (n, V) by place

    def judge(self, places: list[int], count: int) -> None:
        """Makes the predictions of places by the first `count` completions, as far as they are missing."""
        by_done: dict[int, list[int]] = {}
        for place in places:
            done = len(self.log_p.get(place, ()))
            if done < count:
                by_done.setdefault(done, []).append(place)
        for done, some in by_done.items():
            log_p = self.designer.predictions(self.completions.pixels[done:count], self.seen, some)
            self.passes += log_p.shape[0] * log_p.shape[1]
            for place, new in zip(some, log_p.unbind(1), strict=True):
                self.log_p[place] = torch.cat([self.log_p[place], new]) if done else new

    def information(self, places: list[int], count: int) -> Information:
        """What is expected of places, by the first `count` completions."""
        log_p = torch.stack([self.log_p[place][:count] for place in places], 1)
        return expected_information(log_p, self.completions.log_weights[:count])

    def close(self, places: list[int], count: int) -> list[int]:
        """Those of the places that may still be the best."""
        found = self.information(places, count)
        kept = found.behind <= WITHIN * found.behind_error
        return [place for place, stays in zip(places, kept.tolist(), strict=True) if stays]

    def step(self) -> Step:
        """The best of the places that all completions have judged."""
        places = sorted(place for place, log_p in self.log_p.items() if len(log_p) == self.count)
        information = self.information(places, self.count)
        return Step(places[information.best], torch.tensor(places), information, self.passes)


# The completions that count, in an order that does not go by their weights.
def _counting(completions: Completions, seed: int) -> Completions:
    weights, order = completions.log_weights.double().softmax(0).sort(descending=True)
    kept = order[: int((weights.cumsum(0) < 1 - NEGLIGIBLE).sum()) + 1]
    mixed = kept[torch.randperm(len(kept), generator=torch.Generator().manual_seed(seed))]
    return Completions(completions.pixels[mixed], completions.log_weights[mixed].double())
