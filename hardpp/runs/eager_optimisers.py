"""Torch's optimisers, without the import of torch's compiler that their first use costs.

The methods of `torch.optim` are wrapped for use inside `torch.compile`, and each wrapper imports
`torch._dynamo`, and with it sympy and `torch.distributed.tensor`, though nothing is compiled. That,
with three other causes that are gone, was 2.0 of the 6.7 CPU seconds until the first step of a training.
Here the same methods are taken without their wrappers. A training compiles no optimiser, so nothing is lost.
"""

import inspect
from typing import Any

import torch

_WRAPPED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict", "step")


def _eager(optimiser: type[torch.optim.Optimizer]) -> Any:
    methods = {name: inspect.unwrap(getattr(optimiser, name)) for name in _WRAPPED}
    methods["step"] = torch.no_grad()(methods["step"])  # which the wrapper would have seen to
    return type(optimiser.__name__, (optimiser,), {"__module__": __name__, **methods})


AdamW = _eager(torch.optim.AdamW)
SGD = _eager(torch.optim.SGD)
