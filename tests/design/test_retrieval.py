"""Images of a database that complete what was seen of others."""

import math
from collections import Counter

import pytest
import torch
from torch import Tensor

from hardpp.design.retrieval import Retrieval, drawn_counts
from hardpp.design.tempering import tempered
from hardpp.errors import DataError
from hardpp.ops.weights import effective_sample_size


def database(count: int, side: int = 6, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 1, side, side), generator=generator).to(torch.uint8)


def retrieval(images: Tensor, **options: float) -> Retrieval:
    return Retrieval(lambda numbers: images[list(numbers)], len(images), **options)  # type: ignore[arg-type]


def corner(side: int = 6, width: int = 3) -> Tensor:
    seen = torch.zeros(side, side, dtype=torch.bool)
    seen[:width, :width] = True
    return seen


def shares(found: list[Tensor], images: Tensor) -> Tensor:
    """How often each image of the database was drawn."""
    flat = images.flatten(1)
    hits = [(flat == row.flatten()).all(1).nonzero().item() for row in found]
    return torch.bincount(torch.tensor(hits), minlength=len(images)) / len(hits)


@pytest.mark.parametrize("candidates", [1000, 25])
def test_draws_are_by_the_likelihood_of_what_was_seen(candidates: int) -> None:
    """With all images as candidates, and with a proposal, whose weights make up for it."""
    images, seen, deviation = database(40), corner(), 150.0
    image = database(1, seed=5)[0]
    apart = (images.double() - image.double()).square()[:, :, :3, :3].sum((1, 2, 3))
    exact = (-apart / (2 * deviation**2)).softmax(0)
    made = retrieval(
        images, completions=20, candidates=candidates, deviation=deviation, least=1.0, components=40
    )
    drawn: list[Tensor] = []
    repeats = 400
    for seed in range(repeats):
        found = made.complete(image, seen, seed)
        counts = found.log_weights.exp().round().long()
        assert int(counts.sum()) == 20
        drawn += [pixels for pixels, count in zip(found.pixels, counts, strict=True) for _ in range(count)]
    got = shares(drawn, images)
    error = (exact * (1 - exact) / (20 * repeats)).sqrt()  # of independent draws, which these beat
    slack = 0.0 if candidates == 1000 else 0.01  # self-normalised weights are biased by 1 / candidates
    assert ((got - exact).abs() < 5 * error + slack).all()


def test_where_nothing_was_seen_images_are_drawn_evenly_and_once() -> None:
    images = database(40)
    made = retrieval(images, completions=10)
    nothing = torch.zeros(6, 6, dtype=torch.bool)
    found = made.complete(database(1, seed=5)[0], nothing, 3)
    again = made.complete(database(1, seed=6)[0], nothing, 3)
    assert torch.equal(found.pixels, again.pixels)
    assert len({tuple(row) for row in found.pixels.flatten(1).tolist()}) == 10
    assert found.log_weights.tolist() == [0.0] * 10


def test_so_many_completions_count() -> None:
    images, image = database(40), database(1, seed=5)[0]
    few = retrieval(images, completions=1000, deviation=1.0, least=1.0).complete(image, corner(), 0)
    many = retrieval(images, completions=1000, deviation=1.0, least=12.0).complete(image, corner(), 0)
    assert float(effective_sample_size(few.log_weights)) < 2
    assert float(effective_sample_size(many.log_weights)) == pytest.approx(12, abs=0.5)


def test_one_seed_gives_one_answer_and_leaves_other_draws_alone() -> None:
    images, image = database(60), database(1, seed=5)[0]
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    made = retrieval(images, completions=10, candidates=20)
    first, second = made.complete(image, corner(), 1), made.complete(image, corner(), 1)
    assert torch.equal(first.pixels, second.pixels)
    assert torch.equal(torch.rand(3), expected)


def test_an_image_does_not_complete_itself() -> None:
    images = database(6)
    made = retrieval(torch.cat([images, images[2:3]]), completions=50, deviation=1.0, least=1.0)
    found = made.complete(images[2], corner(), 0)
    assert not (found.pixels == images[2]).flatten(1).all(1).any()
    alone = retrieval(images[[2, 2]])
    with pytest.raises(DataError, match="nothing but the image that is to be completed"):
        alone.complete(images[2], corner(), 0)


def test_a_database_of_one() -> None:
    with pytest.raises(DataError, match="a database of 1 images"):
        retrieval(database(1))


def test_flatter_weights() -> None:
    log_weights = torch.tensor([0.0, -3.0, -10.0, -math.inf], dtype=torch.float64)
    assert torch.equal(tempered(log_weights, 1.0), log_weights)
    flat = tempered(log_weights, 2.5)
    assert float(effective_sample_size(flat)) == pytest.approx(2.5)
    beta = float(flat[1] / log_weights[1])
    assert 0 < beta < 1
    assert flat.tolist() == pytest.approx([0.0, -3 * beta, -10 * beta, -math.inf])


def test_counts_have_the_right_expectation() -> None:
    probabilities = torch.tensor([0.55, 0.3, 0.1, 0.05], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    total: Counter[int] = Counter()
    repeats = 4000
    for _ in range(repeats):
        counts = drawn_counts(probabilities, 5, generator).tolist()
        assert sum(counts) == 5
        assert counts[0] >= 2
        assert counts[1] >= 1
        total.update(dict(enumerate(counts)))
    for n, p in enumerate(probabilities.tolist()):
        assert total[n] / repeats == pytest.approx(5 * p, abs=4 * (2 / repeats) ** 0.5)
