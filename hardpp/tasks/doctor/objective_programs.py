"""Two programs so small that all values of their latents can be gone through, for looking at objectives.

    state[t] ~ Categorical(transition[state[t - 1]]),   symbol[t] ~ Categorical(emission[state[t]])

With one step a datum has one latent; with two, what is credited to the first shows.

Shapes: B data, T steps, S states, V symbols, C tuples, K particles.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import pyro
import torch
from pyro import distributions as dist
from pyro import poutine
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.weights.sample_sites import site_log_prob
from hardpp.tasks.doctor.exact_expectation import Force, Latent, Twin, Values
from hardpp.tasks.doctor.recorded import by_datum, recorded
from hardpp.types import Program

SYMBOLS = 4


class Symbols(NamedTuple):
    """A batch."""

    target: Tensor  # (B, T) int64
    mask: Tensor  # (B, T) bool
    of: int | None = None  # how many data there are, of which these are a subsample; None: these
    scale: float = 1.0  # poutine.scale of all sites


class Steps(PyroModule):
    """The model, or with `observes=False` a guide whose tables know the symbol."""

    max_plate_nesting = 1

    def __init__(self, observes: bool, states: int, seed: int):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.observes, self.states = observes, states

        def table(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=generator, dtype=torch.float64))

        moves = (states + 1, states)  # from each state, and from none
        self.transition = table(*moves) if observes else table(SYMBOLS, *moves)
        if observes:
            self.emission = table(states, SYMBOLS)

    def forward(self, batch: Symbols) -> None:
        """Runs the program; the sites are state_1, symbol_1, state_2 and so on."""
        (B, T), device = batch.target.shape, str(batch.target.device)
        index = None if batch.of is None else torch.arange(B)
        state: Tensor | None = None
        with (
            pyro.plate("data", batch.of or B, subsample=index, dim=-1, device=device),
            poutine.scale(scale=batch.scale),
        ):
            for t in pyro.markov(range(T)):
                table = self.transition if self.observes else self.transition[batch.target[:, t]]
                with poutine.mask(mask=batch.mask[:, t]):
                    logits = table[..., -1, :] if state is None else _row(table, state)
                    state = pyro.sample(f"state_{t + 1}", dist.Categorical(logits=logits))
                    if self.observes:
                        emission = dist.Categorical(logits=_row(self.emission, state))
                        pyro.sample(f"symbol_{t + 1}", emission, obs=batch.target[:, t])


# Rows of a table (S + 1, .), or of one for each datum (B, S + 1, .), by state, or by weights of states.
def _row(table: Tensor, state: Tensor) -> Tensor:
    states = table.shape[-2]
    if not state.is_floating_point():
        state = nn.functional.one_hot(state, states).to(table)
    return (state.unsqueeze(-2) @ table[..., : state.shape[-1], :]).squeeze(-2)


class Pair(NamedTuple):
    """Both programs."""

    model: Steps
    guide: Steps

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [*self.model.parameters(), *self.guide.parameters()]


def pair(states: int) -> Pair:
    """A model and a guide that is far from its posterior."""
    return Pair(Steps(True, states, seed=1), Steps(False, states, seed=2))


def batch(steps: int, *symbols: int) -> Symbols:
    """A datum for each symbol, with that symbol and those after it as its steps."""
    target = (torch.tensor(symbols).unsqueeze(-1) + torch.arange(steps)) % SYMBOLS
    return Symbols(target, torch.ones_like(target, dtype=torch.bool))


def twin_of(both: Pair, data: Symbols) -> Twin:
    """Weighs the tuples of a batch by running both programs at each of them."""

    def joint(values: Values) -> tuple[Tensor, Tensor]:
        count = len(next(iter(values.values())))
        rows = [{name: value[c] for name, value in values.items()} for c in range(count)]
        return _weigh(both.model, data, rows), _weigh(both.guide, data, rows)

    T = data.target.shape[1]
    return Twin({f"state_{t + 1}": Latent(both.model.states, data.mask[:, t]) for t in range(T)}, joint)


def _weigh(program: Steps, data: Symbols, rows: list[dict[str, Tensor]]) -> Tensor:
    found = []
    for row in rows:
        run = recorded(program, data, row, gradients=True)
        found.append(sum(by_datum(site, site_log_prob(site)) for site in run.sites))
    return torch.stack([torch.as_tensor(each) for each in found])


def forced(
    objective: SurrogateObjective, guide: Program, values: dict[str, Tensor]
) -> tuple[Program, AbstractContextManager[Any]]:
    """A guide, and a handler to run it in, with which it draws these indices.

    The noise of relaxed latents is a function of their distribution instead. What draws with a handler of
    its own, close to the guide, is given its values closer still.
    """
    relaxes = "relaxable" in objective.needs
    given: dict[str, Any] = dict(values)
    if relaxes:
        given = {name: _noise_at(value) for name, value in values.items()}
    force = Force(given)
    if getattr(objective, "draws_together", False) and not relaxes:
        return force(guide), nullcontext()
    return guide, force


def _noise_at(value: Tensor) -> Callable[[Any], Tensor]:
    return lambda fn: noise(fn, value)


def noise(fn: Any, value: Tensor) -> Tensor:
    """Noise (..., S) that is the same for any padding; of indices it is the value."""
    if isinstance(fn, torch.distributions.Dirichlet):
        return fn.mean
    if fn.event_shape:
        return torch.arange(fn.event_shape[0], device=value.device).sin().to(fn.mean).expand_as(fn.mean)
    return value
