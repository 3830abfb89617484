"""`--compile`: networks that convolve images are compiled, and compute what they do otherwise."""

from copy import deepcopy

import pyro
import pytest
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp.errors import UsageError
from hardpp.runs.compiled_networks import compile_networks


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        result: Tensor = self.layers(pixels)
        return result


class Model(PyroModule):
    """Reads images and sequences."""

    def __init__(self, images: bool = True) -> None:
        super().__init__()
        self.words = nn.LSTM(1, 1)
        self.parts = nn.ModuleList([Network()] if images else [])

    def forward(self, pixels: Tensor) -> Tensor:
        value: Tensor = pyro.sample("z", pyro.distributions.Delta(self.parts[0](pixels).sum()))
        return value


class Guide(PyroModule):
    """With the model's networks among its own."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model, self.network = model, Network()


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """Torch compiles nothing, and notes what it was to compile."""
    asked: list[nn.Module] = []

    def compile(self: nn.Module, **options: object) -> None:
        asked.append(self)
        self._compiled_call_impl = self._call_impl

    monkeypatch.setattr(nn.Module, "compile", compile)
    return asked


def test_networks_that_convolve_are_compiled_once(uncompiled: list[nn.Module]) -> None:
    model = Model()
    guide = Guide(model)
    compile_networks([model, guide], "mine", pytest.fail)
    assert uncompiled == [model.parts[0], guide.network]


def test_a_model_without_images_is_refused(uncompiled: list[nn.Module]) -> None:
    with pytest.raises(UsageError, match="model mine has no network that convolves images"):
        compile_networks([Model(images=False)], "mine", pytest.fail)
    assert uncompiled == []


def test_what_cannot_be_compiled_is_told_once_and_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def compile(self: nn.Module, **options: object) -> None:
        self._compiled_call_impl = fails

    def fails(*args: object) -> Tensor:
        raise torch._dynamo.exc.Unsupported("no compiler is found\nand so on", case_name="")

    monkeypatch.setattr(nn.Module, "compile", compile)
    model, told, pixels = Model(), list[str](), torch.ones(2, 1, 4, 4)
    expected = model(pixels)
    compile_networks([model], "mine", told.append)
    assert [torch.equal(model(pixels), expected) for _ in range(2)] == [True, True]
    (sentence,) = told
    assert sentence == (
        "warning: network '0' is computed as it is: torch cannot compile it (no compiler is found)"
    )


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_compiled_networks_compute_the_same_values_and_gradients() -> None:
    torch.manual_seed(0)
    model, pixels = Model().double(), torch.rand(3, 1, 4, 4, dtype=torch.float64)
    copied = deepcopy(model)
    compile_networks([model], "mine", pytest.fail)
    names = list(model.state_dict())
    values = [each(pixels) for each in (model, copied)]
    for value in values:
        value.backward()
    torch.testing.assert_close(*values, rtol=0, atol=1e-12)
    for one, other in zip(model.parameters(), copied.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None)
        if one.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=1e-12)
    assert names == list(copied.state_dict())
    assert deepcopy(model).parts[0]._compiled_call_impl is None  # as copies that are evaluated
