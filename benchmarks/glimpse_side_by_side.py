"""Our glimpses beside a recurrent attention model as research code is usually written, in one run.

    python benchmarks/glimpse_side_by_side.py --minutes 12 --out side_by_side.json
    python benchmarks/glimpse_side_by_side.py --quick

MNIST of 28 x 28 pixels, six glimpses of 8 x 8, batches of 128, one thread. `plain` is written for this file
from the description of Mnih et al. (2014), with what public implementations agree on where the paper is
silent: normal places with a deviation of 0.05, clamped after they were drawn and scored before; a loop over
images that cuts their patches one by one; a single draw an image; REINFORCE with the rewards 0 and 1 and a
learned baseline, weighted by 0.01; Adam at 3e-4; the label after the last glimpse only. `ours` is what
`hardpp train --model glimpse --data mnist` makes of the same glimpses (by default they have a second, wider
window): two draws an image, compared with each other, and the label predicted after each glimpse. It stops
when its epochs are over.

They take turns of a few seconds of CPU each, so that a slower moment of the machine hits both. Seconds are
those of training steps; test errors are of one look at each image, between turns and not counted (of ours,
the running average of the weights, which is what it would keep). Both are compared at equal seconds and at
equal images seen.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Protocol

import pyro
import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.functional import cross_entropy, mse_loss, pad, relu

from hardpp.config import merge, parse_setting
from hardpp.data.images.labelled import ImagePart
from hardpp.runs.session import Session
from hardpp.tasks.configuration import resolve

SIDE, GLIMPSES, BATCH, DEVIATION = 8, 6, 128, 0.05
SETTINGS: dict[str, Any] = {
    "model": "glimpse",
    "device": "cpu",
    "data": {"name": "mnist"},
    "network": {"side": SIDE, "windows": 1, "glimpses": GLIMPSES},
    "training": {"batch_size": BATCH, "patience": 40},
}


class PlainRAM(nn.Module):
    """Mnih et al. (2014): the sizes are the paper's, the hidden layer of the places' network is usual."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.where = nn.Linear(SIDE * SIDE, 128), nn.Linear(2, 128)
        self.what_out, self.where_out = nn.Linear(128, 256), nn.Linear(128, 256)
        self.glimpse_in, self.state_in = nn.Linear(256, 256), nn.Linear(256, 256)
        self.locator, self.location = nn.Linear(256, 128), nn.Linear(128, 2)
        self.baseline, self.classifier = nn.Linear(256, 1), nn.Linear(256, 10)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (B, 10), log-probabilities of places (T, B) and baselines (T, B) of images (B, 1, H, W)."""
        B = len(images)
        h = torch.zeros(B, 256)
        l = torch.empty(B, 2).uniform_(-1, 1)  # noqa: E741 - as the paper writes it
        log_pi, baselines = [], []
        for _ in range(GLIMPSES):
            phi = cut(images, l)
            g = relu(self.what_out(relu(self.patch(phi))) + self.where_out(relu(self.where(l))))
            h = relu(self.glimpse_in(g) + self.state_in(h))
            mu = torch.tanh(self.location(relu(self.locator(h.detach()))))
            drawn = Normal(mu, DEVIATION).rsample().detach()
            log_pi.append(Normal(mu, DEVIATION).log_prob(drawn).sum(-1))
            baselines.append(self.baseline(h.detach()).squeeze(-1))
            l = drawn.clamp(-1, 1)  # noqa: E741
        return self.classifier(h), torch.stack(log_pi), torch.stack(baselines)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """The hybrid loss, a mean over images."""
        logits, log_pi, baselines = self(images)
        reward = (logits.argmax(-1) == labels).float().expand_as(baselines)
        advantage = reward - baselines.detach()
        policy = (-log_pi * advantage).sum(0).mean()
        return cross_entropy(logits, labels) + mse_loss(baselines, reward) + 0.01 * policy


def cut(images: Tensor, places: Tensor) -> Tensor:
    """Patches (B, P P) around places (B, 2), one image after the other."""
    size = images.shape[-1]
    around = pad(images, (SIDE // 2,) * 4)
    patches = []
    for image, (y, x) in zip(around, (0.5 * (places + 1) * size).long().tolist(), strict=True):
        patches.append(image[:, y : y + SIDE, x : x + SIDE])
    return torch.stack(patches).flatten(1)


class Side(Protocol):
    """What is trained in turns."""

    def steps(self) -> Iterator[bool]:
        """One step of training at a time; whether it was one, for a look at dev is none."""

    def predict(self, images: Tensor) -> Tensor:
        """Labels (B,) of images (B, 1, H, W) uint8, from one look at each."""


class Plain:
    def __init__(self, train: ImagePart, seed: int):
        torch.manual_seed(seed)
        self.model, self.train = PlainRAM(), train
        self.optimiser = torch.optim.Adam(self.model.parameters(), 3e-4)

    def steps(self) -> Iterator[bool]:
        while True:
            for places in torch.randperm(len(self.train)).split(BATCH):
                images = self.train.read(places).pixels.float() / 255
                self.optimiser.zero_grad()
                self.model.loss(images, self.train.labels[places]).backward()
                self.optimiser.step()
                yield True

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        return self.model(images.float() / 255)[0].argmax(-1)


class Ours:
    def __init__(self, session: Session):
        self.trainer = session.trainer()

    def steps(self) -> Iterator[bool]:
        for record in self.trainer.records():
            yield record.split == "train"

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        model: Any = deepcopy(self.trainer.evaluated).model
        return model.labels(images, model.sample_locations(images))[0, :, -1].argmax(-1)


def error(side: Side, test: ImagePart, count: int) -> float:
    """Of the first so many test images; nothing that is drawn here changes the training."""
    wrong = 0
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for places in torch.arange(min(count, len(test))).split(500):
            wrong += int((side.predict(test.read(places).pixels) != test.labels[places]).sum())
    return wrong / min(count, len(test))


def race(sides: Mapping[str, Side], test: ImagePart, asked: Any) -> dict[str, list[dict[str, float]]]:
    """Points of test error by seconds of training and images seen, for each side."""
    steps = {name: side.steps() for name, side in sides.items()}
    curves: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    seconds, seen, random = dict.fromkeys(sides, 0.0), dict.fromkeys(sides, 0), {}
    for name in sides:
        random[name] = torch.get_rng_state()
    running = set(sides)
    while running:
        for name in [one for one in sides if one in running]:
            torch.set_rng_state(random[name])  # neither draws from the other's numbers
            end = min(seconds[name] + asked.turn, 60 * asked.minutes)
            while seconds[name] < end:
                began = time.process_time()
                trained = next(steps[name], None)
                if trained is None:
                    running.discard(name)
                    break
                if trained:
                    seconds[name] += time.process_time() - began
                    seen[name] += BATCH
            random[name] = torch.get_rng_state()
            point = {"seconds": seconds[name], "images": seen[name]}
            curves[name].append({**point, "error": error(sides[name], test, asked.images)})
            print(name, {key: round(value, 4) for key, value in curves[name][-1].items()}, flush=True)
            if seconds[name] >= 60 * asked.minutes:
                running.discard(name)
    return curves


def report(curves: Mapping[str, list[dict[str, float]]]) -> None:
    print("\n| | CPU s a 1,000 images | best error |\n|---|---|---|")
    for name, points in curves.items():
        last = points[-1]
        cost = 1000 * last["seconds"] / last["images"]
        print(f"| {name} | {cost:.3f} | {min(point['error'] for point in points):.4f} |")
    print("\n| error at most | " + " | ".join(f"{name}, CPU s | {name}, images" for name in curves) + " |")
    print("|---" * (1 + 2 * len(curves)) + "|")
    for level in (0.2, 0.1, 0.05, 0.04, 0.03, 0.025, 0.02, 0.015, 0.0125, 0.01):
        reached = {
            name: next((point for point in points if point["error"] <= level), None)
            for name, points in curves.items()
        }
        if any(reached.values()):
            cells = [
                f"{point['seconds']:.0f} | {point['images']:,.0f}" if point else " | "
                for point in reached.values()
            ]
            print(f"| {100 * level:g} % | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=12, help="CPU minutes of training for each")
    parser.add_argument("--turn", type=float, default=15, help="CPU seconds of training between test errors")
    parser.add_argument("--images", type=int, default=10000, help="of the test part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="of ours")
    parser.add_argument("--out", type=Path, help="JSON file for the points")
    parser.add_argument("--table", type=Path, help="print the tables of an earlier run's file")
    parser.add_argument("--quick", action="store_true", help="seconds: to see that it runs")
    asked = parser.parse_args()
    if asked.table:
        report(json.loads(asked.table.read_text()))
        return
    torch.set_num_threads(1)
    pyro.enable_validation(False)  # as `hardpp train` does after its first step
    layers: list[Mapping[str, Any]] = [SETTINGS, {"seed": asked.seed, "threads": 1}]
    layers += [parse_setting(text) for text in asked.set]
    if asked.quick:
        asked.minutes, asked.turn, asked.images = 0.05, 1.5, 500
    session = Session(resolve([merge(layers)]), lambda text: None)
    sides: dict[str, Side] = {"ours": Ours(session), "plain": Plain(session.data.train, asked.seed)}
    curves = race(sides, session.data.test, asked)
    if asked.out:
        asked.out.write_text(json.dumps(curves, indent=1))
    report(curves)


if __name__ == "__main__":
    main()
