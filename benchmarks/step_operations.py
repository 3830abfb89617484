"""What a GPU is made to wait for: dispatched operations and questions to the host of one training step.

    python benchmarks/step_operations.py [--recurrent] [--quick]

No hardware is needed: PyTorch's dispatcher is asked what it runs, forward and backward, and which of it
reads a value from the device. The program is that of `benchmarks/objective_cost.py` (T = 30 steps, B = 32, K
= 8 particles), with Pyro's own Categorical and with ours, and once by hand. Validation is off; the counts of
the first step are left out, for it looks at the programs at length.
"""

import argparse
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from objective_cost import STEPS, TWINS, Guide, Model, Networks, Recurrent, by_hand
from pyro.infer import RenyiELBO, Trace_ELBO, TraceGraph_ELBO
from torch.utils._python_dispatch import TorchDispatchMode

from hardpp.distributions.categorical import Categorical

K = 8
ASKS = {"_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "_unique2", "bincount"}


class Counting(TorchDispatchMode):
    """Counts operations by name."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations[operation.name().removeprefix("aten::").split(".")[0]] += 1
        return operation(*args, **(kwargs or {}))


def counted(loss: Callable[[], Any]) -> tuple[int, int]:
    """Operations of a step after the first, and those that ask the host."""
    loss()
    with Counting() as counting:
        value = loss()
        if isinstance(value, torch.Tensor):  # else it has gone backward itself
            value.backward()
    asked = sum(number for name, number in counting.operations.items() if name in ASKS)
    return sum(counting.operations.values()), asked


# Pyro's objectives go backward where a trace has parameters.
def _registered(net: Networks, program: Callable[[], None]) -> None:
    pyro.module("networks", net)
    program()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recurrent", action="store_true", help="each particle carries a state of its own")
    parser.add_argument("--quick", action="store_true", help="five steps of time")
    options = parser.parse_args()
    torch.manual_seed(0)
    pyro.enable_validation(False)
    net = (Recurrent if options.recurrent else Networks)(5 if options.quick else STEPS)
    programs = {kind: (Model(net, kind), Guide(net, kind)) for kind in (dist.Categorical, Categorical)}
    plain, own = programs.values()
    print(
        "| objective | by hand | with Pyro's Categorical | with ours | asks the host |\n|---|---|---|---|---|"
    )
    for name, (make, formula) in TWINS.items():
        if options.quick and name == "nvil":  # its twin is made for all steps
            continue
        hand, _ = counted(lambda formula=formula: formula(by_hand(net, K)))
        pyros, asked = counted(make(K)(*plain))
        ours, _ = counted(make(K)(*own))
        print(f"| {name} | {hand} | {pyros} | {ours} | {asked} |", flush=True)
    programs_of_pyro = tuple(partial(_registered, net, program) for program in plain)
    kinds = {"Trace_ELBO": Trace_ELBO, "TraceGraph_ELBO": TraceGraph_ELBO, "RenyiELBO": RenyiELBO}
    for name, kind in kinds.items():
        objective = kind(num_particles=K, vectorize_particles=True, max_plate_nesting=1)
        operations, asked = counted(partial(objective.loss_and_grads, *programs_of_pyro))
        print(f"| Pyro's {name} | | {operations} | | {asked} |", flush=True)


if __name__ == "__main__":
    main()
