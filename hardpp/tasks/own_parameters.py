"""Refuses programs whose parameters are elsewhere than in themselves.

`pyro.param` puts a parameter into Pyro's global store. A run trains and saves what its modules hold, so that
such a parameter would stay as it is and be missing from the checkpoint, without a word.
"""

from typing import Any

from pyro.poutine.messenger import Messenger
from torch import Tensor, nn

from hardpp.errors import UsageError


class OwnParameters(Messenger):
    """While it is entered, a `pyro.param` that is no parameter of a module is a UsageError.

    Args:
        module: holds all that is trained.
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def _pyro_post_param(self, msg: Any) -> None:
        check_own(msg["name"], msg["value"], self.module)


def check_own(name: str, value: Tensor, module: nn.Module) -> None:
    """Refuses, by a UsageError, what `pyro.param` gave if it is no parameter of the module."""
    unconstrained = value.unconstrained() if hasattr(value, "unconstrained") else value
    if all(unconstrained is not parameter for parameter in module.parameters()):
        raise UsageError(
            f"{name!r} is a pyro.param, in Pyro's global store, which runs neither train nor save",
            "make it an attribute of its module: nn.Parameter, or pyro.nn.PyroParam(value, constraint)",
        )
