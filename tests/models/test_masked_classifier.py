"""Images of which a few patches are shown."""

import pytest
import torch
from torch import Tensor, nn

from hardpp.guides.prior import Prior
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.models.masked_classifier import MaskedClassifier
from hardpp.ops.patch_grid import PatchGrid
from hardpp.types import ImageBatch

GRID = PatchGrid(6, 2, 3)


class Counts(nn.Module):
    """Logits that tell how much was seen, and the sum of it."""

    def forward(self, pixels: Tensor, seen: Tensor) -> Tensor:
        return torch.stack([seen.sum((1, 2)).float(), pixels.sum((1, 2, 3))], -1)


def images(count: int) -> ImageBatch:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (count, 1, 6, 6), generator=generator).to(torch.uint8)
    return ImageBatch(pixels, torch.arange(count) % 2)


def test_only_what_is_shown_reaches_the_network() -> None:
    model, batch = MaskedClassifier(Counts(), GRID, 3), images(4)
    locations = model.sample_locations(batch.source, 5)  # (5, 4, 3)
    assert locations.shape == (5, 4, 3)
    assert all(len(set(row)) == 3 for row in locations.flatten(0, 1).tolist())
    for shown in range(4):
        logits = model.logits(batch.source, model.seen(locations, torch.tensor(shown)))
        for k in range(5):
            for b in range(4):
                total, count = 0.0, 0
                for place in locations[k, b, :shown].tolist():
                    row, column = divmod(place, 3)
                    patch = batch.source[b, 0, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
                    total, count = total + float(patch.float().sum()) / 255, count + 4
                assert logits[k, b].tolist() == pytest.approx([count, total])


def test_sequences_that_end_early_stay_as_they_are() -> None:
    model, batch = MaskedClassifier(Counts(), GRID, 3), images(2)
    locations = torch.tensor([[0, 4, 8], [1, 2, 3]])
    whole = model.labels(batch.source, locations)
    ended = model.labels(batch.source, locations, torch.tensor([1, 3]))
    assert torch.equal(ended[1], whole[1])
    assert torch.equal(ended[0], whole[0, [0, 1, 1, 1]])


def test_what_is_trained_is_the_mean_over_all_places() -> None:
    """Of one glimpse: nothing, or one of nine places."""
    model, batch = MaskedClassifier(Counts(), GRID, 1), images(2)
    every = torch.arange(9).view(9, 1, 1).expand(9, 2, 1)
    log_p = model.labels(batch.source, every)  # (9, 2, 2, 2)
    right = log_p.gather(-1, batch.target.view(1, 2, 1, 1).expand(9, 2, 2, 1)).squeeze(-1)
    exact = right.mean((0, 2))
    torch.manual_seed(0)
    objective, guide = ScoreFunctionELBO(4000), Prior(model)
    estimate = objective.estimate(model, guide, batch)
    deviation = right.std((0, 2), unbiased=False) / 4000**0.5
    assert ((estimate.bound - exact).abs() < 4 * deviation).all()


def test_as_many_glimpses_as_places() -> None:
    with pytest.raises(ValueError, match="10 glimpses cannot be at different ones of 9 places"):
        MaskedClassifier(Counts(), GRID, 10)
