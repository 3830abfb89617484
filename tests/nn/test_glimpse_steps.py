"""Glimpses read without gradients, or from a table, against networks that are run as they stand."""

from typing import Any

import pytest
import torch
from torch import Tensor

from hardpp.distributions.location_spaces import ContinuousSpace, GridSpace, Space
from hardpp.models.glimpse_classifier import GlimpseClassifier
from hardpp.nn.glimpse_network import ContextNetwork, LocationHead, glimpse_perceptron
from hardpp.nn.recurrent import StepwiseRNN
from hardpp.ops.patches import Sensor
from hardpp.ops.relu_scan import relu_scan as scan

CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-9}
SPACES: dict[str, Space] = {"grid": GridSpace(3), "scales": GridSpace(2, 2), "anywhere": ContinuousSpace(0.3)}
G = 3


def model_of(space: Space, *, detached: bool = False) -> GlimpseClassifier:
    torch.manual_seed(0)
    model = GlimpseClassifier(
        Sensor(3, windows=2, scales=space.scales),
        space,
        glimpse_perceptron(18, 5, 4),
        StepwiseRNN(4, 4, "relu"),
        LocationHead(4, 3, 5, space.outputs),
        torch.nn.Linear(4, 3),
        G,
        context=ContextNetwork(1, 2, 3),
        detached=detached,
        revisits=False,
    ).double()
    for each in model.parameters():
        torch.nn.init.normal_(each, std=0.5)
    return model


def pixels() -> Tensor:
    return torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def scored(model: GlimpseClassifier, draws: int, *, given: Tensor | None = None) -> tuple[Tensor, ...]:
    """Draws, or given ones, their log-probabilities and those of labels."""
    torch.manual_seed(2)
    policy = model.policy(pixels())
    value = policy.sample((draws,)) if given is None else given
    return value, model.said(policy, value), policy.step_log_prob(value)


def gradients(model: GlimpseClassifier, *found: Tensor) -> list[Tensor]:
    numbers = [torch.arange(each.numel()).reshape(each.shape).sin() for each in found]
    total = sum((each * number).sum() for each, number in zip(found, numbers, strict=True))
    return list(
        torch.autograd.grad(total, list(model.parameters()), allow_unused=True, materialize_grads=True)
    )


@pytest.mark.parametrize("draws", [2, 7])  # fewer glimpses of an image than locations, and more
@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("space", SPACES)
def test_steps_agree_with_networks_that_are_watched(space: str, detached: bool, draws: int) -> None:
    model = model_of(SPACES[space], detached=detached)
    value, *found = scored(model, draws)
    given = scored(model, draws, given=value.clone())[1:]
    with torch.no_grad():
        alone = scored(model, draws)
    of_found, of_given = gradients(model, *found), gradients(model, *given)
    handle = model.core.register_forward_hook(lambda *_: None)
    expected_value, *expected = scored(model, draws)
    handle.remove()
    torch.testing.assert_close(value, expected_value, **CLOSE)
    torch.testing.assert_close(value, alone[0], **CLOSE)
    for each in (found, given, alone[1:]):
        torch.testing.assert_close(list(each), expected, **CLOSE)
    of_expected = gradients(model, *expected)
    torch.testing.assert_close(of_found, of_expected, **CLOSE)
    torch.testing.assert_close(of_given, of_expected, **CLOSE)
    assert sum(float(each.abs().sum()) for each in of_expected) > 1


def test_without_gradients_a_location_of_an_image_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, read = model_of(SPACES["grid"]), []
    forward = type(model.network).forward
    monkeypatch.setattr(
        type(model.network),
        "forward",
        lambda self, *given: (read.append(len(given[0])), forward(self, *given))[1],
    )
    with torch.no_grad():
        policy = model.policy(pixels())
        first, second = policy.sample((2,)), policy.sample((50,))
        model.said(policy, second)
        model.said(policy, first)
    assert sum(read) <= 2 * 9


def test_what_a_guide_draws_needs_no_last_glimpse(monkeypatch: pytest.MonkeyPatch) -> None:
    model, steps = model_of(SPACES["anywhere"]), []
    counted = lambda gates, *given: (steps.append(len(gates)), scan(gates, *given))[1]  # noqa: E731
    monkeypatch.setattr("hardpp.nn.glimpse_steps.relu_scan", counted)
    policy = model.policy(pixels())
    value = policy.sample((2,))
    policy.step_log_prob(value)
    assert steps == [G - 1]
    model.said(policy, value)
    assert steps == [G - 1, G]
