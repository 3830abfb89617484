"""Seconds of one training step (forward and backward) of every objective, side by side.

    python benchmarks/step_time.py [--rounds 30] [--quick]

Each round runs every objective once, in a new order, on one thread, so that a slower moment of the machine
hits all alike; times are CPU time, ratios are taken within a round. Two programs: the alignment model on a
CMUdict batch (one site in plates over data and steps), and a loop of T = 30 sites in which every step depends
on the last. Pyro's validation is off, as in training.
"""

import argparse
import random
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import Trace_ELBO
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.soft_attention import SoftAttention
from hardpp.inference.tracegraph import TraceGraph
from hardpp.models.latent_alignment import LatentAlignment
from hardpp.runs.session import Session
from hardpp.tasks.configuration import resolve
from hardpp.types import SequenceBatch

SAMPLED = {
    "Pyro Trace_ELBO": lambda plates: Trace_ELBO(max_plate_nesting=plates),
    "elbo": lambda plates: ScoreFunctionELBO(),
    "tracegraph": lambda plates: TraceGraph(),
}
MORE = {
    "elbo, soft-attention baseline": lambda plates: ScoreFunctionELBO(baseline="soft-attention"),
    "elbo, 4 particles, leave-one-out": lambda plates: ScoreFunctionELBO(4, baseline="leave-one-out"),
    "enum": lambda plates: EnumeratedELBO(),
    "exact": lambda plates: ExactMarginal(),
    "soft": lambda plates: SoftAttention(),
}


def handwritten_marginal(model: LatentAlignment, batch: SequenceBatch) -> Tensor:
    """-log p(target | source) in plain torch, with the same networks."""
    memory = model.encoder(model.embedding(batch.source), batch.source_mask)
    previous = nn.functional.pad(batch.target[:, :-1], (1, 0), value=model.boundary)
    query, scores = model.decoder(previous, memory, batch.source_mask)
    logits = model.readout(memory.unsqueeze(2), query.unsqueeze(1)).log_softmax(-1)  # (B, S, T, V)
    index = batch.target[:, None, :, None].expand(*logits.shape[:3], 1)
    likelihood = logits.gather(-1, index).squeeze(-1).transpose(1, 2)  # (B, T, S)
    return -(scores.log_softmax(-1) + likelihood).logsumexp(-1)[batch.target_mask].sum()


class Loop(PyroModule):
    """z_t depends on z_{t-1}; as model it also emits a symbol a step."""

    def __init__(self, emits: bool, hidden: int = 64, positions: int = 20, symbols: int = 100):
        super().__init__()
        self.memory = nn.Parameter(torch.randn(32, positions, hidden))
        self.query, self.readout = nn.Linear(hidden, hidden), nn.Linear(hidden, symbols)
        self.emits, self.positions = emits, positions

    def forward(self, symbols: Tensor) -> None:
        B, T = symbols.shape
        rows = torch.arange(B)
        with pyro.plate("data", B, dim=-1):
            context = self.memory.mean(1)
            for t in range(T):
                scores = (self.memory * self.query(context).unsqueeze(-2)).sum(-1)
                z = pyro.sample(f"z_{t}", dist.Categorical(logits=scores))
                context = self.memory[rows, z]
                if self.emits:
                    pyro.sample(f"y_{t}", dist.Categorical(logits=self.readout(context)), obs=symbols[:, t])


def measure(title: str, steps: dict[str, Callable[[], Tensor]], rounds: int, reference: str) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 2):
        for name in random.sample(list(steps), len(steps)):
            began = time.thread_time()
            steps[name]().backward()
            if number >= 2:  # the first rounds warm up
                seconds[name].append(time.thread_time() - began)
    print(f"\n{title}\n\n| | median ms | / {reference} | min..max of the ratio |\n|---|---|---|---|")
    for name, values in seconds.items():
        ratios = [a / b for a, b in zip(values, seconds[reference], strict=True)]
        spread = f"{min(ratios):.2f}..{max(ratios):.2f}"
        print(f"| {name} | {1e3 * median(values):.1f} | {median(ratios):.2f} | {spread} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="two rounds: only to see that it runs")
    options = parser.parse_args()
    rounds = 2 if options.quick else options.rounds
    torch.set_num_threads(1)
    random.seed(0)

    session = Session(resolve([{"device": "cpu", "threads": 1}]), report=lambda text: None)
    pyro.enable_validation(False)
    batches = session.family.epoch_batches(session.config, session.data, session.description)(0)
    batch = max((make() for make in batches), key=lambda b: int(b.target_mask.sum()))
    model, guide = session.programs
    steps: dict[str, Callable[[], Tensor]] = {
        "hand-written exact": lambda: handwritten_marginal(model, batch)
    }
    for name, make in {**SAMPLED, **MORE}.items():
        steps[name] = partial(make(2)(model, guide), batch)
    shape = f"B={batch.target.shape[0]}, T={batch.target.shape[1]}, S={batch.source.shape[1]}"
    measure(f"alignment model, {shape}", steps, rounds, "Pyro Trace_ELBO")

    symbols = torch.randint(100, (32, 30))
    loop_model, loop_guide = Loop(emits=True), Loop(emits=False)
    loops: dict[str, Callable[[], Tensor]] = {}
    for name, make in SAMPLED.items():
        loops[name] = partial(make(1)(loop_model, loop_guide), symbols)
    measure("loop of 30 sites, B=32, S=20", loops, rounds, "Pyro Trace_ELBO")


if __name__ == "__main__":
    main()
