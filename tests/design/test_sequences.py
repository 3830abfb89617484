"""Places chosen for scenes with few latent values, where everything can be summed up."""

import math

import pytest
import torch
from torch import Tensor

from hardpp.design.completion import Completions
from hardpp.design.enumeration import Enumeration
from hardpp.design.sequences import Classifier, Designer, Step
from hardpp.errors import UsageError
from hardpp.ops.patch_grid import PatchGrid

GRID = PatchGrid(8, 2, 4)  # sixteen places that do not overlap
DEVIATION = 10.0


def scenes(count: int, labels: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images of which each label has a favourite grey value in one place of its own."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(100, 120, (count, 1, 8, 8), generator=generator)
    label = torch.arange(count) % labels
    for n in range(count):
        row, column = GRID.corners(torch.tensor(3 * int(label[n]) % 16)).tolist()
        images[n, 0, row : row + 2, column : column + 2] += 60
    return images.to(torch.uint8), label


def bayes(images: Tensor, label: Tensor) -> Classifier:
    """p(label | what was seen), exactly, of images that are one of those given and seen with noise."""
    labels = int(label.max()) + 1

    def classifier(pixels: Tensor, seen: Tensor) -> Tensor:
        apart = (pixels.unsqueeze(1).double() - images.unsqueeze(0).double()).square()  # (M, N, C, h, w)
        fit = -(apart * seen.unsqueeze(1).unsqueeze(1)).sum((2, 3, 4)) / (2 * DEVIATION**2)
        posterior = fit.softmax(-1)
        return posterior.new_zeros(len(pixels), labels).index_add(1, label, posterior).log()

    return classifier


def designer(count: int = 24, labels: int = 4, seed: int = 0, **options: bool) -> tuple[Designer, Tensor]:
    images, label = scenes(count, labels, seed)
    enumeration = Enumeration(images, DEVIATION)
    return Designer(GRID, enumeration, bayes(images, label), at_once=50, **options), images


def by_hand(images: Tensor, label: Tensor, image: Tensor, taken: list[int]) -> list[float]:
    """The expected posterior entropy of every place, by loops over images, places and labels."""
    classify, seen = bayes(images, label), GRID.seen(torch.tensor(taken, dtype=torch.int64))
    fits = []
    for other in images:
        apart = (other.double() - image.double()).square()
        fits.append(-float((apart * seen).sum()) / (2 * DEVIATION**2))
    weights = [math.exp(fit - max(fits)) for fit in fits]
    total = sum(weights)
    expected = []
    for place in range(GRID.places):
        mask = seen | GRID.mask(torch.tensor(place))
        entropies = []
        for other in images:
            guessed = torch.where(seen, image, other)  # what was seen is known
            p = classify(guessed.unsqueeze(0), mask.unsqueeze(0))[0].exp().tolist()
            entropies.append(-sum(x * math.log(x) for x in p if x > 0))
        expected.append(sum(w * h for w, h in zip(weights, entropies, strict=True)) / total)
    return expected


@pytest.mark.parametrize("seed", range(3))
def test_each_place_is_the_best_of_those_not_yet_taken(seed: int) -> None:
    images, label = scenes(12, 3, seed)
    chooser = Designer(GRID, Enumeration(images, DEVIATION), bayes(images, label), coarse_to_fine=False)
    taken: list[int] = []
    for step in chooser.design(images[5], 3):
        expected = by_hand(images, label, images[5], taken)
        ours = step.map_of(step.information.expected_entropy, GRID.places)
        for place in range(GRID.places):
            if place in taken:
                assert math.isnan(float(ours[place]))
            else:
                assert float(ours[place]) == pytest.approx(expected[place], abs=1e-8)
        free = [place for place in range(GRID.places) if place not in taken]
        assert expected[step.place] <= min(expected[place] for place in free) + 1e-8
        assert step.passes <= 12 * len(free)
        taken.append(step.place)
    assert len(set(taken)) == 3


def test_entropy_falls_faster_than_at_random_places() -> None:
    """In every scene, after every glimpse, as the posterior entropy of what was really seen."""
    chooser, images = designer(coarse_to_fine=False)
    generator = torch.Generator().manual_seed(3)
    lost: list[list[float]] = [[], []]
    for image in images[:8]:
        designed = [step.place for step in chooser.design(image, 3)]
        random = torch.randperm(GRID.places, generator=generator)[:3].tolist()
        for places, found in zip((designed, random), lost, strict=True):
            log_p = chooser.classifier(image.unsqueeze(0), GRID.seen(torch.tensor(places)).unsqueeze(0))
            found.append(-float((log_p.exp() * log_p.clamp(min=-1e3)).sum()))
    assert sum(lost[0]) < 0.2 * sum(lost[1])
    assert max(lost[0]) < 0.01


@pytest.mark.parametrize("seed", range(2))
def test_coarse_to_fine_finds_the_same_places(seed: int) -> None:
    """Of 169 that overlap, of scenes whose digit of 4 x 4 pixels may be anywhere, by fewer looks."""
    generator = torch.Generator().manual_seed(seed)
    grid, label = PatchGrid(16, 4, 13), torch.arange(30) % 3
    digits = torch.randint(0, 256, (3, 4, 4), generator=generator, dtype=torch.uint8)
    images = torch.randint(0, 20, (30, 1, 16, 16), generator=generator, dtype=torch.uint8)
    for image, digit in zip(images, digits[label], strict=True):
        row, column = torch.randint(0, 13, (2,), generator=generator).tolist()
        image[0, row : row + 4, column : column + 4] = digit
    both = [
        Designer(grid, Enumeration(images, 40.0), bayes(images, label), coarse_to_fine=way, at_once=2000)
        for way in (False, True)
    ]
    whole, searched = (each.design(images[0], 2) for each in both)
    for step, other in zip(whole, searched, strict=True):
        expected = step.map_of(step.information.expected_entropy, grid.places)
        assert float(expected[other.place]) == pytest.approx(float(expected[step.place]), abs=1e-9)
    assert sum(step.passes for step in searched) < sum(step.passes for step in whole)


def test_the_first_step_is_one_for_all_images_and_made_once() -> None:
    calls = []

    class Counted:
        def complete(self, pixels: Tensor, seen: Tensor, seed: int) -> Completions:
            calls.append(int(seen.sum()))
            return whole.complete(pixels, seen, seed)

    images, label = scenes(12, 3, 0)
    whole = Enumeration(images, DEVIATION)
    chooser = Designer(GRID, Counted(), bayes(images, label))
    first = [chooser.design(image, 2)[0] for image in images[:3]]
    assert calls == [0, 4, 4, 4]
    assert all(step is first[0] for step in first)
    chooser.design(images[0], 1, seed=1)
    assert calls == [0, 4, 4, 4, 0]


def test_only_pixels_that_were_seen_matter() -> None:
    chooser, images = designer()
    image = images[3].clone()
    places = [step.place for step in chooser.design(image, 3)]
    seen = GRID.seen(torch.tensor(places[:2]))
    image[:, ~seen] = 255 - image[:, ~seen]
    again: list[Step] = chooser.design(image, 3)
    assert [step.place for step in again] == places


def test_what_cannot_be_is_refused() -> None:
    chooser, images = designer()
    with pytest.raises(UsageError, match="17 glimpses cannot be at 16 places"):
        chooser.design(images[0], 17)
    with pytest.raises(UsageError, match=r"images have \(4, 4\) pixels, and the grid is of 8"):
        chooser.design(images[0][:, :4, :4], 1)
    with pytest.raises(ValueError, match="above 0"):
        Enumeration(images, 0.0)
    assert len(chooser.design(images[0], 16)) == 16


def test_a_prior_counts() -> None:
    images, _ = scenes(4, 2, 0)
    prior = torch.tensor([0.0, -1.0, -2.0, -torch.inf])
    found = Enumeration(images, DEVIATION, prior).complete(images[0], torch.zeros(8, 8, dtype=torch.bool), 0)
    assert torch.equal(found.log_weights, prior.double())


def test_a_sequence_ends_where_little_is_left_to_learn() -> None:
    chooser, images = designer()
    whole = chooser.design(images[3], 6)
    gains = [step.gain for step in whole]
    assert gains[0] > 0.1 > gains[-1]
    budget = 0.1
    ended = chooser.design(images[3], 6, budget=budget)
    assert [step.place for step in ended] == [step.place for step in whole[: len(ended)]]
    assert len(ended) == next(g for g, gain in enumerate(gains) if gain < budget)


def test_completions_that_look_the_same_are_classified_once() -> None:
    """Sixteen places of scenes that differ in four of them, and in a second one only."""
    images, label = scenes(24, 4, 0)
    images[:] = images[:1]
    for n in range(24):
        row, column = GRID.corners(torch.tensor(3 * int(label[n]))).tolist()
        images[n, 0, row : row + 2, column : column + 2] = 200
    asked: list[int] = []
    exact = bayes(images, label)

    def classifier(pixels: Tensor, seen: Tensor) -> Tensor:
        asked.append(len(pixels))
        return exact(pixels, seen)

    chooser = Designer(GRID, Enumeration(images, DEVIATION), classifier, coarse_to_fine=False)
    (step,) = chooser.design(images[0], 1)
    assert sum(asked) == step.passes == 16 + 4  # two looks of each of four places
    expected = by_hand(images, label, images[0], [])
    assert step.information.expected_entropy.tolist() == pytest.approx(expected)
