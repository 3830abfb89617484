import pytest
import torch

from hardpp.ops.precision import at_least_single, log_softmax, wide


@pytest.mark.parametrize(
    ("given", "made"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_nothing_is_narrower_than_float32(given: torch.dtype, made: torch.dtype) -> None:
    logits = torch.tensor([0.5, -3.0, 9.0]).to(given)
    assert wide(given) is made
    assert torch.equal(at_least_single(logits), logits.to(made))
    # Rounded before the sum and not after it: bfloat16 has no number between 0.996 and 1.
    assert torch.equal(log_softmax(logits), logits.to(made).log_softmax(-1))


def test_what_is_wide_enough_is_not_copied() -> None:
    logits = torch.zeros(2)
    assert at_least_single(logits) is logits
