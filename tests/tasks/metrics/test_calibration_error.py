"""The expected calibration error against loops over bins."""

import pytest
import torch

from hardpp.tasks.metrics.calibration_error import expected_calibration_error


def by_hand(log_p: torch.Tensor, label: torch.Tensor) -> float:
    """Fifteen bins, each with its upper end."""
    probability, said = log_p.exp().max(-1)
    total = 0.0
    for n in range(15):
        inside = [i for i, p in enumerate(probability.tolist()) if n / 15 < p <= (n + 1) / 15]
        if inside:
            right = sum(int(said[i] == label[i]) for i in inside) / len(inside)
            mean = sum(float(probability[i]) for i in inside) / len(inside)
            total += len(inside) / len(label) * abs(right - mean)
    return total


def test_it_is_the_sum_over_bins() -> None:
    generator = torch.Generator().manual_seed(0)
    log_p = (3 * torch.randn(400, 5, generator=generator)).double().log_softmax(-1)
    label = torch.randint(5, (400,), generator=generator)
    expected = by_hand(log_p, label)
    assert expected > 0.3
    assert expected_calibration_error(log_p, label) == pytest.approx(expected, abs=1e-6)


def test_labels_that_come_as_often_as_is_said_have_none() -> None:
    log_p = torch.tensor([[0.75, 0.25]]).log().expand(8, -1)
    assert expected_calibration_error(log_p, torch.tensor([0, 0, 0, 1] * 2)) == pytest.approx(0, abs=1e-6)
    assert expected_calibration_error(log_p, torch.ones(8, dtype=torch.int64)) == pytest.approx(0.75)
