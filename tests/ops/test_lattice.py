"""Lattices against every path written out: 500 random cases of each way to move, ragged in one batch."""

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn.functional import pad

from hardpp.ops.lattice import arc_probabilities, best_path, draw_paths, log_total
from hardpp.ops.lattice_ctc import ctc_arcs, ctc_end
from hardpp.ops.lattice_grid import Grid

CASES = 500
TOPOLOGIES = ["dwell", "no-dwell", "ctc"]
IMPOSSIBLE = -math.inf


def path_weight(arcs: Tensor, end: Tensor, transitions: Tensor) -> Tensor:
    """The weight (K, ...) of given transitions (K, ..., N), minus infinity where an arc is missing."""
    S = arcs.shape[-2]
    states = pad(transitions.cumsum(-1), (1, 0))
    over = states[..., -1] >= S
    place = (states[..., :-1].clamp(max=S - 1) * arcs.shape[-1] + transitions).unsqueeze(-1)
    flat = arcs.flatten(-2)
    taken = flat.expand(*transitions.shape, -1).gather(-1, place).squeeze(-1).sum(-1)
    last = end.expand(*transitions.shape[:-1], -1).gather(-1, states[..., -1:].clamp(max=S - 1)).squeeze(-1)
    return (taken + last).masked_fill(over, -torch.inf)


def ctc_frames(target: Tensor, tokens: Tensor) -> Tensor:
    """How many frames (B,) it takes to say so many (B,) of the tokens: one each, a blank between equals."""
    each = torch.arange(target.shape[-1], device=target.device) < tokens.unsqueeze(-1)
    again = (target == pad(target, (1, 0))[..., :-1]) & each
    again[..., :1] = False
    return tokens + again.sum(-1)


class Lattices(NamedTuple):
    """A batch of lattices, the tables their arcs are made of, and all paths with weights."""

    arcs: Tensor
    end: Tensor
    tables: list[Tensor]  # leaves
    paths: list[dict[tuple[int, ...], float]]
    lengths: list[int]


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x)) if x > -700 else x


def grid_paths(m: int, n: int, dwell: bool) -> Iterator[tuple[int, ...]]:
    steps = m + n if dwell else m
    for emits in itertools.combinations(range(steps), n):
        yield tuple(int(t in emits) for t in range(steps))


def grid_weight(path: tuple[int, ...], m: int, n: int, dwell: bool, logits: list, tokens: list) -> float:
    i = o = 0
    total = 0.0
    for b in path:
        forced = o == n or (i == m if dwell else m - i == n - o)
        if not forced:
            total += log_sigmoid(logits[i][o] if b else -logits[i][o])
        total += tokens[i][o] if b else 0.0
        o += b
        i += 1 if not dwell or not b else 0
    assert (i, o) == (m, n)
    return total


def decision_lattices(dwell: bool, seed: int = 0, impossible: bool = True) -> Lattices:
    generator = torch.Generator().manual_seed(seed)
    S, T = 4, 3
    m = torch.randint(1, S + 1, (CASES,), generator=generator)
    n = torch.randint(0, T + 1, (CASES,), generator=generator)
    if not dwell:
        n = n.minimum(m)
    logits = 2 * torch.randn(CASES, S + 1, T + 1, generator=generator, dtype=torch.float64)
    tokens = 3 * torch.randn(CASES, S + 1, T, generator=generator, dtype=torch.float64)
    if impossible:
        tokens[torch.rand(tokens.shape, generator=generator) < 0.3] = IMPOSSIBLE
    grid = Grid(m, n, S, T, dwell)
    tables = [logits.requires_grad_(), tokens.requires_grad_()]
    paths = []
    for c in range(CASES):
        mc, nc = int(m[c]), int(n[c])
        one, other = logits[c].tolist(), tokens[c].tolist()
        paths.append({p: grid_weight(p, mc, nc, dwell, one, other) for p in grid_paths(mc, nc, dwell)})
    arcs = grid.arcs(logits) + grid.token_arcs(tokens)
    return Lattices(arcs, grid.end(arcs), tables, paths, grid.length.tolist())


