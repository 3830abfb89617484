"""Tiny Pyro programs, each with a guide, its arguments and its hand-written twin in `oracles`.

Shapes: B data, T steps, S values of a latent, V symbols.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import oracles
import pyro
import pyro.distributions as dist
import torch
from oracles import Latent, Twin
from pyro import poutine
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp.guides.alignment import StepwiseAlignment
from hardpp.guides.prior import Prior
from hardpp.inference.fivo import State, run
from hardpp.inference.weights.layout import Layout
from hardpp.inference.weights.sample_sites import Plate
from hardpp.models.latent_alignment import LatentAlignment
from hardpp.nn.attention import AdditiveScorer, BilinearScorer
from hardpp.nn.decoder import InputFeedingDecoder
from hardpp.nn.readout import Readout
from hardpp.nn.recurrent import BidirectionalLSTM
from hardpp.types import SequenceBatch

DOUBLE = torch.float64


class Case(NamedTuple):
    model: nn.Module
    guide: nn.Module
    args: tuple[Any, ...]
    twin: Twin

    @property
    def of_model(self) -> list[nn.Parameter]:
        return list(self.model.parameters())

    @property
    def of_guide(self) -> list[nn.Parameter]:
        """The guide's own: those the model does not have."""
        shared = {id(p) for p in self.model.parameters()}
        return [p for p in self.guide.parameters() if id(p) not in shared]


def normal(*shape: int, seed: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE))


DATA = Plate("data", -1)


def data_layout(size: int) -> Layout:
    """Of a table by hand whose instances are so many data."""
    return Layout(1, (DATA,), {DATA: size}, DATA)


def ragged(lengths: list[int]) -> Tensor:
    """(B, longest) bool mask."""
    return torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(-1)


def pick(table: Tensor, z: Tensor) -> Tensor:
    """Rows of a table by index (...), or by weights (..., S) of its first S rows."""
    return z @ table[: z.shape[-1]] if z.is_floating_point() else table[z]


# --- chains -----------------------------------------------------------------------------------------


class Chain(PyroModule):
    """z_t | z_{t-1} and y_t | z_t; `style` is how the program remembers z_t."""

    def __init__(self, T: int, S: int, V: int, style: str = "tensor", seed: int = 0):
        super().__init__()
        self.T, self.S, self.style = T, S, style
        self.transition, self.emission = normal(S + 1, S, seed=seed), normal(S, V, seed=seed + 1)

    def forward(self, symbols: Tensor, mask: Tensor) -> None:
        B = symbols.shape[0]
        buffer: Tensor | None = None
        with pyro.plate("data", B, dim=-1):
            previous = torch.full((B,), self.S)
            for t in pyro.markov(range(self.T)):
                with poutine.mask(mask=mask[:, t]):
                    logits = self.transition_of(previous)
                    z = pyro.sample(f"z_{t}", dist.Categorical(logits=logits))
                    if self.style == "buffer":
                        if buffer is None:
                            buffer = torch.full((*z.shape, self.T), -1)
                        buffer[..., t] = z
                        previous = buffer[..., t].clone()
                    else:
                        previous = z
                    logits = self.emission_of(previous)
                    pyro.sample(f"y_{t}", dist.Categorical(logits=logits), obs=symbols[:, t])

    def transition_of(self, z: Tensor) -> Tensor:
        return self.row(self.transition, z)

    def emission_of(self, z: Tensor) -> Tensor:
        return self.row(self.emission, z)

    def row(self, table: Tensor, z: Tensor) -> Tensor:
        if self.style != "int":
            return pick(table, z)
        return torch.stack([table[int(i)] for i in z.reshape(-1)]).reshape(*z.shape, -1)


