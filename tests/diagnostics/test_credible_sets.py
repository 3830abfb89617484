"""Credible sets hold a truth from their own distribution exactly as often as they say."""

import pytest
import torch

from hardpp.diagnostics.credible_sets import held

PROBABILITIES = torch.tensor([[0.97, 0.02, 0.01, 0.0], [0.4, 0.3, 0.2, 0.1], [0.25, 0.25, 0.25, 0.25]])
DRAWS = 20_000


@pytest.mark.parametrize("row", range(3))
@pytest.mark.parametrize("level", [0.5, 0.89, 0.95])
def test_a_calibrated_distribution_holds_exactly_the_level(row: int, level: float) -> None:
    generator = torch.Generator().manual_seed(row)
    probabilities = PROBABILITIES[row].expand(DRAWS, -1)
    truth = probabilities.multinomial(1, generator=generator).squeeze(-1)
    share = held(probabilities, truth, level, generator).double().mean().item()
    # Four standard errors: nine such tests fail by chance once in 1,700.
    assert share == pytest.approx(level, abs=4 * (level * (1 - level) / DRAWS) ** 0.5)


def test_too_sure_or_too_flat_is_seen() -> None:
    generator = torch.Generator().manual_seed(0)
    probabilities = PROBABILITIES[1].expand(DRAWS, -1)
    truth = probabilities.multinomial(1, generator=generator).squeeze(-1)
    sharper, flatter = ((power * probabilities.log()).softmax(-1) for power in (2.0, 0.5))
    assert held(sharper, truth, 0.5, generator).double().mean() < 0.47
    assert held(flatter, truth, 0.5, generator).double().mean() > 0.53