def ctc_lattices(seed: int = 0, impossible: bool = True) -> Lattices:
    generator = torch.Generator().manual_seed(seed)
    S, T, V = 4, 3, 3
    m = torch.randint(1, S + 1, (CASES,), generator=generator)
    n = torch.randint(0, T + 1, (CASES,), generator=generator)
    target = torch.randint(1, V, (CASES, T), generator=generator)
    logits = 2 * torch.randn(CASES, S, V, generator=generator, dtype=torch.float64)
    if impossible:
        logits[torch.rand(logits.shape, generator=generator) < 0.05] = IMPOSSIBLE
    log_probs = logits.log_softmax(-1).requires_grad_()
    paths = []
    for c in range(CASES):
        wanted, table, found = target[c, : n[c]].tolist(), log_probs[c].tolist(), {}
        for said in itertools.product(range(V), repeat=int(m[c])):
            if [s for s, _ in itertools.groupby(said) if s] == wanted:
                found[said] = sum(table[t][s] for t, s in enumerate(said))
        paths.append(found)
    arcs = ctc_arcs(log_probs, m, target, 0)
    return Lattices(arcs, ctc_end(n, 2 * T + 1, arcs.dtype), [log_probs], paths, m.tolist())


def lattices(topology: str, impossible: bool = True) -> Lattices:
    if topology == "ctc":
        return ctc_lattices(impossible=impossible)
    return decision_lattices(topology == "dwell", impossible=impossible)