class ChainGuide(PyroModule):
    """q(z_t | z_{t-1}), a table a step."""

    def __init__(self, T: int, S: int, seed: int = 10):
        super().__init__()
        self.T, self.S = T, S
        self.table = normal(T, S + 1, S, seed=seed)

    def forward(self, symbols: Tensor, mask: Tensor) -> None:
        B = symbols.shape[0]
        with pyro.plate("data", B, dim=-1):
            z = torch.full((B,), self.S)
            for t in pyro.markov(range(self.T)):
                with poutine.mask(mask=mask[:, t]):
                    z = pyro.sample(f"z_{t}", dist.Categorical(logits=pick(self.table[t], z)))


def chain(lengths: tuple[int, ...] = (3,), S: int = 2, V: int = 3, style: str = "tensor") -> Case:
    mask = ragged(list(lengths))
    B, T = mask.shape
    symbols = torch.randint(0, V, (B, T), generator=torch.Generator().manual_seed(5))
    model, guide = Chain(T, S, V, style), ChainGuide(T, S)
    latents = {f"z_{t}": Latent(S, mask[:, t]) for t in range(T)}

    def joint(values: oracles.Values) -> tuple[Tensor, Tensor]:
        return oracles.chain(model.transition, model.emission, guide.table, symbols, mask, values)

    return Case(model, guide, (symbols, mask), Twin(latents, joint))


class IndependentSteps(PyroModule):
    """q(z_t), a table a step and datum: a guide that knows nothing of the chain."""

    def __init__(self, T: int, B: int, S: int, seed: int = 3):
        super().__init__()
        self.table = normal(T, B, S, seed=seed)

    def forward(self, symbols: Tensor, mask: Tensor) -> None:
        with pyro.plate("data", len(symbols), dim=-1):
            for t, logits in enumerate(self.table):
                with poutine.mask(mask=mask[:, t]):
                    pyro.sample(f"z_{t}", dist.Categorical(logits=logits))


def chain_under_independent_steps(lengths: tuple[int, ...] = (3,), S: int = 2) -> Case:
    case = chain(lengths, S)
    mask = case.args[1]
    B, T = mask.shape
    guide, rows = IndependentSteps(T, B, S), torch.arange(B)

    def joint(values: oracles.Values) -> tuple[Tensor, Tensor]:
        log_p, _ = case.twin.joint(values)
        log_q = guide.table.log_softmax(-1)
        return log_p, sum(log_q[t][rows, values[f"z_{t}"]] * mask[:, t] for t in range(T))

    return case._replace(guide=guide, twin=Twin(case.twin.latents, joint))


class StepChain(PyroModule):
    """`Chain` or `ChainGuide` in steps with an explicit state, as filtering needs programs."""

    history = 1
    max_plate_nesting = 1

    def __init__(self, of: Chain | ChainGuide):
        super().__init__()
        self.S, self.observed = of.S, isinstance(of, Chain)
        if self.observed:
            self.transition, self.emission = of.transition, of.emission
        else:
            self.table = of.table

    forward = run

    def num_steps(self, symbols: Tensor, mask: Tensor) -> int:
        return symbols.shape[1]

    def init(self, state: State, symbols: Tensor, mask: Tensor) -> Any:
        state["z"] = torch.full((len(symbols),), self.S)
        return pyro.plate("data", len(symbols), dim=-1)

    def step(self, state: State, t: int, symbols: Tensor, mask: Tensor) -> None:
        with poutine.mask(mask=mask[:, t]):
            logits = pick(self.transition if self.observed else self.table[t], state["z"])
            state["z"] = pyro.sample(f"z_{t}", dist.Categorical(logits=logits))
            if self.observed:
                emission = dist.Categorical(logits=pick(self.emission, state["z"]))
                pyro.sample(f"y_{t}", emission, obs=symbols[:, t])


def chain_in_steps(lengths: tuple[int, ...] = (2,), S: int = 2) -> Case:
    case = chain(lengths, S)
    return case._replace(model=StepChain(case.model), guide=StepChain(case.guide))


