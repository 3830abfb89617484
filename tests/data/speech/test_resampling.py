"""Odd rates, for which a filter of our own would need gigabytes."""

import pytest
import torch

from hardpp.data.speech import resampling
from hardpp.data.speech.resampling import resample


def tone(hertz: float, rate: int, length: int) -> torch.Tensor:
    return torch.cos(2 * torch.pi * hertz * torch.arange(length, dtype=torch.float64) / rate).float()


@pytest.mark.parametrize("rate", [44_056, 15_999, 47_952, 8_001])
def test_odd_rates_make_no_filter_of_their_own(rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("soxr")
    monkeypatch.setattr(resampling, "_kernels", None)
    found = resample(tone(1000, rate, rate), rate, 16_000)
    assert found.shape == (16_000,)
    torch.testing.assert_close(found[400:-400], tone(1000, 16_000, 16_000)[400:-400], atol=5e-3, rtol=0)


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 32_000, 44_100, 48_000])
def test_usual_rates_are_heard_as_ever(rate: int) -> None:
    assert len(resample(tone(500, rate, rate // 10), rate, 16_000)) == 1600
    assert resampling._kernels.cache_info().currsize > 0


def test_a_rate_in_a_simple_ratio_that_is_large_takes_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("soxr")
    monkeypatch.setattr(resampling, "_kernels", lambda old, new: pytest.fail(f"kernels of {old} to {new}"))
    assert len(resample(torch.zeros(20_000), 9_999_975, 16_000)) == 33