def log_sum(weights: list[float]) -> float:
    top = max(weights, default=IMPOSSIBLE)
    return top if top == IMPOSSIBLE else top + math.log(sum(math.exp(w - top) for w in weights))


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_the_sum_is_that_over_all_paths(topology: str) -> None:
    batch = lattices(topology)
    expected = torch.tensor([log_sum(list(paths.values())) for paths in batch.paths], dtype=torch.float64)
    assert 10 < (expected == IMPOSSIBLE).sum() < CASES / 2  # both kinds are there
    torch.testing.assert_close(log_total(batch.arcs, batch.end), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_gradients_are_posterior_probabilities_of_arcs(topology: str) -> None:
    batch = lattices(topology)
    total = log_total(batch.arcs, batch.end)
    found = torch.autograd.grad(total.sum(), batch.arcs, retain_graph=True)[0]
    torch.testing.assert_close(found, arc_probabilities(batch.arcs, batch.end), rtol=0, atol=1e-14)
    possible = total > IMPOSSIBLE
    assert torch.equal(found.sum((-1, -2)) > 0.5, possible.unsqueeze(-1).expand(-1, found.shape[1]))
    torch.testing.assert_close(
        found[possible].sum((-1, -2)), torch.ones(int(possible.sum()), found.shape[1], dtype=found.dtype)
    )
    for table in torch.autograd.grad(total.sum(), batch.tables):
        assert table.isfinite().all()
        assert table.abs().max() > 0.1


@pytest.mark.parametrize("topology", ["dwell", "no-dwell"])
def test_arc_probabilities_count_paths(topology: str) -> None:
    batch = lattices(topology)
    found = arc_probabilities(batch.arcs, batch.end)
    for c, paths in enumerate(batch.paths):
        expected = torch.zeros_like(found[c])
        total = log_sum(list(paths.values()))
        for path, weight in paths.items():
            state = 0
            for t, transition in enumerate(path):
                expected[t, state, transition] += math.exp(weight - total) if total > IMPOSSIBLE else 0.0
                state += transition
            expected[len(path) :, state, 0] += math.exp(weight - total) if total > IMPOSSIBLE else 0.0
        torch.testing.assert_close(found[c], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_gradients_are_those_of_autograd(topology: str) -> None:
    """Of the same recursion in plain torch, where nothing is impossible but what the lattice lacks."""
    batch = lattices(topology, impossible=False)
    found = torch.autograd.grad(log_total(batch.arcs, batch.end).nan_to_num(neginf=0.0).sum(), batch.tables,
                                retain_graph=True)  # fmt: skip
    arcs = batch.arcs.clamp(min=-1e4)
    alpha = torch.full_like(arcs[:, 0, :, 0], -1e4)
    alpha[:, 0] = 0.0
    for t in range(arcs.shape[1]):
        climbed = [torch.nn.functional.pad(alpha + arcs[:, t, :, j], (j, 0), value=-1e4) for j in (0, 1)]
        if arcs.shape[-1] == 3:
            climbed.append(torch.nn.functional.pad(alpha + arcs[:, t, :, 2], (2, 0), value=-1e4))
        alpha = torch.stack([each[:, : alpha.shape[1]] for each in climbed]).logsumexp(0)
    total = (alpha + batch.end.clamp(min=-1e4)).logsumexp(-1)
    expected = torch.autograd.grad(total.where(total > -5e3, 0.0).sum(), batch.tables)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_best_path(topology: str) -> None:
    batch = lattices(topology)
    transitions, weight = best_path(batch.arcs, batch.end)
    expected = torch.tensor([max(paths.values(), default=IMPOSSIBLE) for paths in batch.paths])
    torch.testing.assert_close(weight, expected.double(), rtol=1e-6, atol=1e-6)
    again = path_weight(batch.arcs, batch.end, transitions)
    possible = weight > IMPOSSIBLE
    torch.testing.assert_close(again[possible], weight[possible], rtol=1e-12, atol=1e-12)
    if topology != "ctc":
        for c in possible.nonzero().flatten().tolist():
            path = transitions[c].tolist()
            assert batch.paths[c][tuple(path[: batch.lengths[c]])] == pytest.approx(float(weight[c]))
            assert not any(path[batch.lengths[c] :])


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_draws_are_paths_and_differ(topology: str) -> None:
    batch = lattices(topology)
    torch.manual_seed(0)
    drawn = draw_paths(batch.arcs, batch.end, 20)
    total = log_total(batch.arcs, batch.end)
    possible = total > IMPOSSIBLE
    assert path_weight(batch.arcs, batch.end, drawn)[:, possible].isfinite().all()
    share = best_path(batch.arcs, batch.end)[1] - total  # of the best path
    flat = int(share.nan_to_num(nan=0.0).argmin())
    assert len({tuple(path) for path in drawn[:, flat].tolist()}) > 1


def test_draws_reach_every_path() -> None:
    """With numbers spread evenly over the unit interval each path comes as often as it is probable."""
    arcs = torch.zeros(1, 2, 3, 2, dtype=torch.float64)
    arcs[0, 0, 0] = torch.tensor([0.3, 0.7]).log()
    arcs[0, 1, 0] = torch.tensor([0.6, 0.4]).log()
    arcs[0, 1, 1] = torch.tensor([0.2, 0.8]).log()
    torch.manual_seed(0)
    K = 200_000
    transitions = draw_paths(arcs, torch.zeros(1, 3, dtype=torch.float64), K)[:, 0]
    code = 2 * transitions[:, 0] + transitions[:, 1]
    share = torch.bincount(code, minlength=4) / K
    torch.testing.assert_close(share, torch.tensor([0.18, 0.12, 0.14, 0.56]), rtol=0, atol=5e-3)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_float32_at_length_2000(topology: str) -> None:
    generator = torch.Generator().manual_seed(3)
    S, T = (2000, 40) if topology == "ctc" else (2000, 60)
    m, n = torch.tensor([S, S - 7]), torch.tensor([T, T - 3])
    if topology == "ctc":
        table = [torch.randn(2, S, 30, generator=generator).log_softmax(-1)]
        target = torch.randint(1, 30, (2, T), generator=generator)
    else:
        logits = torch.randn(2, S + 1, T + 1, generator=generator) - 3
        table = [logits, -4 + torch.randn(2, S + 1, T, generator=generator)]
    found = []
    for dtype in (torch.float32, torch.float64):
        leaves = [each.to(dtype).requires_grad_() for each in table]
        if topology == "ctc":
            arcs, end = ctc_arcs(leaves[0], m, target, 0), ctc_end(n, 2 * T + 1, dtype)
        else:
            grid = Grid(m, n, S, T, topology == "dwell")
            arcs = grid.arcs(leaves[0]) + grid.token_arcs(leaves[1])
            end = grid.end(arcs)
        total = log_total(arcs, end)
        found.append(
            (total.detach().double(), *(g.double() for g in torch.autograd.grad(total.sum(), leaves)))
        )
    narrow, wide = found
    assert wide[0].abs().min() > 100
    torch.testing.assert_close(narrow[0], wide[0], rtol=1e-5, atol=0)  # 1e-4 is wanted
    for one, other in zip(narrow[1:], wide[1:], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dwell", [True, False])
def test_probabilities_of_emission_frames(dwell: bool) -> None:
    """Where each token is emitted, by counting paths."""
    batch = decision_lattices(dwell, impossible=False)
    S, T = 4, 3
    grid = Grid(torch.zeros(CASES, dtype=torch.int64), torch.zeros(CASES, dtype=torch.int64), S, T, dwell)
    found = grid.emission_frames(arc_probabilities(batch.arcs, batch.end))
    for c, paths in enumerate(batch.paths):
        expected, total = torch.zeros(T, S + 1, dtype=torch.float64), log_sum(list(paths.values()))
        for path, weight in paths.items():
            i = o = 0
            for b in path:
                if b:
                    expected[o, i] += math.exp(weight - total)
                o, i = o + b, i + (not dwell or not b)
        torch.testing.assert_close(found[c], expected, rtol=0, atol=1e-12)


def test_ctc_is_that_of_torch() -> None:
    generator = torch.Generator().manual_seed(1)
    B, S, T, V = 6, 12, 4, 5
    m, n = torch.tensor([12, 9, 8, 8, 12, 5]), torch.tensor([4, 3, 4, 0, 1, 2])
    target = torch.randint(1, V, (B, T), generator=generator)
    target[0] = 2  # all the same: blanks have to stand between
    log_probs = torch.randn(B, S, V, generator=generator, dtype=torch.float64).log_softmax(-1)
    ours, theirs = (log_probs.clone().requires_grad_() for _ in range(2))
    total = log_total(ctc_arcs(ours, m, target, 0), ctc_end(n, 2 * T + 1, ours.dtype))
    loss = torch.nn.functional.ctc_loss(theirs.transpose(0, 1), target, m, n, blank=0, reduction="none")
    torch.testing.assert_close(total, -loss, rtol=1e-12, atol=1e-12)
    weights = torch.arange(1.0, B + 1).double()
    one = torch.autograd.grad((weights * total).sum(), ours)[0]
    other = torch.autograd.grad(-(weights * loss).sum(), theirs)[0]
    # torch's gradient is one of logits: the sum over symbols of each frame is taken off, times the softmax.
    logits = log_probs.clone().requires_grad_()
    through = logits.log_softmax(-1)
    torch.testing.assert_close(
        torch.autograd.grad(through, logits, one, retain_graph=True)[0],
        torch.autograd.grad(through, logits, other)[0],
        rtol=0,
        atol=1e-12,
    )


def test_grids_without_a_path() -> None:
    """More tokens than frames: no paths without dwelling, no gradient and no NaN."""
    grid = Grid(torch.tensor([2]), torch.tensor([3]), 3, 3, False)
    logits = torch.randn(1, 4, 4, requires_grad=True)
    arcs = grid.arcs(logits)
    total = log_total(arcs, grid.end(arcs))
    assert total.item() == IMPOSSIBLE
    assert (torch.autograd.grad(total.sum(), logits)[0] == 0).all()
    assert (arc_probabilities(arcs, grid.end(arcs)) == 0).all()
    assert best_path(arcs, grid.end(arcs))[1].item() == IMPOSSIBLE
    assert draw_paths(arcs, grid.end(arcs), 2).shape == (2, 1, 6 if grid.dwell else 3)


def test_what_fits() -> None:
    """Exactly where a sum over paths is not empty."""
    m, n = torch.cartesian_prod(torch.arange(1, 5), torch.arange(4)).T
    for dwell in (True, False):
        grid = Grid(m, n, 4, 3, dwell)
        arcs = grid.arcs(torch.zeros(len(m), 5, 4))
        assert torch.equal(
            m >= (1 if dwell else n.clamp(min=1)), log_total(arcs, grid.end(arcs)) > IMPOSSIBLE
        )
    for target in ([1, 1, 2], [1, 2, 2], [1, 2, 3], [2, 2, 2]):
        rows = torch.tensor(target).expand(len(m), -1)
        total = log_total(ctc_arcs(torch.zeros(len(m), 4, 4), m, rows, 0), ctc_end(n, 7, torch.float32))
        assert torch.equal(m >= ctc_frames(rows, n), total > IMPOSSIBLE)


@pytest.mark.parametrize("dwell", [True, False])
def test_frames_of_emissions_on_a_path(dwell: bool) -> None:
    grid = Grid(torch.tensor([3, 2]), torch.tensor([2, 1]), 3, 2, dwell)
    path = [[0, 1, 0, 0, 1], [1, 0, 0, 0, 0]] if dwell else [[0, 1, 1], [0, 1, 0]]
    found = grid.emitted_at(torch.tensor(path))
    assert found[0].tolist() == ([1, 3] if dwell else [1, 2])
    assert found[1, 0] == (0 if dwell else 1)
