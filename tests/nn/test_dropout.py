"""Dropout: the share that is dropped, the mean that stays, whole rows, and what the bits are used for."""

import pytest
import torch

from hardpp.nn.dropout import LEVELS, Dropout, dropout_mask

N = 200_000
STRAY = 5.0  # standard errors: all 24 tests here stay within them but for one run in 70,000


@pytest.mark.parametrize("share", [0.001, 0.1, 0.45, 0.5, 0.999])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_share_is_dropped_and_the_mean_stays(share: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    values = Dropout(share)(torch.ones(N, dtype=dtype))
    dropped = (values == 0).double().mean()
    exact = round(share * LEVELS) / LEVELS
    assert abs(dropped - exact) < STRAY * (exact * (1 - exact) / N) ** 0.5
    kept = values[values != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - exact)), rtol=1e-6, atol=0)
    assert values.dtype == dtype


def test_neighbours_share_no_bits() -> None:
    torch.manual_seed(0)
    mask = (dropout_mask(torch.empty(N), 0.5) != 0).double() - 0.5
    for distance in (1, 2, 3, 4, 5):
        together = 4 * (mask[distance:] * mask[:-distance]).mean()
        assert abs(together) < STRAY / N**0.5


def test_rows_are_dropped_together() -> None:
    torch.manual_seed(0)
    values = Dropout(0.3, rows=True)(torch.ones(500, 7, 3))
    assert torch.equal(values, values[..., :1].expand_as(values))
    assert 0.25 < float((values == 0).double().mean()) < 0.35


def test_evaluation_and_a_share_of_0_draw_nothing() -> None:
    features, state = torch.randn(4, 5), torch.get_rng_state()
    assert Dropout(0.5).eval()(features) is features
    assert Dropout(0.0)(features) is features
    assert torch.equal(torch.get_rng_state(), state)


def test_one_seed_gives_one_mask_and_the_next_another() -> None:
    drop = Dropout(0.5)
    torch.manual_seed(3)
    first, second = drop(torch.ones(99)), drop(torch.ones(99))
    torch.manual_seed(3)
    assert torch.equal(first, drop(torch.ones(99)))
    assert not torch.equal(first, second)


def test_the_gradient_is_the_mask() -> None:
    features = torch.ones(3, 5, requires_grad=True)
    values = Dropout(0.4)(features)
    values.sum().backward()
    assert torch.equal(features.grad, values.detach())


def test_half_precision_stays_half_and_is_scaled_in_single() -> None:
    torch.manual_seed(0)
    values = Dropout(0.1)(torch.full((N,), 3.0, dtype=torch.bfloat16))
    exact = 3.0 * LEVELS / (LEVELS - round(0.1 * LEVELS))
    assert values.dtype == torch.bfloat16
    assert float(values.max()) == float(torch.tensor(exact).bfloat16())


def test_a_compiled_or_foreign_device_takes_torchs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    for rows in (False, True):
        torch.manual_seed(0)
        values = Dropout(0.5, rows=rows)(torch.ones(400, 3))
        assert 0.4 < float((values == 0).double().mean()) < 0.6
        assert float(values.max()) == 2


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="must be in"):
        Dropout(share)


def test_all_are_dropped_by_1_only() -> None:
    assert not Dropout(1.0)(torch.ones(999)).any()
    torch.manual_seed(0)
    assert Dropout(1 - 1e-9)(torch.ones(10**6)).any()


def test_nothing_is_dropped_of_nothing() -> None:
    assert Dropout(0.5)(torch.empty(0, 4)).shape == (0, 4)
