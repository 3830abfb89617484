"""Numbers that are dealt out among data are those that each would draw alone."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hardpp.diagnostics.datum_streams import DatumStreams, Undealt, drawn_alike
from hardpp.diagnostics.seeds import seeded, stream
from hardpp.distributions.categorical import Categorical
from hardpp.distributions.distinct_places import DistinctPlaces
from hardpp.distributions.location_spaces import ContinuousSpace

CPU = torch.device("cpu")
NUMBERS = [7, 2, 30, 4]  # streams of B data
PARAMETERS = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))

DRAWS: dict[str, Callable[[Tensor], Tensor]] = {
    "categorical": lambda rows: Categorical(logits=rows).sample((3,)),
    "categorical, one draw": lambda rows: Categorical(logits=rows).sample(),
    "points and scales": lambda rows: ContinuousSpace(scales=3).distribution(rows).sample((3,)),
    "sequences": lambda rows: DistinctPlaces(9, 3, len(rows)).sample((6,)),
    "torch's categorical": lambda rows: torch.distributions.Categorical(logits=rows).sample((3,)),
    "twice": lambda rows: torch.stack([Categorical(logits=rows).sample((2,)) for _ in range(2)]),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_datum_draws_what_it_draws_alone_and_the_global_numbers_stay(name: str) -> None:
    draw, before = DRAWS[name], torch.get_rng_state()
    axis = {"categorical, one draw": 0, "twice": 2}.get(name, 1)
    found = drawn_alike(lambda rows: draw(PARAMETERS[rows]), NUMBERS, 3, CPU)
    alone = []
    for row, number in enumerate(NUMBERS):
        with seeded(stream(3, number), CPU):
            alone.append(draw(PARAMETERS[row : row + 1]))
    assert torch.equal(torch.cat(found, axis), torch.cat(alone, axis))
    assert len(found) == 1
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "draw",
    [
        lambda count: torch.randn(3, count),  # unknown, and found out by the global generator
        lambda count: torch.rand(3, 7).expand(count, 3, 7),  # of no datum
        lambda count: torch.ones(count + 3, 2).multinomial(1)[:count],
    ],
)
def test_what_cannot_be_dealt_out_is_drawn_one_by_one(draw: Callable[[int], Tensor]) -> None:
    calls: list[int] = []

    def compute(rows: slice) -> Tensor:
        calls.append(rows.stop - rows.start)
        return draw(rows.stop - rows.start)

    found = drawn_alike(compute, NUMBERS, 0, CPU)
    assert (len(found), calls) == (4, [4, 1, 1, 1, 1])
    again = drawn_alike(compute, NUMBERS[2:], 0, CPU)  # of two nothing is dealt out
    assert all(torch.equal(*pair) for pair in zip(found[2:], again, strict=True))


def test_numbers_of_another_shape_are_refused() -> None:
    with DatumStreams([1, 2, 3]), pytest.raises(Undealt, match=r"numbers of shape \(2, 4\) for 3 data"):
        torch.rand(2, 4)
    with DatumStreams([1, 2, 3]), pytest.raises(Undealt, match=r"weights of shape \(4, 2\) for 3 data"):
        torch.ones(4, 2).multinomial(1)