class History(PyroModule):
    """p(z_t | z_<t) and p(y_t | z_<=t), binary; with `symbols` left out, the guide q(z_t | z_<t)."""

    def __init__(self, T: int, V: int, guide: bool, seed: int):
        super().__init__()
        self.T, self.is_guide = T, guide
        self.prior = normal(T, 2**T, 2, seed=seed)
        if not guide:
            self.emission = normal(T, 2 ** (T + 1), V, seed=seed + 1)

    def forward(self, symbols: Tensor) -> None:
        B = symbols.shape[0]
        with pyro.plate("data", B, dim=-1):
            code = torch.zeros(B, dtype=torch.int64)
            for t in range(self.T):
                z = pyro.sample(f"z_{t}", dist.Categorical(logits=self.prior[t][code]))
                code = 2 * code + z
                if not self.is_guide:
                    logits = self.emission[t][code]
                    pyro.sample(f"y_{t}", dist.Categorical(logits=logits), obs=symbols[:, t])


def history(T: int = 3) -> Case:
    symbols = torch.randint(0, 3, (1, T), generator=torch.Generator().manual_seed(6))
    model, guide = History(T, 3, False, 20), History(T, 3, True, 30)
    latents = {f"z_{t}": Latent(2, torch.ones(1, dtype=torch.bool)) for t in range(T)}

    def joint(values: oracles.Values) -> tuple[Tensor, Tensor]:
        return oracles.history(model.prior, model.emission, guide.prior, symbols, values)

    return Case(model, guide, (symbols,), Twin(latents, joint))


# --- two latents ------------------------------------------------------------------------------------


class TwoSupports(PyroModule):
    """c of 2 values, w of 3 given c, y given both."""

    def __init__(self, observed: bool, seed: int):
        super().__init__()
        self.first, self.second = normal(2, seed=seed), normal(2, 3, seed=seed + 1)
        if observed:
            self.emission = normal(2, 3, 4, seed=seed + 2)
        self.observed = observed

    def forward(self, symbols: Tensor) -> None:
        with pyro.plate("data", len(symbols), dim=-1):
            c = pyro.sample("colour", dist.Categorical(logits=self.first))
            w = pyro.sample("shape", dist.Categorical(logits=self.second[c]))
            if self.observed:
                pyro.sample("y", dist.Categorical(logits=self.emission[c, w]), obs=symbols)


def two_supports(B: int = 1) -> Case:
    symbols = torch.tensor([2, 0])[:B]
    model, guide = TwoSupports(True, 40), TwoSupports(False, 50)
    every = torch.ones(B, dtype=torch.bool)

    def joint(values: oracles.Values) -> tuple[Tensor, Tensor]:
        guides = [guide.first, guide.second]
        return oracles.two_supports(model.first, model.second, model.emission, guides, symbols, values)

    return Case(
        model, guide, (symbols,), Twin({"colour": Latent(2, every), "shape": Latent(3, every)}, joint)
    )


class Mixed(PyroModule):
    """z ~ Categorical, x | z ~ Normal, y | z, x ~ Normal: quadratic in x, so that three nodes are exact."""

    def __init__(self, observed: bool, seed: int):
        super().__init__()
        self.logits, self.mean, self.log_sd = (
            normal(2, seed=seed),
            normal(2, seed=seed + 1),
            normal(2, seed=seed + 2),
        )
        if observed:
            self.slope = normal(2, seed=seed + 3)
        self.observed = observed

    def forward(self, y: Tensor) -> None:
        with pyro.plate("data", len(y), dim=-1):
            z = pyro.sample("z", dist.Categorical(logits=self.logits))
            x = pyro.sample("x", dist.Normal(self.mean[z], self.log_sd.exp()[z]))
            if self.observed:
                pyro.sample("y", dist.Normal(self.slope[z] * x, 1.0), obs=y)


def mixed() -> tuple[Mixed, Mixed, tuple[Tensor]]:
    return Mixed(True, 60), Mixed(False, 70), (torch.tensor([0.7], dtype=DOUBLE),)


# --- alignments -------------------------------------------------------------------------------------


