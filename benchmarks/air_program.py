"""The program of `air.py`: canvases of MNIST's digits, a model of objects on a canvas and a recurrent guide.

    present[t] ~ Bernoulli(presence),  if present[t - 1]          is there an object more?
    where[t]   ~ Normal(0, (.1, .5, .5)),  if present[t]          log size, and place
    what[t]    ~ Normal(0, 1),  if present[t]                     what it looks like, before decoding
    image      ~ Normal(sum over t of present[t] window(decoder(what[t]), where[t]), .3)

A latent that does not count is masked. Windows are bilinear.

Source: Eslami et al. (2016), Attend, Infer, Repeat, sections 2 and 3.1.
Shapes: B canvases, S pixels a side, P pixels a side of an object; ... = B, or K particles and B.
"""

from typing import Any, NamedTuple

import numpy as np
import pyro
import torch
from numpy.typing import NDArray
from pyro import poutine
from pyro.distributions import Bernoulli, Normal
from pyro.nn import PyroModule
from torch import Tensor, nn
from torch.nn.functional import softplus

from hardpp.data.images.rasters import paste, resized

OBJECTS, LATENTS = 3, ("present", "where", "what")


class Sizes(NamedTuple):
    """Of canvases and networks."""

    canvas: int = 28  # S
    digit: int = 14  # the side of a digit, margin included, and of an object at its expected size
    patch: int = 14  # P, of what is decoded and encoded
    what: int = 16
    hidden: int = 128  # of the decoder, the encoder and the recurrence
    count: int = 30_000  # of training canvases


FULL = Sizes(canvas=50, digit=22, patch=20, what=50, hidden=256, count=60_000)


class Canvases(NamedTuple):
    images: Tensor  # (N, S, S), 0 to 1
    counts: Tensor  # (N,) int64


def canvases(digits: Tensor, sizes: Sizes, count: int, seed: int) -> Canvases:
    """Canvases with 0 to 2 of the digits (N, 28, 28) uint8, decided by the seed."""
    random = np.random.default_rng(seed)
    pictures = resized(digits.numpy(), sizes.digit)
    counts = random.integers(0, 3, count)
    images = np.zeros((count, sizes.canvas, sizes.canvas), np.uint8)

    def put(left: NDArray[np.int64]) -> NDArray[np.int64]:
        drawn = np.zeros((len(left), *images.shape[1:]), np.uint8)
        top, start = random.integers(0, sizes.canvas - sizes.digit + 1, (2, len(left)))
        paste(drawn, pictures[random.integers(0, len(pictures), len(left))], top, start)
        apart = ~((drawn > 0) & (images[left] > 0)).any(axis=(1, 2))
        images[left[apart]] += drawn[apart]
        return left[~apart]

    put(np.flatnonzero(counts > 0))
    left, tries = np.flatnonzero(counts > 1), 0
    while len(left):  # digits that would touch one another are drawn anew
        tries += 1
        if tries % 1000 == 0:  # there may be no room beside the first
            images[left] = 0
            put(left)
        left = put(left)
    return Canvases(torch.from_numpy(images).float() / 255, torch.from_numpy(counts))


