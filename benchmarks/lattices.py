"""Sums over all alignments beside torch's ctc_loss: time over lengths, and single precision.

    python benchmarks/lattices.py [--rounds 5] [--quick]

Forward and backward of random log-probabilities, V = 40 symbols and the blank among them, one thread, CPU
time; each round runs all once in a new order, and ratios are taken within a round. "CTC" is
`hardpp.ops.lattice_ctc_total`, which `CTCSequence` sums with; "alignments" is `log_total` of a lattice of
two transitions with as many states as CTC has, from its arcs on. The errors are those of the gradient by the
logits in float32, the largest, against torch's in float64.
"""

import argparse
import random
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
from torch import Tensor
from torch.nn.functional import ctc_loss

from hardpp.ops.lattice import log_total
from hardpp.ops.lattice_ctc_total import ctc_log_total

SIZES = [(32, 50, 15), (16, 200, 40), (16, 500, 100), (8, 2000, 300), (4, 5000, 500)]  # B, frames, tokens
V = 40


def lengths(scores: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    B, S, _ = scores.shape
    return torch.full((B,), S), torch.full((B,), target.shape[1])


def theirs(scores: Tensor, target: Tensor) -> Tensor:
    log_probs = scores.log_softmax(-1).transpose(0, 1)
    return -ctc_loss(log_probs, target, *lengths(scores, target), reduction="sum")


def ours(scores: Tensor, target: Tensor) -> Tensor:
    frames, tokens = lengths(scores, target)
    return ctc_log_total(scores.log_softmax(-1), frames, target, tokens, 0).sum()


def alignments(arcs: Tensor, end: Tensor) -> Tensor:
    return log_total(arcs, end).sum()


def gradient(function: Callable[[Tensor], Tensor], scores: Tensor) -> Tensor:
    return torch.autograd.grad(function(scores), scores)[0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="two sizes: only to see that it runs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    random.seed(0)
    titles = ["B", "frames", "tokens", "ctc_loss, ms", "CTC / ctc_loss", "alignments / ctc_loss"]
    titles += ["error of ctc_loss", "error of CTC"]
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}", flush=True)
    for B, S, T in SIZES[:2] if options.quick else SIZES:
        scores, target = 2 * torch.randn(B, S, V), torch.randint(1, V, (B, T))
        arcs, end = torch.randn(B, S, 2 * T + 1, 2), torch.full((B, 2 * T + 1), -torch.inf)
        end[:, : S + 1][:, -1] = 0.0
        run: dict[str, Callable[[], Tensor]] = {
            "theirs": partial(gradient, partial(theirs, target=target), scores.requires_grad_()),
            "ours": partial(gradient, partial(ours, target=target), scores),
            "alignments": partial(gradient, partial(alignments, end=end), arcs.requires_grad_()),
        }
        took: dict[str, list[float]] = {name: [] for name in run}
        found: dict[str, Tensor] = {}
        for number in range((2 if options.quick else options.rounds) + 1):
            for name in random.sample(list(run), len(run)):
                began = time.thread_time()
                found[name] = run[name]()
                if number:
                    took[name].append(time.thread_time() - began)
        exact = gradient(partial(theirs, target=target), scores.detach().double().requires_grad_())
        row = [str(B), str(S), str(T), f"{1e3 * median(took['theirs']):.1f}"]
        ratios = {
            name: median(a / b for a, b in zip(took[name], took["theirs"], strict=True))
            for name in ("ours", "alignments")
        }
        row += [f"{ratio:.2f}" for ratio in ratios.values()]
        row += [f"{float((found[name] - exact).abs().max()):.1e}" for name in ("theirs", "ours")]
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
