"""Tiny online alignments, and what they say of a path written out one decision at a time.

Shapes: B data, N decisions, S frames, T tokens, F features of a frame, V symbols, C paths.
"""

import itertools
from math import comb, log
from typing import Any

import torch
from cases import DOUBLE, ragged, sharpen
from torch import Tensor, nn

from hardpp.guides.online_alignment import TargetInformed
from hardpp.guides.prior import Prior
from hardpp.models.online_alignment import OnlineAlignment
from hardpp.models.transducer import TransducerAlignment
from hardpp.nn.readout import Joint
from hardpp.nn.recurrent import BidirectionalLSTM, StepwiseLSTM
from hardpp.types import SequenceBatch

F, E, H, V = 2, 2, 3, 4


def utterances(
    frames: tuple[int, ...] = (3, 2),
    tokens: tuple[int, ...] = (2, 1),
    padded: tuple[int, int] = (0, 0),
    dtype: torch.dtype = DOUBLE,
) -> SequenceBatch:
    """Random utterances of these lengths; `padded` more frames and tokens hold rubbish."""
    generator = torch.Generator().manual_seed(11)
    masks = [
        nn.functional.pad(ragged(list(n)), (0, p)) for n, p in zip((frames, tokens), padded, strict=True)
    ]
    source = torch.full((*masks[0].shape, F), 7.0, dtype=dtype)
    target = torch.full(masks[1].shape, 1)
    for b, (m, n) in enumerate(zip(frames, tokens, strict=True)):
        source[b, :m] = torch.randn(m, F, generator=generator, dtype=dtype)
        target[b, :n] = torch.randint(1, V, (n,), generator=generator)
        target[b, n - 1] = 0
    return SequenceBatch(source, masks[0], target, masks[1])


def seeded(make: Any, seed: int, spread: float = 2.5, dtype: torch.dtype = DOUBLE) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return sharpen(make(), spread).to(dtype)


def online(dwell: bool = True, layers: int = 1, dtype: torch.dtype = DOUBLE) -> OnlineAlignment:
    def make() -> OnlineAlignment:
        embedding, recurrence = nn.Embedding(V, E), StepwiseLSTM(F + 1 + E, H, layers)
        return OnlineAlignment(embedding, recurrence, nn.Linear(H, 1), nn.Linear(H, V), dwell=dwell)

    return seeded(make, 0, dtype=dtype)


def transducer(dwell: bool = True, ahead: bool = False, dtype: torch.dtype = DOUBLE) -> TransducerAlignment:
    def make() -> TransducerAlignment:
        frames, size = (BidirectionalLSTM(F, H), 2 * H) if ahead else (StepwiseLSTM(F, H), H)
        embedding, tokens, joint = nn.Embedding(V, E), StepwiseLSTM(E, H), Joint(size, H, H)
        emission, readout = nn.Linear(H, 1), nn.Linear(H, V)
        return TransducerAlignment(frames, embedding, tokens, joint, emission, readout, dwell=dwell)

    return seeded(make, 1, dtype=dtype)


def informed(dwell: bool = True, dtype: torch.dtype = DOUBLE) -> TargetInformed:
    def make() -> TargetInformed:
        reader, recurrence = BidirectionalLSTM(F, H), StepwiseLSTM(2 * H + 1 + E, H)
        return TargetInformed(reader, nn.Embedding(V, E), recurrence, nn.Linear(H, 1), dwell=dwell)

    return seeded(make, 2, dtype=dtype)


MODELS = {"online": online, "transducer": transducer}


def guide_of(name: str, model: Any) -> Any:
    return Prior(model) if name == "prior" else informed(model.dwell)


def legal_paths(m: int, n: int, dwell: bool, steps: int) -> Tensor:
    """All of them, (C, N), zeros after the end."""
    length = m + n if dwell else m
    found = torch.zeros(0, steps, dtype=torch.int64)
    for emits in itertools.combinations(range(length), n):
        path = torch.zeros(1, steps, dtype=torch.int64)
        path[0, list(emits)] = 1
        found = torch.cat([found, path])
    return found