class Window(nn.Module):
    """Where an object is: bilinear reading of a patch from a canvas, and writing it back."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        self.sizes = sizes
        self.register_buffer("pixels", torch.arange(0.0, sizes.canvas))
        self.register_buffer("cells", torch.arange(0.0, sizes.patch) - (sizes.patch - 1) / 2)

    def read(self, images: Tensor, where: Tensor) -> Tensor:
        """Patches (..., P, P) of images (B, S, S) at `where` (..., 3)."""
        middle, step = self._place(where)
        ends = middle + self.cells * step  # (..., 2, P)
        weights = (1 - (ends.unsqueeze(-1) - self.pixels).abs()).clamp(min=0)  # (..., 2, P, S)
        return weights[..., 0, :, :] @ images @ weights[..., 1, :, :].mT

    def write(self, patches: Tensor, where: Tensor) -> Tensor:
        """Canvases (..., S, S) with patches (..., P, P) on them."""
        middle, step = self._place(where)
        ends = (self.pixels - middle) / step  # (..., 2, S)
        weights = (1 - (ends.unsqueeze(-1) - self.cells).abs()).clamp(min=0)  # (..., 2, S, P)
        return weights[..., 0, :, :] @ patches @ weights[..., 1, :, :].mT

    # The middle (..., 2, 1) of the window and the distance (..., 1, 1) of its cells, in pixels.
    def _place(self, where: Tensor) -> tuple[Tensor, Tensor]:
        S, digit, P = self.sizes.canvas, self.sizes.digit, self.sizes.patch
        middle = (S - 1) / 2 + S / 2 * where[..., 1:]
        step = digit / P * where[..., :1].clamp(-1.0, 1.0).exp()
        return middle.unsqueeze(-1), step.unsqueeze(-1)


class Model(PyroModule):
    """Canvases as sums of objects."""

    max_plate_nesting = 1

    def __init__(self, sizes: Sizes):
        super().__init__()
        self.window, hidden = Window(sizes), sizes.hidden
        last = nn.Linear(hidden, sizes.patch**2)
        nn.init.constant_(last.bias, -2.0)
        self.decoder = nn.Sequential(
            nn.Linear(sizes.what, hidden), nn.ReLU(), last, nn.Sigmoid(), nn.Unflatten(-1, (sizes.patch,) * 2)
        )
        self.register_buffer("presence", torch.tensor(0.5))
        self.register_buffer("where_loc", torch.zeros(3))
        self.register_buffer("where_scale", torch.tensor([0.1, 0.5, 0.5]))
        self.register_buffer("what_loc", torch.zeros(sizes.what))

    def forward(self, images: Tensor) -> None:
        canvas, present = torch.zeros_like(images), images.new_ones(len(images))
        with pyro.plate("images", len(images)):
            for t in range(OBJECTS):
                with poutine.mask(mask=present > 0):
                    present = pyro.sample(f"present_{t}", Bernoulli(self.presence * present))
                with poutine.mask(mask=present > 0):
                    where = pyro.sample(f"where_{t}", Normal(self.where_loc, self.where_scale).to_event(1))
                    what = pyro.sample(f"what_{t}", Normal(self.what_loc, 1.0).to_event(1))
                drawn = self.window.write(self.decoder(what), where)
                canvas = canvas + present[..., None, None] * drawn
            pyro.sample("image", Normal(canvas, 0.3).to_event(2), obs=images)


class Guide(PyroModule):
    """One object after the other, given the canvas and the objects before."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        self.window, self.what, hidden = Window(sizes), sizes.what, sizes.hidden
        self.look = nn.Linear(sizes.canvas**2, hidden)
        self.recur = nn.LSTMCell(hidden + 4 + sizes.what, hidden)
        self.predict = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 7))
        self.encoder = nn.Sequential(
            nn.Flatten(-2), nn.Linear(sizes.patch**2, hidden), nn.ReLU(), nn.Linear(hidden, 2 * sizes.what)
        )
        last = self.predict[-1]
        nn.init.normal_(last.weight, std=0.01)
        with torch.no_grad():
            last.bias.copy_(torch.tensor([2.0, 0.0, 0.0, 0.0, -2.0, -1.0, -1.0]))

    def forward(self, images: Tensor) -> None:
        B = len(images)
        seen, present = self.look(images.flatten(-2)), images.new_ones(B)
        before, state = images.new_zeros(B, 4 + self.what), None
        with pyro.plate("images", B):
            for t in range(OBJECTS):
                output, state = self._recur(
                    torch.cat([seen.expand(*before.shape[:-1], -1), before], -1), state
                )
                chance, loc, scale = self.predict(output).split([1, 3, 3], -1)
                chance = chance.squeeze(-1).sigmoid() * present
                with poutine.mask(mask=present > 0):
                    present = pyro.sample(f"present_{t}", Bernoulli(chance))
                with poutine.mask(mask=present > 0):
                    where = pyro.sample(f"where_{t}", Normal(loc, softplus(scale) + 1e-3).to_event(1))
                    loc, scale = self.encoder(self.window.read(images, where)).chunk(2, -1)
                    what = pyro.sample(f"what_{t}", Normal(loc, softplus(scale) + 1e-3).to_event(1))
                there = present.unsqueeze(-1)
                before = torch.cat([there, there * where, there * what], -1)

    # The cell takes one dim of batch; from the first draw on there may be particles left of it.
    def _recur(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        if state is not None:
            state = tuple(h.expand(*inputs.shape[:-1], -1).reshape(-1, h.shape[-1]) for h in state)
        state = self.recur(inputs.flatten(0, -2), state)
        state = tuple(h.reshape(*inputs.shape[:-1], -1) for h in state)
        return state[0], state
