"""How far a run's posteriors can be trusted, judged on outputs that its own model made up.

The model draws outputs together with the latents that they come from, so the truth is known, and the right
posterior holds it as often as it says. What is asked of a posterior:

    ranks    of the true latents among its draws are uniform (simulation-based calibration): p-values
    levels   the true latents are as probable as its draws: the p-value of a score test of its temperature
    sets     of its likeliest values at 50, 89 and 95 % hold the true value so often
    kl       to the exact posterior, nats a datum

Shapes: K draws, B data, N all data; of alignments T steps, S positions.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hardpp.diagnostics.credible_sets import held
from hardpp.diagnostics.exchangeability import exchangeability
from hardpp.diagnostics.rank_uniformity import Uniformity, fractional_ranks, uniformity
from hardpp.diagnostics.seeds import seeded, stream
from hardpp.diagnostics.simulated_posterior import Latents, Statistics, statistics
from hardpp.errors import DataError
from hardpp.inference.weights.dreams import dream
from hardpp.tasks.family import Programs
from hardpp.types import Program

LEVELS = (0.5, 0.89, 0.95)
RANKED = {"log_joint": "log p(z, y)", "mean_value": "mean of z"}


class Simulated(NamedTuple):
    """A batch whose observations were drawn by the model, and the latents that they were drawn from."""

    batch: Any
    latents: Mapping[str, Tensor]  # by site, (*plates)


class Choices(NamedTuple):
    """Distributions of single choices, and what was chosen in truth."""

    probabilities: Tensor  # (M, S)
    truth: Tensor  # (M,) int64


class Judged(NamedTuple):
    """A posterior that is judged."""

    draw: Callable[[Program, Program, Any, int], Latents]  # of model, guide, batch, K: (K, *plates) by site
    # Of single choices, where they have distributions of their own.
    choices: Callable[[Simulated], Choices | None] = lambda simulated: None
    kl: Callable[[Any], Tensor] | None = None  # of a batch, to the exact posterior: (B,) nats


class Calibration(NamedTuple):
    """What was found: a row of figures for each posterior, and its rank curves by what is ranked."""

    rows: list[dict[str, Any]]
    curves: dict[str, dict[str, Uniformity]]


class _Gathered:
    """What is known of one posterior so far."""

    def __init__(self) -> None:
        self.ranks: dict[str, list[NDArray[np.float64]]] = {name: [] for name in RANKED}
        self.levels: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []  # log p(z, y): truth, draws
        self.held: dict[float, list[Tensor]] = {level: [] for level in LEVELS}
        self.kl: list[Tensor] = []


def dreamt(programs: Programs, batches: Iterator[Any]) -> Iterator[Simulated]:
    """Each batch with its observations drawn by one run of the model, where that is a draw of all of them."""
    for batch in batches:
        dreamed = dream(programs.model, (batch,), {})
        yield Simulated(dreamed.args[0], dreamed.latents)


def calibrate(
    programs: Programs,
    simulated: Iterator[Simulated],
    posteriors: Mapping[str, Judged],
    *,
    draws: int,
    seed: int,
    device: torch.device,
) -> Calibration:
    """Judges posteriors of a model on simulated batches.

    Args:
        programs: in evaluation mode.
        simulated: batches with their true latents; drawn from torch's generators as they are asked for.
        posteriors: what is judged, by names.
        draws: of each posterior and datum; ranks are among so many.
        seed: of all that is drawn.
        device: of the programs.

    Raises:
        DataError: nothing was simulated.
    """
    random = np.random.default_rng(stream(seed, 1))
    generator = torch.Generator().manual_seed(stream(seed, 2))
    found = {name: _Gathered() for name in posteriors}
    data = 0
    with seeded(stream(seed, 0), device):
        for batch, latents in simulated:
            measured = partial(statistics, *programs, batch)
            truth = measured(latents)
            for name, (draw, choices, kl) in posteriors.items():
                gathered = found[name]
                _rank(gathered, truth, measured(draw(*programs, batch, draws)), random)
                if (chosen := choices(Simulated(batch, latents))) is not None:
                    for level in LEVELS:
                        inside = held(chosen.probabilities, chosen.truth, level, generator)
                        gathered.held[level].append(inside)
                if kl is not None:
                    gathered.kl.append(kl(batch))
            data += batch.size
    if not data:
        raise DataError("the model drew no output that ends, so there is nothing to judge by")
    curves = {
        name: {key: uniformity(np.concatenate(ranks), random) for key, ranks in gathered.ranks.items()}
        for name, gathered in found.items()
    }
    rows = []
    for name, gathered in found.items():
        p_values = {f"p {what}": curves[name][key].p_value for key, what in RANKED.items()}
        truths, drawn = (np.concatenate(parts, -1) for parts in zip(*gathered.levels, strict=True))
        p_values["p temperature"] = exchangeability(truths, drawn, random)
        held_by = {f"{level:.0%} sets": _mean(parts) for level, parts in gathered.held.items()}
        rows.append({"posterior": name, "data": data, **p_values, **held_by, "kl": _mean(gathered.kl)})
    return Calibration(rows, curves)


def _rank(gathered: _Gathered, truth: Statistics, drawn: Statistics, random: np.random.Generator) -> None:
    for name in RANKED:
        true, others = (getattr(part, name).double().cpu().numpy() for part in (truth, drawn))
        # Sums in another order differ by rounding, and equal draws have to be equal.
        true, others = (np.round(values, 4) for values in (true, others))
        gathered.ranks[name].append(fractional_ranks(true[0], others, random))
        if name == "log_joint":
            gathered.levels.append((true[0], others))


def _mean(parts: list[Tensor]) -> float | None:
    return float(torch.cat(parts).double().mean()) if parts else None
