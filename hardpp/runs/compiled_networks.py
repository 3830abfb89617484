"""Networks that torch compiles for training (`--compile`): those that convolve images.

Their inputs have one size, so that what is compiled in the first steps, for a minute or more, serves all
others. What is recurrent reads sequences of many lengths, each of which would be compiled anew; it is left
as it is, and so are programs. Copies of a network, as those that are evaluated, are not compiled. Compiled
sums are added in another order, so that their last bits are others.

Source: Ansel et al. (2024), PyTorch 2: Faster Machine Learning Through Dynamic Python Bytecode
Transformation and Graph Compilation.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from pyro.nn import PyroModule
from torch import nn

from hardpp.errors import UsageError

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def compile_networks(programs: Iterable[nn.Module], model: str, report: Callable[[str], None]) -> None:
    """Has torch compile the networks of programs that convolve images, when they are first run.

    A network that cannot be compiled is told of, and computed as it is.

    Args:
        programs: a model and its guide.
        model: what the message calls the model.
        report: told of a network that cannot be compiled, and why.

    Raises:
        UsageError: there is no such network.
    """
    networks = {id(network): (name, network) for each in programs for name, network in _convolving(each)}
    if not networks:
        what = f"model {model} has no network that convolves images of one size, and others are not compiled"
        raise UsageError(what, "leave --compile out")
    for name, network in networks.values():
        _compile(network, name, report)


# The outermost networks with convolutions, and their names.
def _convolving(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        if isinstance(child, PyroModule | nn.ModuleList | nn.ModuleDict):
            yield from _convolving(child)
        elif any(isinstance(each, _CONVOLUTIONS) for each in child.modules()):
            yield name, child


def _compile(network: Any, name: str, report: Callable[[str], None]) -> None:
    # Else a size that has changed once, as the last batch has, is a symbol, which convolutions may fail on.
    network.compile(dynamic=False)
    compiled = network._compiled_call_impl

    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return compiled(*args, **kwargs)
        except torch._dynamo.exc.TorchDynamoException as error:
            network._compiled_call_impl = None
            why = str(error).strip().partition("\n")[0]
            report(f"warning: network {name!r} is computed as it is: torch cannot compile it ({why})")
            return network(*args, **kwargs)

    network._compiled_call_impl = run
