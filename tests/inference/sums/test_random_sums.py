"""Latents of random programs, some summed out of the model, the others drawn by a guide in another order."""

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.ops.indexing import Vindex
from torch import Tensor

from hardpp.inference.score_function import ScoreFunctionELBO

CLOSE = {"rtol": 0, "atol": 1e-9}
SUM = {"enumerate": "parallel"}


class Node(NamedTuple):
    """A binary latent, or an observation of three symbols after so many latents."""

    table: Tensor
    parents: list[int]
    outside: bool  # of the plate of data
    after: int = 0
    value: Tensor | None = None

    def logits(self, values: dict[int, Tensor]) -> Tensor:
        return Vindex(self.table)[tuple(values[j] for j in self.parents)] if self.parents else self.table


class RandomSums:
    """A model of two to four latents, the latents that its guide draws, and those in the guide's order."""

    def __init__(self, seed: int, data: int):
        self.random, self.generator = random.Random(seed), torch.Generator().manual_seed(seed)
        self.data, n = data, self.random.randint(2, 4)
        outside = [self.random.random() < 0.25 for _ in range(n)]
        self.outside = outside
        self.latents = [self.node(i, list(range(i)), 2) for i in range(n)]
        self.observations = []
        for _ in range(self.random.randint(1, 3)):
            after, alone = self.random.randint(1, n), self.random.random() < 0.2
            among = [j for j in range(after) if outside[j] or not alone]
            node = self.node(None, among, 3, alone)
            symbols = torch.randint(3, () if alone else (data,), generator=self.generator)
            self.observations.append(node._replace(after=after, value=symbols))
        self.drawn = [i for i in range(n) if self.random.random() < 0.5] or [0]
        self.random.shuffle(self.drawn)
        self.guides = {i: self.node(i, self.drawn[: self.drawn.index(i)], 2) for i in self.drawn}

    def node(self, i: int | None, among: list[int], values: int, alone: bool = False) -> Node:
        alone = alone if i is None else self.outside[i]
        parents = [j for j in among if (self.outside[j] or not alone) and self.random.random() < 0.6][-2:]
        shape = (*(2 for _ in parents), values)
        table = torch.randn(shape, generator=self.generator, dtype=torch.float64).requires_grad_()
        return Node(table, parents, alone)

    @property
    def parameters(self) -> list[Tensor]:
        return [node.table for node in (*self.latents, *self.guides.values(), *self.observations)]

    def sample(self, name: str, node: Node, values: dict[int, Tensor], **how: Any) -> Tensor:
        fn = dist.Categorical(logits=node.logits(values))
        if node.outside:
            return pyro.sample(name, fn, **how)
        with self.plate:
            return pyro.sample(name, fn, **how)

    def model(self) -> None:
        self.plate, values = pyro.plate("data", self.data, dim=-1), dict[int, Tensor]()
        for i, node in enumerate(self.latents):
            values[i] = self.sample(f"z_{i}", node, values, infer={} if i in self.drawn else dict(SUM))
            for k, seen in enumerate(self.observations):
                if seen.after == i + 1:
                    self.sample(f"y_{k}", seen, values, obs=seen.value)

    def guide(self) -> None:
        self.plate, values = pyro.plate("data", self.data, dim=-1), dict[int, Tensor]()
        for i in self.drawn:
            values[i] = self.sample(f"z_{i}", self.guides[i], values)

    def assignments(self, which: list[int]) -> Iterator[dict[str, Tensor]]:
        shapes = [() if self.outside[i] else (self.data,) for i in which]
        choices = [itertools.product(range(2), repeat=self.data if shape else 1) for shape in shapes]
        for values in itertools.product(*choices):
            yield {
                f"z_{i}": torch.tensor(value).reshape(shape)
                for i, value, shape in zip(which, values, shapes, strict=True)
            }

    def weighed(self) -> list[tuple[dict[str, Tensor], Tensor, Tensor]]:
        """Every draw with log p(y, draw), the others summed out, and log q."""
        others, out = [i for i in range(len(self.latents)) if i not in self.drawn], []
        for draw in self.assignments(self.drawn):
            joint = []
            for rest in self.assignments(others):
                given = poutine.condition(self.model, data={**draw, **rest})
                joint.append(poutine.trace(given).get_trace().log_prob_sum())
            with oracles.Force(draw):
                log_q = poutine.trace(self.guide).get_trace().log_prob_sum()
            out.append((draw, torch.stack(joint).logsumexp(0), log_q))
        return out


def together(draws: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    if len(draws) == 1:
        return draws[0]
    return {name: torch.stack([draw[name].reshape(-1) for draw in draws]) for name in draws[0]}


@pytest.mark.parametrize(
    "seed", [*range(15), *(pytest.param(s, marks=pytest.mark.slow) for s in range(15, 36))]
)
@pytest.mark.parametrize(("data", "K", "baseline"), [(2, 1, None), (1, 2, "leave-one-out")])
def test_the_expectation_is_exact(seed: int, data: int, K: int, baseline: Any) -> None:
    program = RandomSums(seed, data)
    weighed = program.weighed()
    terms = [log_q.exp() * (log_p - log_q) for _, log_p, log_q in weighed]
    exact = torch.stack(terms).sum()
    objective: Callable[..., Any] = ScoreFunctionELBO(K, baseline=baseline, max_plate_nesting=1).estimate
    value = gradient = torch.zeros(())
    for some in itertools.product(weighed, repeat=K):
        first = all(each is weighed[0] for each in some)  # at which the program is looked over
        with oracles.Force(together([draw for draw, _, _ in some])), pyro.validation_enabled(first):
            estimate = objective(program.model, program.guide)
        probability = torch.stack([log_q for _, _, log_q in some]).sum().exp().detach()
        value = value + probability * estimate.bound.sum()
        gradient = gradient + probability * oracles.flat_gradient(estimate.surrogate, program.parameters)
    torch.testing.assert_close(value, exact.detach(), **CLOSE)
    torch.testing.assert_close(gradient, oracles.flat_gradient(exact, program.parameters), **CLOSE)
