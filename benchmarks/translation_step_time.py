"""Time of a training step over a vocabulary of V = 8,000, by objective, in units of soft attention.

    python benchmarks/translation_step_time.py [--rounds 15] [--state FILE] [--quick]

The alignment model in its small sizes (embeddings 128, encoder 2 x 128, decoder and readout 320) with the
variational guide; B = 32 pairs of S = 25 source and T = 25 target symbols, forward and backward. Each round
runs every objective once, in a new order, on one thread, so that a slower moment of the machine hits all
alike; ratios are of processor time, within a round. Pyro's validation is off and nothing is dropped out.

Two states: at initialisation, where every position counts, and after training on pairs that are generated:
the target is the source, put in a slightly different order, and every tenth symbol is one of the twenty most
frequent ones that no position explains; ranks are Zipfian. The model is trained by soft attention until the
prior's entropy falls below half a nat, then by the exact marginal; the guide by the exact posterior. With
--state the trained state is kept in a file, and read from there if it exists.
"""

import argparse
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import pyro
import torch
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.categorical import Categorical
from hardpp.guides.alignment import StepwiseAlignment
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.soft_attention import SoftAttention
from hardpp.models.latent_alignment import LatentAlignment
from hardpp.nn.attention import BilinearScorer, attend
from hardpp.nn.decoder import InputFeedingDecoder
from hardpp.nn.readout import Readout
from hardpp.nn.recurrent import BidirectionalLSTM
from hardpp.types import SequenceBatch

B, S, T = 32, 25, 25
EMBEDDING, ENCODER, DECODER, GUIDE = 128, 128, 320, 64

OBJECTIVES: dict[str, Callable[[], SurrogateObjective]] = {
    "soft": SoftAttention,
    "elbo, K=1, soft-attention baseline": lambda: ScoreFunctionELBO(baseline="soft-attention"),
    "elbo, K=4, leave-one-out": lambda: ScoreFunctionELBO(4, baseline="leave-one-out"),
    "enum": EnumeratedELBO,
    "exact": ExactMarginal,
    "exact, tolerance=1e-6": lambda: ExactMarginal(tolerance=1e-6),
    "exact, tolerance=1e-4": lambda: ExactMarginal(tolerance=1e-4),
    "exact, tolerance=0": lambda: ExactMarginal(tolerance=0),
}


class WrittenOut(LatentAlignment):
    """The same program with all logits written out: nothing is kept back from soft attention."""

    def forward(self, batch: SequenceBatch) -> Tensor:
        memory = self.encoder(self.embedding(batch.source), batch.source_mask)
        previous = nn.functional.pad(batch.target[:, :-1], (1, 0), value=self.boundary)
        query, scores = self.decoder(previous, memory, batch.source_mask)
        with sites.output_steps(batch.target_mask):
            alignment = pyro.sample(sites.ALIGNMENT, Categorical(logits=scores))
            logits = self.readout(attend(memory, alignment), query)
            pyro.sample(sites.SYMBOL, Categorical(logits=logits), obs=batch.target)
        return alignment


def programs(symbols: int) -> tuple[LatentAlignment, StepwiseAlignment]:
    torch.manual_seed(0)
    source, target = nn.Embedding(symbols, EMBEDDING), nn.Embedding(symbols, EMBEDDING)
    encoder = BidirectionalLSTM(EMBEDDING, ENCODER)
    scorer = BilinearScorer(DECODER, encoder.features)
    decoder = InputFeedingDecoder(target, EMBEDDING, scorer, encoder.features, DECODER, 1, 0.0)
    readout = Readout(encoder.features, DECODER, DECODER, symbols, 0.0)
    readers = (BidirectionalLSTM(EMBEDDING, GUIDE) for _ in range(2))
    match = BilinearScorer(2 * GUIDE, 2 * GUIDE)
    model = LatentAlignment(source, encoder, decoder, readout)
    return model, StepwiseAlignment(source, target, *readers, match)


def pairs(symbols: int, generator: torch.Generator) -> SequenceBatch:
    """A batch of the generated task; symbol 0 is the boundary and stays out."""
    rank = 1 / torch.arange(2.0, symbols + 1)
    name = torch.randperm(symbols - 1, generator=torch.Generator().manual_seed(0)) + 1

    def drawn(p: Tensor, *shape: int) -> Tensor:
        return name[p.expand(shape[0], -1).multinomial(shape[1], True, generator=generator)]

    source = drawn(rank, B, S)
    order = (torch.arange(S) + 1.5 * torch.rand(B, S, generator=generator)).argsort(-1)
    unexplained = torch.rand(B, T, generator=generator) < 0.1
    target = torch.where(unexplained, drawn(rank[:20], B, T), source.gather(1, order))
    everywhere = torch.ones(B, S, dtype=torch.bool)
    return SequenceBatch(source, everywhere, target, everywhere)