class Written(nn.Module):
    """An LSTM written out, with its weights."""

    def __init__(self, lstm: StepwiseLSTM):
        super().__init__()
        self.lstm, self.layers = lstm.lstm, lstm.lstm.num_layers

    def forward(self, inputs: Tensor, state: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Any]:
        new = []
        for layer, (h, c) in enumerate(state):
            w = {
                k: getattr(self.lstm, f"{k}_l{layer}")
                for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
            gates = w["weight_ih"] @ inputs + w["bias_ih"] + w["weight_hh"] @ h + w["bias_hh"]
            i, f, g, o = gates.chunk(4)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            inputs = o.sigmoid() * c.tanh()
            new.append((inputs, c))
        return inputs, new

    def start(self) -> list[tuple[Tensor, Tensor]]:
        zero = torch.zeros(self.lstm.hidden_size, dtype=DOUBLE)
        return [(zero, zero)] * self.layers


def even_logit(frames: int, tokens: int, dwell: bool) -> float:
    """Of emitting next, if all ways to go on with so many frames and tokens left are equally likely."""
    if dwell:
        return log(comb(frames + tokens - 1, frames)) - log(comb(frames + tokens - 1, tokens))
    return log(comb(frames - 1, tokens - 1)) - log(comb(frames - 1, tokens))


def by_hand(program: Any, batch: SequenceBatch, b: int, path: Tensor) -> tuple[Tensor, Tensor]:
    """Of one legal path of one datum: log-probability of each decision, and of what it emits, (N,) each."""
    m, n = int(batch.source_mask[b].sum()), int(batch.target_mask[b].sum())
    x, y, dwell = batch.source[b, :m], batch.target[b, :n].tolist(), program.dwell
    zero = torch.zeros((), dtype=DOUBLE)
    decide, say = [zero] * len(path), [zero] * len(path)
    is_guide, is_grid = isinstance(program, TargetInformed), isinstance(program, TransducerAlignment)
    end = torch.zeros(1, F, dtype=DOUBLE)
    if is_guide:
        whole = torch.ones(1, m, dtype=torch.bool)
        frames = program.reader(x.unsqueeze(0), whole)[0]
        frames = torch.cat([frames, torch.zeros(1, frames.shape[-1], dtype=DOUBLE)])
    elif is_grid:
        whole = torch.ones(1, m + 1, dtype=torch.bool)
        frames = program.frames(torch.cat([x, end]).unsqueeze(0), whole)[0]
        reads = Written(program.tokens)
        history, tokens = reads.start(), []
        for symbol in [0, *y]:
            known, history = reads(program.embedding(torch.tensor(symbol)), history)
            tokens.append(known)
    else:
        frames = torch.cat([x, end])
    if not is_grid:
        lstm = Written(program.recurrence)
        state = lstm.start()
    i, o, last = 0, 0, 0
    for t in range(m + n if dwell else m):
        decision = int(path[t])
        if is_grid:
            h = program.joint(frames[i], tokens[o])
        else:
            symbol = ([*y, 0] if is_guide else [0, *y])[o]
            told = torch.tensor([float(last)], dtype=DOUBLE)
            h, state = lstm(torch.cat([frames[i], told, program.embedding(torch.tensor(symbol))]), state)
        forced = o == n or (i == m if dwell else m - i == n - o)
        if not forced:
            logit = program.emission(h).squeeze()
            if is_guide:
                logit = logit + even_logit(m - i, n - o, dwell)
            p = logit.sigmoid()
            decide[t] = (p if decision else 1 - p).log()
        if decision and not is_guide:
            say[t] = program.readout(h).log_softmax(-1)[y[o]]
        o, i, last = o + decision, i + (not dwell or not decision), decision
    assert (i, o) == (m, n)
    return torch.stack(decide), torch.stack(say)
