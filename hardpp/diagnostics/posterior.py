"""Posterior draws as one tree of labelled arrays, which xarray and ArviZ read once it is written as netCDF.

    posterior             what the guide drew (chain, draw, datum, ...)
    sample_stats          log_weight, log p - log q (chain, draw, datum); ess, pareto_k, weight_drawn_once and
                          trust (chain, datum), see `hardpp.diagnostics.trust`
    attention             marginals: `marginal` of the weighted draws in every family, and the other views
                          that there are, see `hardpp.diagnostics.draws`
    log_likelihood        log p(what was observed), the latents summed out, (chain, datum): exact, or a bound
    posterior_predictive  what was observed, drawn anew by the model (chain, draw, datum, ...)
    observed_data         what was observed
    constant_data         sizes, masks, boxes and numbers

Every group holds the labels of the dims that it has; a dim without labels is numbered. A run makes one chain:
draws from a guide are independent, and several chains say that there were several trained runs
(`hardpp.diagnostics.posterior_chains`). The same draws make the same bytes: no time of day is written.

Shapes: K draws, N data, B of them a batch; ... = dims to the left of the data, * = dims to their right.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from math import log
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from hardpp import __version__
from hardpp.diagnostics.seeds import seeded, stream

Array = NDArray[Any]
Variables = Mapping[str, xr.Variable]

GROUPS = (
    "posterior",
    "sample_stats",
    "attention",
    "log_likelihood",
    "posterior_predictive",
    "observed_data",
    "constant_data",
)
FORMAT = 2  # of the groups and their dims; files of another one are refused

DRAW = ("chain", "draw")  # the first two dims of everything that is drawn
NATS, PIXELS, PROBABILITY = {"units": "nats"}, {"units": "pixels"}, {"units": "probability"}


_NO_LOO = (
    "one number for each datum and trained run: parameters were not sampled, so az.loo, which weighs draws "
    "of them, does not apply; of data that were held out the sum is the elpd"
)


class Labels(Protocol):
    """What a family's data are called, and which variables its draws become."""

    @property
    def datum(self) -> str:
        """The dim of the data, whose labels are their names."""

    def coordinates(self) -> Variables:
        """Labels by name; a group of the tree gets those whose dims it has."""

    def groups(self, rows: Sequence[Any], draws: Sequence[Any]) -> Mapping[str, Variables]:
        """Variables of every group, from what each batch holds and what was drawn on it, on the host."""


def _each(batches: Iterable[tuple[Any, ...]], compute: Callable[..., Any]) -> Iterator[tuple[Any, Any]]:
    return ((batch[0], compute(*batch)) for batch in batches)


def sample_posterior(
    draw: Callable[[Any], Any],
    batches: Iterable[tuple[Any, Any]],
    labels: Labels,
    *,
    seed: int,
    streams: Callable[[int, Any], int] = lambda number, batch: number,
    attributes: Mapping[str, Any] | None = None,
    each: Callable[[Iterable[tuple[Any, ...]], Callable[..., Any]], Iterable[tuple[Any, Any]]] = _each,
) -> xr.DataTree:
    """Draws the latents of every batch from the guide and labels everything that is known of them.

    Args:
        draw: takes a batch and returns its draws, such as `draw_alignments` of two programs and a site.
        batches: which data a batch holds, as `labels` counts them, and the batch itself, on the programs'
            device; together they hold every datum once.
        labels: of all N data.
        seed: of the draws; the global random state is left alone.
        streams: takes the number of a batch and the batch, and says which stream of random numbers is its.
        attributes: what else the root says, such as the objective; None is left out, and what is neither a
            number nor a text is written as text.
        each: goes through batches and gives what is computed of each, beside its first member; of several
            processes that share the work only the first is given anything, and has the tree.

    Raises:
        ValueError: labels that are not unique, or batches that do not fit them.
        UsageError: `draw` refuses the programs.
    """

    # A stream for each batch: whatever is random in making the next batch stays out of it.
    def drawn(_: Any, number: int, batch: Any) -> Any:
        with seeded(stream(seed, streams(number, batch)), batch.source.device):
            return draw(batch).cpu()

    rows, draws, numbers = [], [], count()
    for batch_rows, found in each(((rows, next(numbers), batch) for rows, batch in batches), drawn):
        rows.append(batch_rows)
        draws.append(found)
    if not rows and next(numbers):  # there were batches, and what was drawn is another process's
        return xr.DataTree()
    about = {"seed": seed, **(attributes or {})}
    return posterior_tree(labels.groups(rows, draws), labels.coordinates(), labels.datum, about)


def posterior_tree(
    groups: Mapping[str, Variables], coordinates: Variables, datum: str, attributes: Mapping[str, Any]
) -> xr.DataTree:
    """The variables of every group, one of `GROUPS`, as a tree that `read_posterior` and ArviZ take.

    Args:
        groups: all of them.
        coordinates: labels by name; a group gets those whose dims it has.
        datum: the dim of the data, whose labels are their names.
        attributes: what else the root says, as in `sample_posterior`.
    """
    about = {
        "inference_library": "hardpp",
        "inference_library_version": __version__,
        "posterior_format": FORMAT,
        "datum": datum,
        **{name: value for name, value in attributes.items() if value is not None},
    }
    # A netCDF attribute is a text or a number.
    plain = {name: value if type(value) in (str, int, float) else str(value) for name, value in about.items()}
    nodes = {"/": xr.Dataset(attrs=plain)}
    for group, variables in groups.items():
        sizes = {dim: size for variable in variables.values() for dim, size in variable.sizes.items()}
        numbers = {dim: xr.Variable(dim, np.arange(size)) for dim, size in sizes.items()}
        texts = {name: label for name, label in coordinates.items() if set(label.dims) <= set(sizes)}
        nodes[f"/{group}"] = xr.Dataset(dict(variables), coords=numbers | texts)
    nodes["/sample_stats"].attrs["draws"] = "iid from guide"
    nodes["/log_likelihood"].attrs["loo"] = _NO_LOO
    nodes["/posterior_predictive"].attrs["draws"] = "iid from model: latents drawn anew, no weights"
    return xr.DataTree.from_dict(nodes)


def log_likelihood(dim: str, exact: Array | None, log_weight: Array) -> xr.Variable:
    """log p(what was observed) of data along `dim`, the latents summed out, in nats.

    Args:
        dim: of the N data.
        exact: (N,) if it is known.
        log_weight: (K, N); else the importance-weighted bound of so many draws stands for it.
    """
    how = {"latents": "summed out exactly"}
    if exact is None:
        K = len(log_weight)
        exact = np.logaddexp.reduce(log_weight.astype(np.float64), 0) - log(K)
        how = {"latents": f"lower bound: importance-weighted, K = {K} draws of the guide"}
    return xr.Variable(("chain", dim), exact[None], NATS | how)


def text_labels(dim: str, **texts: Sequence[str]) -> dict[str, xr.Variable]:
    """Coordinates along one dim, by name."""
    return {name: xr.Variable(dim, np.array(values, dtype=str)) for name, values in texts.items()}


def join_batches(
    rows: Sequence[Sequence[int]], parts: Sequence[Tensor], mask: Array, fill: float = np.nan
) -> Array:
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
