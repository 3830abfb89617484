"""CTC in one loop of both directions, against the lattice of its arcs and against torch's own."""

import pytest
import torch
from torch import Tensor
from torch.func import grad, vmap

from hardpp.ops.lattice import log_total
from hardpp.ops.lattice_ctc import ctc_arcs, ctc_end
from hardpp.ops.lattice_ctc_total import FEW_SYMBOLS, ctc_log_total


def by_arcs(log_probs: Tensor, frames: Tensor, target: Tensor, tokens: Tensor, blank: int) -> Tensor:
    arcs = ctc_arcs(log_probs, frames, target, blank)
    return log_total(arcs, ctc_end(tokens, arcs.shape[-2], arcs.dtype))


@pytest.mark.parametrize("seed", range(40))
def test_total_and_gradient_are_those_of_the_lattice(seed: int) -> None:
    """Ragged batches, blanks anywhere among the symbols and among the tokens, impossible symbols, no path."""
    torch.manual_seed(seed)
    B, V = 6, 4 if seed % 4 else FEW_SYMBOLS + 2
    S, T, blank = (int(torch.randint(low, high, ())) for low, high in ((1, 9), (1, 4), (0, 4)))
    log_probs = (3 * torch.randn(B, S, V, dtype=torch.float64)).log_softmax(-1)
    if seed % 3 == 0:
        log_probs = log_probs.masked_fill(torch.rand(log_probs.shape) < 0.15, -torch.inf)
    inputs = (
        torch.randint(0, S + 1, (B,)), torch.randint(0, 4, (B, T)), torch.randint(0, T + 1, (B,)), blank
    )  # fmt: skip
    log_probs.requires_grad_()
    found, wanted = (total(log_probs, *inputs) for total in (ctc_log_total, by_arcs))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)
    weights = torch.randn(B, dtype=torch.float64)
    one, other = (torch.autograd.grad(total, log_probs, weights)[0] for total in (found, wanted))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
    with torch.no_grad():
        torch.testing.assert_close(ctc_log_total(log_probs, *inputs), wanted, rtol=0, atol=1e-10)


def test_nothing_is_said() -> None:
    log_probs = torch.randn(2, 3, 4).log_softmax(-1).requires_grad_()
    nothing = torch.zeros(2, 0, dtype=torch.int64)
    total = ctc_log_total(log_probs, torch.tensor([3, 2]), nothing, torch.zeros(2, dtype=torch.int64), 1)
    blanks = log_probs.detach()[..., 1]
    torch.testing.assert_close(total, torch.stack([blanks[0].sum(), blanks[1, :2].sum()]))
    silence = ctc_log_total(log_probs[:, :0], torch.zeros(2, dtype=torch.int64), nothing, nothing.sum(1), 1)
    assert silence.tolist() == [0.0, 0.0]


def test_elements_of_vmap() -> None:
    frames, tokens = torch.tensor([4, 3]), torch.tensor([2, 1])
    target = torch.tensor([[1, 1], [2, 0]])
    log_probs = torch.randn(3, 2, 4, 3, dtype=torch.float64)

    def gradient(each: Tensor) -> Tensor:
        return grad(lambda x: ctc_log_total(x, frames, target, tokens, 0).sum())(each)

    found = vmap(gradient)(log_probs)
    for one, each in zip(found, log_probs, strict=True):
        leaf = each.clone().requires_grad_()
        total = by_arcs(leaf, frames, target, tokens, 0).sum()
        torch.testing.assert_close(one, torch.autograd.grad(total, leaf)[0], rtol=0, atol=1e-12)


def test_float32_over_5000_frames() -> None:
    """Certain and uncertain frames: messages neither overflow nor drift."""
    torch.manual_seed(0)
    S, T, V = 5000, 60, 20
    scores = torch.randn(1, S, V, dtype=torch.float64) * torch.linspace(1, 12, S).unsqueeze(-1)
    inputs = torch.tensor([S]), torch.randint(1, V, (1, T)), torch.tensor([T]), 0
    found = []
    for dtype in (torch.float32, torch.float64):
        leaf = scores.to(dtype).log_softmax(-1).requires_grad_()
        total = ctc_log_total(leaf, *inputs)
        found.append((total.double(), torch.autograd.grad(total, leaf)[0].double()))
    (narrow, of_narrow), (wide, of_wide) = found
    torch.testing.assert_close(narrow, wide, rtol=1e-6, atol=0)
    torch.testing.assert_close(of_narrow, of_wide, rtol=0, atol=2e-3)
