"""Operations and CPU time of a training step on speech, by how paths of decisions are read, side by side.

    python benchmarks/speech_step.py [--data spoken-digits] [--set objective=elbo] [--rounds 12] [--quick]

    tables       as the package does on the CPU: rows of tables, a scan of its own, draws of whole paths
    one LSTM     the same draws, and paths read by torch's LSTM from joined inputs, as on a GPU
    stepwise     torch's LSTM, and draws by a loop over the recurrence's own steps

All three draw the same paths at a seed. Operations are those that torch dispatches in Python, forwards and
backwards; a GPU waits for the launch of each. Each round runs every way once, in a new order, on one thread;
ratios are taken within a round. Without --data speech is made by flite where that is installed.
"""

import argparse
import random
import shutil
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import pyro
import torch
from measured import commit
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from hardpp.config import parse_setting
from hardpp.distributions.decisions import Decisions
from hardpp.nn.path_reader import PathReader
from hardpp.runs.session import Session
from hardpp.tasks.configuration import resolve

WAYS = ("tables", "one LSTM", "stepwise")
_own_states, _own_draw, _own_sample = PathReader.states, PathReader.draw, Decisions.sample


class Stepwise:
    """A decider without its way to draw whole paths."""

    def __init__(self, reader: PathReader):
        self.logits, self.start, self.step = reader.logits, reader.start, reader.step


class Operations(TorchDispatchMode):
    """Counts what is dispatched."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return operation(*args, **(kwargs or {}))


def joined_states(reader: PathReader, decisions: Tensor) -> Tensor:
    """States as torch's LSTM gives them."""
    if reader._last_states is None or reader._last_states[0] is not decisions:
        path = reader.path(decisions)
        inputs = reader._inputs(path.last, path.consumed, path.emitted)
        reader._last_states = decisions, reader.recurrence(inputs)
    return reader._last_states[1]


def stepwise_sample(decisions: Decisions, shape: Any = ()) -> Tensor:
    """Draws by the loop that any decider can go through."""
    plain = Decisions(decisions.grid, Stepwise(decisions.decider))  # type: ignore[arg-type]
    return _own_sample(plain.expand(decisions.batch_shape), shape)


def read_by(way: str) -> None:
    """From now on paths are read in this way."""
    PathReader.states = _own_states if way == "tables" else joined_states  # type: ignore[method-assign]
    Decisions.sample = stepwise_sample if way == "stepwise" else _own_sample  # type: ignore[method-assign]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="synthetic-timit" if shutil.which("flite") else "spoken-digits")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--quick", action="store_true", help="40 utterances, two rounds: to see that it runs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    random.seed(0)
    layers: list[Any] = [{"model": "online-alignment", "device": "cpu", "threads": 1}]
    layers += [{"data": {"name": options.data}}, *map(parse_setting, options.set)]
    layers += [{"data": {"train_limit": 40}}] if options.quick else []
    session = Session(resolve(layers), report=print)
    objective = session.objective(*session.programs)
    batches = session.family.epoch_batches(session.config, session.prepared, session.description)(0)
    batch = batches[1]()
    pyro.enable_validation(False)

    def step() -> Tensor:
        torch.manual_seed(0)
        objective.zero_grad()
        loss: Tensor = objective(batch)
        loss.backward()
        return loss.detach()

    measure(step, 2 if options.quick else options.rounds)
    sizes = f"{batch.source.shape[1]} frames, {batch.target.shape[1]} tokens"
    print(
        f"\n{options.data}, {session.config.objective}, {batch.size} utterances of up to {sizes}; {commit()}"
    )


def measure(step: Callable[[], Tensor], rounds: int) -> None:
    """Prints a row for each way."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    operations, losses = {}, {}
    for way in WAYS:
        read_by(way)
        losses[way] = float(step())
        with Operations() as counted:
            step()
        operations[way] = counted.count
    for _ in range(rounds):
        for way in random.sample(WAYS, len(WAYS)):
            read_by(way)
            began = time.process_time()
            step()
            seconds[way].append(time.process_time() - began)
    print("\n| | loss | operations | median CPU ms | stepwise / it | min..max |\n|---|---|---|---|---|---|")
    for way in WAYS:
        ratios = [a / b for a, b in zip(seconds["stepwise"], seconds[way], strict=True)]
        times = (
            f"{1e3 * median(seconds[way]):.0f} | {median(ratios):.2f} | {min(ratios):.2f}..{max(ratios):.2f}"
        )
        print(f"| {way} | {losses[way]:.4f} | {operations[way]:,} | {times} |")


if __name__ == "__main__":
    main()
