"""Tiny programs of glimpses in double precision, and the same programs written out one glimpse at a time.

Shapes: B data, G glimpses, A actions, C tuples of actions.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pyro
import torch
from oracles import Force, Latent, Twin, Values, tuples
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.location_spaces import ContinuousSpace, GridSpace, Space
from hardpp.guides.glimpse import LabelInformed
from hardpp.guides.prior import Prior
from hardpp.models.glimpse_classifier import GlimpseClassifier
from hardpp.nn.glimpse_network import ContextNetwork, LocationHead, glimpse_perceptron
from hardpp.nn.recurrent import Cell, StepwiseLSTM, StepwiseRNN
from hardpp.ops.patches import Sensor
from hardpp.types import ImageBatch

LABELS = 3
CORES: dict[str, Any] = {
    "relu": lambda: random_core("relu"),
    "gru": lambda: random_core("gru"),
    "lstm": lambda: StepwiseLSTM(4, 4),
}


def images(size: int = 2, seed: int = 0) -> ImageBatch:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (size, 1, 6, 6), dtype=torch.uint8, generator=generator)
    return ImageBatch(pixels, torch.randint(0, LABELS, (size,), generator=generator))


def random_core(cell: Cell) -> StepwiseRNN:
    """With weights between which there are no ties."""
    state = torch.get_rng_state()
    core = StepwiseRNN(4, 4, cell)
    torch.set_rng_state(state)
    core.recurrence.reset_parameters()
    return core


def _parts(space: Space, context: int, core: str, windows: int) -> tuple[Any, ...]:
    return (
        Sensor(2, windows, space.scales),
        space,
        glimpse_perceptron(windows * 4, 4, 4),
        CORES[core](),
        LocationHead(4, context, 4, space.outputs),
    )


def _seeded(make: Any, seed: int, spread: float) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = make().double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(spread)  # nearly uniform, every estimator is nearly right
    return module


def classifier(
    space: Space | None = None,
    glimpses: int = 2,
    *,
    context: bool = False,
    core: str = "relu",
    windows: int = 2,
    spread: float = 2.0,
    **options: Any,
) -> GlimpseClassifier:
    def make() -> GlimpseClassifier:
        parts = _parts(GridSpace(2) if space is None else space, 3 * context, core, windows)
        reading = ContextNetwork(1, 2, 3) if context else None
        return GlimpseClassifier(*parts, nn.Linear(4, LABELS), glimpses, context=reading, **options)

    return _seeded(make, 1, spread)


def informed(model: GlimpseClassifier, *, context: bool = True, core: str = "relu") -> LabelInformed:
    def make() -> LabelInformed:
        parts = _parts(model.space, 3, core, model.sensor.windows)
        reading = ContextNetwork(1, 2, 3) if context else None
        clue = nn.Linear(2 + 3 * context, 3)
        return LabelInformed(*parts, nn.Embedding(LABELS, 2), clue, model.glimpses, context=reading)

    return _seeded(make, 2, 2.0)


def guide_of(name: str, model: GlimpseClassifier) -> Any:
    return Prior(model) if name == "prior" else informed(model)


SPACES: dict[str, Space] = {
    "grid": GridSpace(3),
    "grid-scales": GridSpace(2, scales=2),
    "continuous": ContinuousSpace(0.5),
    "continuous-scales": ContinuousSpace(0.5, scales=2),
}


# --- a second time, one glimpse of one datum after the other ------------------------------------------


def window(image: Tensor, at: tuple[float, float], side: int, block: int) -> Tensor:
    """(C, side, side) of an image (C, height, width) in zeros."""
    wide = side * block
    around = nn.functional.pad(image.double(), (wide,) * 4)
    top, left = (
        math.floor((a + 1) / 2 * n + wide / 2 + 0.5 + 1e-4) for a, n in zip(at, image.shape[1:], strict=True)
    )
    out = around[:, top : top + wide, left : left + wide]
    means = out.reshape(len(image), side, block, side, block).mean((2, 4))
    return (means / 255).float().double()  # patches are in single precision


def location_of(space: Space, value: Tensor) -> tuple[tuple[float, float], int]:
    if isinstance(space, GridSpace):
        scale, cell = divmod(int(value), space.cells**2)
        row, column = divmod(cell, space.cells)
        return ((2 * row + 1) / space.cells - 1, (2 * column + 1) / space.cells - 1), scale
    return (float(value[0]), float(value[1])), int(value[2]) if len(value) > 2 else 0


def log_density(space: Space, parameters: Tensor, value: Tensor) -> Tensor:
    if isinstance(space, GridSpace):
        scale, cell = divmod(int(value), space.cells**2)
        found = parameters[: space.cells**2].log_softmax(-1)[cell]
        return found + parameters[space.cells**2 :].log_softmax(-1)[scale] if space.scales > 1 else found
    normal = torch.distributions.Normal(parameters[:2].tanh(), space.spread)
    one = torch.ones((), dtype=torch.float64)
    found = (normal.log_prob(value[:2]) - (normal.cdf(one) - normal.cdf(-one)).log()).sum()
    return found + parameters[2:].log_softmax(-1)[int(value[2])] if space.scales > 1 else found


def by_hand(program: Any, batch: ImageBatch, b: int, locations: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the locations (G, *event) of a datum, (G), and states after each, (G, H)."""
    image, G = batch.source[b], len(locations)
    context = None if program.context is None else program.context(batch.source)[b]
    if isinstance(program, LabelInformed):
        known = program.embedding(batch.target[b])
        context = program.clue(known if context is None else torch.cat([context, known]))
    space, sensor = program.space, program.sensor
    state, cells = torch.zeros(4, dtype=torch.float64), program.core.start(torch.Size([1]))
    chosen, states = [], []
    for t in range(G):
        read = state.detach() if getattr(program, "detached", False) else state
        chosen.append(log_density(space, program.head(read, context), locations[t]))
        at, scale = location_of(space, locations[t])
        patches = torch.cat([window(image, at, sensor.side, 2 ** (scale + w)) for w in range(sensor.windows)])
        rounded = space.locations(locations[t]).centre.double()  # as locations are
        assert torch.allclose(rounded, torch.tensor(at, dtype=torch.float64), rtol=0, atol=1e-6)
        where = program.network.where(torch.cat([rounded, torch.tensor([scale], dtype=torch.float64)]))
        glimpse = program.network.what(patches.unsqueeze(0)).squeeze(0).relu() * where
        features, cells = program.core.step(glimpse.unsqueeze(0), cells)
        state = features.squeeze(0)
        states.append(state)
    return torch.stack(chosen), torch.stack(states)


