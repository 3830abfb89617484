"""Guides of a user's own, a module `mine` in a folder of its own, and packages with entry points."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MINE = '''
import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule

from hardpp import sites
from hardpp.distributions import Categorical


class Diagonal(PyroModule):
    """Looks near the diagonal."""

    lacks = {"relaxable": "a {site} is one or the other"}

    def __init__(self):
        super().__init__()
        self.sharpness = torch.nn.Parameter(torch.ones(()))

    def scores(self, batch):
        steps, positions = (torch.arange(part.shape[1]) for part in (batch.target, batch.source))
        scores = -self.sharpness * (steps.unsqueeze(-1) - positions).abs()
        return scores.masked_fill(~batch.source_mask.unsqueeze(-2), -torch.inf)

    def forward(self, batch):
        with sites.output_steps(batch.target_mask):
            self.draw(batch)

    def draw(self, batch):
        pyro.sample("alignment", Categorical(logits=self.scores(batch)))


class Missing(Diagonal):
    def draw(self, batch):
        pyro.sample("alignmnet", Categorical(logits=self.scores(batch)))


class Extra(Diagonal):
    def draw(self, batch):
        super().draw(batch)
        pyro.sample("extra", dist.Bernoulli(self.sharpness.sigmoid()))


class TooMany(Diagonal):
    def scores(self, batch):
        scores = super().scores(batch).clamp(min=-5)
        return torch.cat([scores, scores[..., :1]], -1)


class Continuous(Diagonal):
    def draw(self, batch):
        pyro.sample("alignment", dist.Normal(self.sharpness, 1.0))


class OnePlate(Diagonal):
    def forward(self, batch):
        with pyro.plate("data", len(batch.source), dim=-2):
            pyro.sample("alignment", Categorical(logits=super().scores(batch)))


class Event(Diagonal):
    def draw(self, batch):
        pyro.sample("alignment", dist.OneHotCategorical(logits=super().scores(batch).clamp(min=-5)))


class Nothing(Diagonal):
    """Has nothing to train."""

    def __init__(self):
        super().__init__()
        del self.sharpness
        self.sharpness = 1.0


class Sized(Diagonal):
    """Is made for a model."""

    def __init__(self, symbols):
        super().__init__()
        self.symbols = torch.nn.Parameter(torch.zeros(symbols))

    @classmethod
    def for_model(cls, parts, description):
        assert isinstance(parts.model, torch.nn.Module)
        return cls(len(description.target_vocabulary))

    def scores(self, batch):
        return super().scores(batch) + self.symbols[batch.target].unsqueeze(-1)


class NeedsWidth(Diagonal):
    def __init__(self, width, depth=2):
        super().__init__()


class Plain(Diagonal):
    def for_model(self, parts, description):
        return self


class Other(Diagonal):
    @classmethod
    def for_model(cls, parts, description):
        return "no module"


class Fails(Diagonal):
    @classmethod
    def for_model(cls, parts, description):
        return parts.no_such_part


class ForGlimpses(Diagonal):
    models = ("glimpse", "saccader")


class Lacking(Diagonal):
    lacks = {"enumarable": "a typing error"}


def function(batch):
    pass


guide = Diagonal()
'''


@contextmanager
def folder_of_modules(folder: Path) -> Iterator[Path]:
    """Python's path and modules as they were, after a block in which modules of the folder are imported."""
    path, modules = [*sys.path], set(sys.modules)
    (folder / "mine.py").write_text(MINE)
    (folder / "broken.py").write_text("import json\nimport no_such_dependency\n")
    (folder / "leaves.py").write_text("raise SystemExit(0)\n")
    (folder / "halves.py").write_text("def f(:\n")
    try:
        yield folder
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]


def write_package(folder: Path, name: str, entries: dict[str, dict[str, str]]) -> None:
    """An installed package, as far as metadata say: groups of entry points, each name -> module:Class."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in rows.items())
        for group, rows in entries.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