def alignment_batch(
    source: tuple[int, ...] = (2, 2),
    target: tuple[int, ...] = (2, 1),
    symbols: int = 4,
    padded: tuple[int, int] = (0, 0),
    padding: int = 0,
) -> SequenceBatch:
    """Random sequences of these lengths; `padded` more positions of source and target hold `padding`."""
    generator = torch.Generator().manual_seed(8)

    def read(lengths: tuple[int, ...], more: int) -> tuple[Tensor, Tensor]:
        mask = ragged(list(lengths))
        rows = [torch.randint(1, symbols, (n,), generator=generator) for n in lengths]
        value = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=padding)
        return nn.functional.pad(value, (0, more), value=padding), nn.functional.pad(mask, (0, more))

    return SequenceBatch(*read(source, padded[0]), *read(target, padded[1]))


def latent_alignment(
    symbols: int = 4, seed: int = 0, size: int = 2, dtype: torch.dtype = DOUBLE, spread: float = 2.5
) -> LatentAlignment:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        embedding = nn.Embedding(symbols, size)
        decoder = InputFeedingDecoder(
            embedding, size, BilinearScorer(size, 2 * size), 2 * size, size, layers=1, dropout=0.0
        )
        readout = Readout(2 * size, size, size, symbols, dropout=0.0)
        model = LatentAlignment(embedding, BidirectionalLSTM(size, size), decoder, readout)
        return sharpen(model, spread).to(dtype)


def stepwise_alignment(
    model: LatentAlignment, seed: int = 1, size: int = 2, spread: float = 2.5
) -> StepwiseAlignment:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        source, target = BidirectionalLSTM(size, size), BidirectionalLSTM(size, size)
        guide = StepwiseAlignment(
            nn.Embedding(*model.embedding.weight.shape), model.embedding, source, target,
            AdditiveScorer(2 * size, 2 * size, size),
        )  # fmt: skip
        dtype = model.embedding.weight.dtype
        return sharpen(guide, spread, but=model).to(dtype)


# Small networks start nearly uniform, where every estimator is nearly right: spread them out.
def sharpen(module: nn.Module, factor: float, but: nn.Module | None = None) -> Any:
    kept = {id(p) for p in but.parameters()} if but is not None else set()
    with torch.no_grad():
        for parameter in module.parameters():
            if id(parameter) not in kept:
                parameter.mul_(factor)
    return module


ALIGNMENT_GUIDES: dict[str, Callable[[LatentAlignment], nn.Module]] = {
    "variational": stepwise_alignment,
    "prior": Prior,
}


def alignment(guide: str = "variational", batch: SequenceBatch | None = None) -> Case:
    if batch is None:
        batch = alignment_batch(padded=(1, 0))
    model = latent_alignment()
    q = ALIGNMENT_GUIDES[guide](model)
    S = int(batch.source_mask.sum(-1).min())

    def joint(values: oracles.Values) -> tuple[Tensor, Tensor]:
        prior, likelihood, _, _ = oracles.alignment_tables(model, batch)
        if guide == "prior":
            scores = prior
        else:
            source = q.source_reader(q.source_embedding(batch.source), batch.source_mask)
            target = q.target_reader(q.target_embedding(batch.target), batch.target_mask)
            scores = q.scorer(target, q.scorer.keys(source), batch.source_mask)
        return oracles.alignment(prior, likelihood, scores.log_softmax(-1), batch.target_mask, values)

    return Case(model, q, (batch,), Twin({"alignment": Latent(S, batch.target_mask)}, joint))


CASES: dict[str, Callable[[], Case]] = {
    "chain": chain,
    "chain-buffer": lambda: chain(style="buffer"),
    "chain-int": lambda: chain(style="int"),
    "chain-ragged": lambda: chain((2, 1)),
    "history": history,
    "two-supports": two_supports,
    "alignment-variational": lambda: alignment("variational"),
    "alignment-prior": lambda: alignment("prior"),
}
ENUMERABLE = {name: make for name, make in CASES.items() if name not in ("chain-buffer", "chain-int")}
TAKES_RELAXED = ["chain", "chain-ragged", "alignment-variational", "alignment-prior"]
