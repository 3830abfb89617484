"""BagNet: counts and sizes as published, exact windows, and the network written out once more."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from saccaders import bag, images, randomised
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d

from hardpp.nn.bagnet import DEVIATION, MEAN, BagNet, SparsePointwise

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "small112": {"stem": 32, "planes": (32, 64, 128), "wide": (2, 2, 2)},
    "tiny112": {"stem": 16, "planes": (16, 32, 64), "wide": (2, 2, 2)},
    "small64": {"stem": 32, "planes": (32, 64, 128), "wide": (1, 2, 1)},
    "tiny64": {"stem": 16, "planes": (16, 32, 64), "wide": (1, 2, 1)},
}
# classes, parameters, statistics; side and stride of a window; side of an image, and places a side
PUBLISHED = {
    "paper": (1001, 20_574_249, 54_144, (77, 8), 224, 19),
    "small112": (10, 930_218, 7_488, (37, 4), 112, 19),
    "tiny112": (10, 234_970, 3_744, (37, 4), 112, 19),
    "small64": (10, 790_954, 7_488, (25, 4), 64, 10),
    "tiny64": (10, 200_154, 3_744, (25, 4), 64, 10),
}
TRACE = [222, 110, 108, 108, 53, 51, 51, 51, 25, 23, 23, 23, 23, 23, 21, 19, 19]


def network(name: str, device: str = "meta", **options: Any) -> BagNet:
    """A preset; without storage it takes no time."""
    small = {} if name == "paper" else {"blocks": (2, 2, 2), "strides": (2, 2, 1)}
    with torch.device(device):
        return BagNet(PUBLISHED[name][0], **{**small, **PRESETS[name], **options})


def statistics(module: nn.Module) -> int:
    return sum(buffer.numel() for name, buffer in module.named_buffers() if "running" in name)


@pytest.mark.parametrize("norm", ["shortcut", "main"])
@pytest.mark.parametrize("name", PRESETS)
def test_counts_and_sizes_as_published(name: str, norm: str) -> None:
    _, parameters, running, window, side, places = PUBLISHED[name]
    bagnet = network(name, shortcut_norm=norm)
    assert sum(each.numel() for each in bagnet.parameters()) == parameters
    assert statistics(bagnet) == running
    assert bagnet.field == window
    found = bagnet(torch.zeros(1, 3, side, side, dtype=torch.uint8, device="meta"))
    channels = 4 * bagnet.head_channels
    assert found.features.shape == (1, channels, places, places)
    assert found.what.shape == (1, channels // 4, places, places)
    assert found.logits.shape == (1, places**2, PUBLISHED[name][0])
    assert bagnet.field.places(side) == places


def test_every_size_on_the_way_of_the_paper_s() -> None:
    bagnet, sizes = network("paper"), []
    for layer in bagnet.trunk:
        if isinstance(layer, nn.Conv2d) or hasattr(layer, "main"):
            layer.register_forward_hook(lambda module, args, out: sizes.append(out.shape[-1]))
    bagnet(torch.zeros(1, 3, 224, 224, dtype=torch.uint8, device="meta"))
    assert sizes == TRACE


# --- the network, once more ---------------------------------------------------------------------------


class ByHand:
    """The network by its description, with the weights of another taken in the order of the layers."""

    def __init__(self, bagnet: BagNet, norm: str):
        layers = [module for module in bagnet.modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d)]
        self.layers: Iterator[Any] = iter(layers)
        self.norm = norm

    def conv(self, x: Tensor, stride: int = 1) -> Tensor:
        layer = next(self.layers)
        return conv2d(x, layer.weight, layer.bias, stride=stride)

    def bn(self, x: Tensor) -> Tensor:
        layer = next(self.layers)
        return batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias, eps=1e-5)

    def block(self, x: Tensor, kernel: int, stride: int, strided: bool) -> Tensor:
        y = self.bn(self.conv(x)).relu()
        y = self.bn(self.conv(y, stride)).relu()
        y = self.bn(self.conv(y))
        if kernel == 3:
            x = x[..., 1:-1, 1:-1]
        if strided and self.norm == "main":
            return (self.bn(y) + self.conv(x, stride)).relu()
        return (y + self.bn(self.conv(x, stride))).relu() if strided else (y + x).relu()

    def __call__(self, pixels: Tensor, blocks: list[int], strides: list[int], wide: list[int]) -> Any:
        mean, deviation = (torch.tensor(each).double().view(3, 1, 1) for each in (MEAN, DEVIATION))
        x = ((pixels.double() / 255).expand(-1, 3, -1, -1) - mean) / deviation
        x = self.bn(self.conv(x)).relu()
        for count, stride, large in zip(blocks, strides, wide, strict=True):
            for number in range(count):
                x = self.block(x, 3 if number < large else 1, stride if number == 0 else 1, number == 0)
        what = self.bn(self.conv(x)).relu()
        logits = self.conv(what)
        assert next(self.layers, None) is None
        return x, what, logits


SIZES: dict[str, dict[str, Any]] = {
    "two groups": {"planes": [2, 3], "blocks": [2, 2], "strides": [2, 1], "wide": [1, 2]},
    "deep": {"planes": [2, 2, 3], "blocks": [2, 1, 3], "strides": [2, 2, 1], "wide": [2, 1, 1]},
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("norm", ["shortcut", "main"])
@pytest.mark.parametrize("name", SIZES)
def test_the_network_is_its_description(name: str, norm: str, channels: int) -> None:
    bagnet = bag(3, shortcut_norm=norm, **SIZES[name])
    pixels = images(2, 33, channels).source
    found = bagnet(pixels)
    sizes = {key: value for key, value in SIZES[name].items() if key != "planes"}
    features, what, logits = ByHand(bagnet, norm)(pixels, **sizes)
    torch.testing.assert_close(found.features, features, rtol=1e-6, atol=1e-6)  # of the mean in float32
    torch.testing.assert_close(found.what, what, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.logits, logits.flatten(2).mT, rtol=1e-6, atol=1e-6)
    assert features.std() > 0.1


def test_where_the_shortcut_is_normalised_changes_the_function() -> None:
    one, other = (bag(3, shortcut_norm=norm, **SIZES["two groups"]) for norm in ("shortcut", "main"))
    names = ({n.replace("shortcut.1", "main.8") for n in each.state_dict()} for each in (one, other))
    assert set.symmetric_difference(*names) == set()
    other.load_state_dict({n.replace("shortcut.1", "main.8"): v for n, v in one.state_dict().items()})
    pixels = images(2, 33).source
    assert (one(pixels).logits - other(pixels).logits).abs().max() > 1e-2


@pytest.mark.parametrize("side", [6, 7])
def test_picked_rows_and_columns_are_those_of_a_strided_convolution(side: int) -> None:
    layer: SparsePointwise = randomised(SparsePointwise(4, 6, 2))
    inputs = [torch.randn(2, 4, side, side, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    with torch.no_grad():
        inputs[1].copy_(inputs[0])
    found, expected = layer(inputs[0]), conv2d(inputs[1], layer.weight, stride=2)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    for out in (found, expected):
        out.square().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("wide", [0, 1])
def test_nothing_of_one_pixel_is_strided(wide: int) -> None:
    """Gradients of such convolutions have been seen to write beyond their memory."""
    network = BagNet(3, stem=4, planes=[4], blocks=[2], strides=[2], wide=[wide])
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert [layer for layer in layers if layer.kernel_size == (1, 1) and layer.stride != (1, 1)] == []
    assert sum(isinstance(layer, SparsePointwise) for layer in layers) == 2 - wide


# --- windows ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["shortcut", "main"])
@pytest.mark.parametrize("name", ["small64", "tiny112"])
def test_a_place_does_not_change_with_what_is_outside_of_its_window(name: str, norm: str) -> None:
    bagnet = randomised(network(name, "cpu", shortcut_norm=norm), 1).float()
    side = PUBLISHED[name][4]
    pixels, other = (images(1, side, seed=seed).source for seed in (0, 1))
    plain, C = bagnet(pixels), bagnet.field.places(side)
    for row, column in [(0, 0), (C - 1, 2), (C // 2, C // 2), (1, C - 1)]:
        place = row * C + column
        window = bagnet.field.seen(torch.tensor([place]), C, side, side)
        outside = bagnet(torch.where(window, pixels, other))
        assert torch.equal(outside.features[..., row, column], plain.features[..., row, column])
        assert torch.equal(outside.logits[:, place], plain.logits[:, place])
        changed = (outside.logits != plain.logits).any(-1)[0]
        assert changed.sum() == C * C - 1  # nobody else sees the same


def open_everywhere(bagnet: BagNet) -> BagNet:
    """With weights for which no ReLU is shut, so that nothing on the way to a place is lost."""
    with torch.no_grad():
        for name, parameter in bagnet.named_parameters():
            parameter.abs_()
            if name.endswith("bias") and parameter.dim() == 1:
                parameter.add_(9)
    return bagnet


@pytest.mark.parametrize("norm", ["shortcut", "main"])
@pytest.mark.parametrize("name", SIZES)
def test_a_place_changes_with_every_pixel_of_its_window(name: str, norm: str) -> None:
    bagnet = open_everywhere(bag(4, shortcut_norm=norm, **SIZES[name]))
    pixels = images(1, 31).source.double().requires_grad_()
    features = bagnet.trunk(bagnet.standardised(pixels))
    C = features.shape[-1]
    for row, column in [(0, 0), (C - 1, 0), (C // 2, C - 1)]:
        one = features[0, :, row, column].sum()
        (gradient,) = torch.autograd.grad(one, pixels, retain_graph=True)
        window = bagnet.field.seen(torch.tensor([row * C + column]), C, 31, 31)
        assert torch.equal((gradient[0] != 0).any(0), window)


def test_a_pixel_in_the_corner_of_a_window_counts() -> None:
    bagnet, pixels = open_everywhere(bag()), images(1, 9).source
    plain, places = bagnet(pixels), torch.arange(9).unsqueeze(-1)
    for y, x in itertools.product([0, 2, 4, 6, 8], repeat=2):
        changed = pixels.clone()
        changed[..., y, x] = 255 - changed[..., y, x]
        moved = (bagnet(changed).logits != plain.logits).any(-1)[0]
        assert torch.equal(moved, bagnet.field.seen(places, 3, 9, 9)[:, y, x])


# --- inputs -------------------------------------------------------------------------------------------


def test_grey_images_are_colours_that_are_all_alike() -> None:
    bagnet, pixels = bag(), images(2, 9, channels=1).source
    grey, colour = bagnet(pixels), bagnet(pixels.expand(-1, 3, -1, -1))
    torch.testing.assert_close(grey.logits, colour.logits, rtol=0, atol=0)


def test_features_stand_for_the_pixels_they_are_of() -> None:
    bagnet, pixels = bag(), images(2, 9).source
    plain, again = bagnet(pixels), bagnet(bagnet.features(pixels))
    for one, other in zip(plain, again, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_pixels_are_standardised() -> None:
    bagnet = bag()
    black, white = (bagnet.standardised(torch.full((1, 3, 1, 1), v, dtype=torch.uint8)) for v in (0, 255))
    assert black.flatten().tolist() == pytest.approx([-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225])
    assert white.flatten().tolist() == pytest.approx([0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225])


def test_blocks_begin_as_their_shortcuts() -> None:
    block = BagNet(3, planes=[4], blocks=[1], strides=[1], wide=[1], stem=16).trunk[3].double()
    x = torch.rand(2, 16, 5, 5, dtype=torch.float64)
    torch.testing.assert_close(block(x), x[..., 1:-1, 1:-1], rtol=0, atol=0)


def test_groups_of_different_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="as many groups of planes, blocks, strides and wide, got 2, 1, 1"):
        BagNet(3, planes=[2, 2], blocks=[1], strides=[1], wide=[1])