def log_label(model: GlimpseClassifier, states: Tensor, label: Tensor) -> Tensor:
    """What the label adds, of states (G, H)."""
    each = model.readout(states).log_softmax(-1)[:, label]
    return each.mean() if model.every_glimpse else each[-1]


def twin(model: GlimpseClassifier, guide: Any, batch: ImageBatch) -> Twin:
    """For grids."""
    G, B = model.glimpses, batch.size
    sequences = list(itertools.product(range(model.space.actions), repeat=G))
    index = {each: n for n, each in enumerate(sequences)}
    rows = []
    for b in range(B):
        for each in sequences:
            locations = torch.tensor(each)
            chosen, states = by_hand(model, batch, b, locations)
            guided = chosen if isinstance(guide, Prior) else by_hand(guide, batch, b, locations)[0]
            rows.append(torch.stack([chosen.sum() + log_label(model, states, batch.target[b]), guided.sum()]))
    table = torch.stack(rows).reshape(B, len(sequences), 2)

    def joint(values: Values) -> tuple[Tensor, Tensor]:
        at = torch.tensor([[index[tuple(each)] for each in row] for row in values[sites.LOCATION].tolist()])
        found = table[torch.arange(B), at]  # (C, B, 2)
        return found[..., 0], found[..., 1]

    latent = Latent(model.space.actions, torch.ones(B, G, dtype=torch.bool))
    return Twin({sites.LOCATION: latent}, joint)


def expectation(of: Twin, particles: int, run: Callable[[], tuple[Tensor, ...]]) -> list[Tensor]:
    """`oracles.expectation`, where the order of particles changes nothing and a site has no logits."""
    values = tuples(of.latents)
    with torch.no_grad():
        probability = of.joint(values)[1].sum(-1).exp()
    total, sum_of_shares = [], 0.0
    for chosen in itertools.combinations_with_replacement(range(len(probability)), particles):
        orders = math.factorial(particles)
        for each in set(chosen):
            orders //= math.factorial(chosen.count(each))
        share = orders * probability[list(chosen)].prod()
        rows = chosen[0] if particles == 1 else list(chosen)
        looked_over = pyro.validation_enabled(not total)  # once
        forced = Force({name: lambda fn, value=value[rows]: value for name, value in values.items()})
        with forced, looked_over:
            terms = [share * term for term in run()]
        total = [old + new for old, new in zip(total, terms, strict=True)] if total else terms
        sum_of_shares += float(share)
    assert abs(sum_of_shares - 1) < 1e-12
    return total
