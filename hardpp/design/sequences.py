"""Near-optimal glimpse sequences: places chosen one after the other, each by what it is expected to tell.

    l_t = the place not yet taken of the smallest expected posterior entropy, given what l_1 .. l_{t-1} showed

Greedy in t. The first step knows nothing of the image, so one answer serves all images.

Not all places are judged by all completions. First every second place along both sides is, by the few
completions of the largest weights; whichever is far behind the best is given up, the neighbours of the others
join, and those that are left are judged by `MORE` times as many completions, until all are used. A place is
far behind if its expected entropy, by the n heaviest completions, is larger than the best one's by more than

    (WITHIN standard errors of the difference + SLACK nats) sqrt(1 - W_1 - ... - W_n)

where the root says that what is looked for is the best by all N, and the slack that an error which is
estimated from few may be too small. The errors are those of differences, since places are judged by the same
completions. Completions that look the same where they would be looked at are classified once. Completions
whose weights sum to less than `NEGLIGIBLE` are left out everywhere.

Source: Harvey, Teng and Wood (2019), Near-optimal glimpse sequences, section 3; the search is ours, by the
races of Maron and Moore (1994), Hoeffding races.
Shapes: N completions, L places, T glimpses, C channels, V classes.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hardpp.design.completion import Completion, Completions
from hardpp.design.expected_information import Information, expected_information
from hardpp.errors import UsageError
from hardpp.ops.patch_grid import PatchGrid

# Tuned on 360 steps on scenes of MNIST, where they found the best place in .9944 with .093 of the passes that
# judging every place by every completion takes, and in .9972 with .104 where all completions weigh the same
# (docs/near_optimal.md says how they did on other steps).
COARSE = 2  # every so-manyth place is looked at first
FIRST = 14  # by so many completions
MORE = 1.5  # and those that are left by so many times as many
WITHIN = 2.0  # standard errors of the difference
SLACK = 0.08  # nats
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
        count = min(N, FIRST)
        running = [place for place in self.grid.coarse(COARSE).tolist() if free[place]]
        running = running or free.nonzero().squeeze(-1).tolist()
        while True:
            near: list[int] = []
            while True:
                judged.judge(running, count)
                running = judged.close(running, count)
                around = torch.cat([self.grid.around(place, 1) for place in running]).unique()
                near = [place for place in around.tolist() if free[place] and place not in judged.done]
                if not near:
                    break
                running = [*running, *near]
            if count == N:
                return
            count = min(N, math.ceil(MORE * count))

    @torch.no_grad()
    def predictions(self, pixels: Tensor, masks: Tensor) -> Tensor:
        """Log-probabilities (M, V) of images (M, C, size, size), of which masks (M, size, size) were seen."""
        pairs = zip(pixels.split(self.at_once), masks.split(self.at_once), strict=True)
        return torch.cat([self.classifier(*pair) for pair in pairs]).double()


class _Judged:
    """The predictions that were made for one step: of some places, by the first so many completions."""

    def __init__(self, designer: Designer, completions: Completions, seen: Tensor):
        self.designer, self.completions, self.seen = designer, completions, seen
        self.count, self.passes = len(completions.pixels), 0
        self.weights = completions.log_weights.softmax(0)
        self.done: dict[int, int] = {}  # by how many completions a place was judged
        self.log_p: dict[int, Tensor] = {}  # (N, V) by place
        self._alike: dict[int, Tensor] = {}  # (N,) the first completion that looks the same there

    def judge(self, places: list[int], count: int) -> None:
        """Makes the predictions of places by the first `count` completions, as far as they are missing."""
        places = [place for place in places if self.done.get(place, 0) < count]
        if not places:
            return
        wanted = [self._missing(place, count) for place in places]
        where = torch.tensor(places).repeat_interleave(torch.tensor([*map(len, wanted)]))
        numbers = torch.cat(wanted)
        self.passes += len(numbers)
        if len(numbers):
            masks = self.designer.grid.mask(where) | self.seen
            predicted = self.designer.predictions(self.completions.pixels[numbers], masks)
        else:  # whatever joins looks as something does that was judged before
            predicted = self.log_p[places[0]][:0]
        for place, of_place, new in zip(places, wanted, predicted.split([*map(len, wanted)]), strict=True):
            log_p = self.log_p.setdefault(place, new.new_zeros(self.count, new.shape[-1]))
            log_p[of_place] = new
            before = self.done.get(place, 0)
            log_p[before:count] = log_p[self._alike[place][before:count]]
            self.done[place] = count

    # The completions, of the first `count`, whose looks at a place have no prediction yet.
    def _missing(self, place: int, count: int) -> Tensor:
        if place not in self._alike:
            at = self.designer.grid.mask(torch.tensor(place))
            self._alike[place] = _first_alike(self.completions.pixels[..., at].flatten(1))
        numbers = torch.arange(self.done.get(place, 0), count)
        return numbers[self._alike[place][numbers] == numbers]

    def information(self, places: list[int], count: int) -> Information:
        """What is expected of places, by the first `count` completions."""
        log_p = torch.stack([self.log_p[place][:count] for place in places], 1)
        return expected_information(log_p, self.completions.log_weights[:count])

    def close(self, places: list[int], count: int) -> list[int]:
        """Those of the places that may still be the best."""
        information = self.information(places, count)
        unknown = self.weights[count:].sum().sqrt()
        near = information.behind <= (WITHIN * information.behind_error + SLACK) * unknown
        return [place for place, is_near in zip(places, near.tolist(), strict=True) if is_near]

    def step(self) -> Step:
        """The best of the places that all completions have judged."""
        places = sorted(place for place, done in self.done.items() if done == self.count)
        information = self.information(places, self.count)
        return Step(places[information.best], torch.tensor(places), information, self.passes)


# The completions that count, the heaviest first, those of equal weights in random order.
def _counting(completions: Completions, seed: int) -> Completions:
    log_weights = completions.log_weights.double()
    mixed = torch.randperm(len(log_weights), generator=torch.Generator().manual_seed(seed))
    weights, order = log_weights[mixed].softmax(0).sort(descending=True, stable=True)
    kept = mixed[order[: int((weights.cumsum(0) < 1 - NEGLIGIBLE).sum()) + 1]]
    return Completions(completions.pixels[kept], log_weights[kept])


# Of each row (N, .) uint8 the number of the first that is equal to it, (N,).
def _first_alike(rows: Tensor) -> Tensor:
    bytes_of_rows = np.ascontiguousarray(rows.cpu().numpy())
    wholes = bytes_of_rows.view(np.dtype((np.void, bytes_of_rows.shape[1]))).squeeze(1)
    _, first, group = np.unique(wholes, return_index=True, return_inverse=True)
    return torch.from_numpy(first[group])
