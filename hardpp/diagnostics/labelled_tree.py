"""Posterior draws as one tree of labelled arrays, which xarray and ArviZ read once it is written as netCDF.

    posterior      what the guide drew (chain, draw, ...)
    sample_stats   log_weight, log p - log q (chain, draw, datum); ess, pareto_k (datum)
    attention      four answers to "where is the attention", see `hardpp.diagnostics.draws`
    observed_data  what was observed
    constant_data  sizes, masks and places

Groups that do not apply are left out. Every group holds the labels of the dims that it has; a dim without
labels is numbered. There is one chain: draws from a guide are independent, and several chains would claim
several trained runs.

Shapes: K draws, N data, B of them a batch; ... = dims to the left of the data, * = dims to their right.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from hardpp import __version__
from hardpp.diagnostics.importance import effective_sample_size, pareto_k

Array = NDArray[Any]
Rows = Sequence[int]  # which of the N data a batch holds
Variables = Mapping[str, xr.Variable]

DRAW = ("chain", "draw")  # the first two dims of everything that is drawn
NATS, PROBABILITY = {"units": "nats"}, {"units": "probability"}


def labelled_tree(
    groups: Mapping[str, Variables], labels: Variables, *, seed: int, attributes: Mapping[str, Any] | None
) -> xr.DataTree:
    """The groups as one tree, with labels on every dim.

    Args:
        groups: variables of each group, by name; `sample_stats` is marked as independent draws of the guide.
        labels: coordinates; a group gets those whose dims it has.
        seed: of the draws.
        attributes: what else the root says, such as the objective; None is left out, and what is neither a
            number nor a text is written as text.
    """
    about = {
        "inference_library": "hardpp",
        "inference_library_version": __version__,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": seed,
        **(attributes or {}),
    }
    nodes = {
        "/": xr.Dataset(attrs={name: _plain(value) for name, value in about.items() if value is not None})
    }
    for name, variables in groups.items():
        sizes = {dim: size for variable in variables.values() for dim, size in variable.sizes.items()}
        coordinates = {dim: xr.Variable(dim, np.arange(size)) for dim, size in sizes.items()}
        coordinates |= {label: values for label, values in labels.items() if set(values.dims) <= set(sizes)}
        nodes[f"/{name}"] = xr.Dataset(dict(variables), coords=coordinates)
    nodes["/sample_stats"].attrs["draws"] = "iid from guide"
    return xr.DataTree.from_dict(nodes)


def weight_statistics(log_weight: Array, dim: str) -> dict[str, xr.Variable]:
    """Log weights (K, N) in nats of data along `dim`, and how far they can be trusted."""
    return {
        "log_weight": xr.Variable((*DRAW, dim), log_weight[None], NATS),
        "ess": xr.Variable(dim, effective_sample_size(log_weight), {"units": "draws"}),
        "pareto_k": xr.Variable(dim, pareto_k(log_weight)),
    }


def text_labels(texts: Mapping[str, Sequence[str]], dim: str) -> dict[str, xr.Variable]:
    """Coordinates along one dim, by name."""
    return {name: xr.Variable(dim, np.array(values, dtype=str)) for name, values in texts.items()}


def join_batches(rows: Sequence[Rows], parts: Sequence[Tensor], mask: Array, fill: float = np.nan) -> Array:
    """Puts the arrays of batches, each of its own width, where they belong in one array.

    Args:
        rows: which data each batch holds, B numbers from 0 to N - 1.
        parts: (..., B, *) of each batch, wider or narrower than the result by padding.
        mask: (N, *) bool; everything else is padding.
        fill: what padding holds.

    Returns:
        (..., N, *)
    """
    arrays = [part.numpy() for part in parts]
    axis = arrays[0].ndim - mask.ndim
    joined = np.full((*arrays[0].shape[:axis], *mask.shape), fill, arrays[0].dtype)
    for places, array in zip(rows, arrays, strict=True):
        widths = zip(array.shape[axis + 1 :], mask.shape[1:], strict=True)
        inside: tuple[Any, ...] = tuple(slice(min(pair)) for pair in widths)
        joined[(..., np.asarray(places), *inside)] = array[(..., slice(None), *inside)]
    return np.where(mask, joined, np.array(fill, joined.dtype))


# A netCDF attribute is a text or a number.
def _plain(value: Any) -> str | int | float:
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else str(value)