def entropy(model: LatentAlignment, batch: SequenceBatch) -> float:
    """Nats a step, of the prior over positions."""
    with torch.no_grad():
        fn = pyro.poutine.trace(model).get_trace(batch).nodes[sites.ALIGNMENT]["fn"]
        return float(-(fn.probs * fn.logits.clamp(min=-1e9)).sum(-1).mean())


def train(model: LatentAlignment, guide: StepwiseAlignment, symbols: int, quick: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    parameters = list({id(p): p for p in [*model.parameters(), *guide.parameters()]}.values())
    optimiser = torch.optim.Adam(parameters, 1e-3)

    def step(loss: Tensor) -> float:
        (loss / B).backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step()
        optimiser.zero_grad()
        return loss.item() / (B * T)

    flat = False
    for number in range(3 if quick else 1500):  # the attention is first arbitrary, then flat, then peaked
        found = step(SoftAttention().differentiable_loss(model, guide, pairs(symbols, generator)))
        if number % 20 == 19:
            nats = entropy(model, pairs(symbols, generator))
            flat = flat or nats > 1
            if number % 100 == 99:
                print(f"step {number + 1}: {found:.2f} nats a symbol, prior entropy {nats:.2f}", flush=True)
            if flat and nats < 0.5:
                break
    for _ in range(2 if quick else 100):
        batch = pairs(symbols, generator)
        posterior = ExactMarginal().posterior(model, guide, batch)[sites.ALIGNMENT]
        log_q = pyro.poutine.trace(guide).get_trace(batch).nodes[sites.ALIGNMENT]["fn"].logits
        step(
            ExactMarginal().differentiable_loss(model, guide, batch)
            - (posterior * log_q.clamp(min=-1e9)).sum()
        )


def gradient(objective: SurrogateObjective, model: LatentAlignment, batch: SequenceBatch) -> Tensor:
    model.zero_grad()
    objective.differentiable_loss(model, nn.Module(), batch).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def report(
    title: str, model: LatentAlignment, guide: StepwiseAlignment, batch: SequenceBatch, rounds: int
) -> None:
    plain = WrittenOut(model.embedding, model.encoder, model.decoder, model.readout)
    steps = {name: partial(make()(model, guide), batch) for name, make in OBJECTIVES.items()}
    steps["soft, logits written out"] = partial(SoftAttention()(plain, guide), batch)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name in random.sample(list(steps), len(steps)):
            began = time.thread_time()
            steps[name]().backward()
            if number:  # the first round warms up
                seconds[name].append(time.thread_time() - began)
    posterior = ExactMarginal(tolerance=0).posterior(model, guide, batch)[sites.ALIGNMENT]
    counts = ", ".join(
        f"{(posterior > p).sum(-1).double().mean():.1f} above {p:g}" for p in (1e-2, 1e-4, 1e-6)
    )
    print(
        f"\n{title}: prior entropy {entropy(model, batch):.2f} nats; of {S} positions {counts} a posteriori\n"
    )
    print("| | median CPU ms | / soft | min..max of the ratio |\n|---|---|---|---|")
    for name, values in seconds.items():
        ratios = [a / b for a, b in zip(values, seconds["soft"], strict=True)]
        spread = f"{min(ratios):.2f}..{max(ratios):.2f}"
        print(f"| {name} | {1e3 * median(values):.0f} | {median(ratios):.2f} | {spread} |", flush=True)
    every = ExactMarginal(tolerance=0)
    exact, bound = gradient(every, model, batch), every.estimate(model, guide, batch).bound
    print("\n| exact, tolerance | log p(y) too low, nats a symbol | gradient off, relative |\n|---|---|---|")
    for tolerance in (1e-6, 1e-5, 1e-4):
        some = ExactMarginal(tolerance=tolerance)
        low = (bound - some.estimate(model, guide, batch).bound).double().mean() / T
        off = (gradient(some, model, batch) - exact).norm() / exact.norm()
        print(f"| {tolerance:g} | {low:.1e} | {off:.1e} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--symbols", type=int, default=8000, help="V")
    parser.add_argument("--state", type=Path, help="file of the trained state")
    parser.add_argument(
        "--quick", action="store_true", help="one round of 1,000 symbols: to see that it runs"
    )
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.symbols = 1, 1000
    torch.set_num_threads(1)
    random.seed(0)
    pyro.enable_validation(False)
    model, guide = programs(options.symbols)
    batch = pairs(options.symbols, torch.Generator().manual_seed(2))
    report(f"At initialisation, V={options.symbols}", model, guide, batch, min(options.rounds, 5))
    both = nn.ModuleList([model, guide])
    if options.state and options.state.exists():
        both.load_state_dict(torch.load(options.state, weights_only=True))
    else:
        train(model, guide, options.symbols, options.quick)
        if options.state:
            torch.save(both.state_dict(), options.state)
    report(f"Trained, V={options.symbols}", model, guide, batch, options.rounds)


if __name__ == "__main__":
    main()
