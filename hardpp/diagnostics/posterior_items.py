"""One item of a posterior by itself: without padding, with tokens for labels, in the form that ArviZ takes.

A tree of many items (`hardpp.diagnostics.posterior`) is as wide as the longest of them. One item has exactly
its own steps and sources. Their labels are its tokens, each with its place where it occurs more than once
("o 2"), so that `sel` finds one of them and summaries and pictures are readable. `imshow` draws from the
bottom up: so steps and rows of the group `attention` come from the last to the first there, and its pictures
are read as a page is.
"""

from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import xarray as xr

from hardpp.errors import UsageError

_TOKENS = {"step": "target_token", "source": "source_token"}  # dim -> the coordinate that holds its tokens
_DOWNWARDS = ("step", "row")  # dims that a picture shows from the top down
_SAMPLED = ("posterior", "posterior_predictive", "sample_stats")


def names(tree: xr.DataTree) -> list[str]:
    """What the items of a tree are called."""
    return [str(name) for name in _posterior(tree)[_datum(tree)].values]


def item(tree: xr.DataTree, name: str) -> xr.DataTree:
    """The tree of the item of a name, without padding.

    Raises:
        UsageError: there is none of that name.
    """
    known = names(tree)
    if name not in known:
        close = get_close_matches(str(name), known, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"the first is {known[0]!r}"
        raise UsageError(f"there is no {_datum(tree)} {name!r} among these {len(known)}", hint)
    place = known.index(name)
    lengths = _lengths(tree, place)
    groups = {
        f"/{group}": _alone(node.to_dataset(), _datum(tree), place, lengths, turned=group == "attention")
        for group, node in tree.children.items()
    }
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs={**tree.attrs, "item": name}), **groups})


def for_arviz(tree: xr.DataTree) -> Any:
    """A tree as the ArviZ that is installed wants it: an InferenceData before 1.0, the tree itself since."""
    import arviz as az

    if not hasattr(az, "from_pyro"):
        return tree
    kind: Any = az.InferenceData

    # A frame has a row a draw, so by default it is made of what was drawn.
    def to_dataframe(self: Any, groups: Any = None, **options: Any) -> Any:
        drawn = [group for group in _SAMPLED if group in self.groups()]
        return kind.to_dataframe(self, drawn if groups is None else groups, **options)

    groups = {name: node.to_dataset() for name, node in tree.children.items()}
    drawn = type("InferenceData", (kind,), {"to_dataframe": to_dataframe})
    return drawn(attrs=dict(tree.attrs), **groups)


def _posterior(tree: xr.DataTree) -> xr.Dataset:
    return tree["posterior"].to_dataset()


def _datum(tree: xr.DataTree) -> str:
    return str(tree.attrs["datum"])


# How long an item is along each dim that a mask says it of.
def _lengths(tree: xr.DataTree, place: int) -> dict[str, int]:
    known, datum = tree["constant_data"].to_dataset(), _datum(tree)
    masks = {str(name).removesuffix("_mask"): mask for name, mask in known.items() if mask.dtype == bool}
    return {dim: int(mask.isel({datum: place}).sum()) for dim, mask in masks.items() if dim in mask.dims}


def _alone(group: xr.Dataset, datum: str, place: int, lengths: dict[str, int], *, turned: bool) -> xr.Dataset:
    cut = {dim: slice(length) for dim, length in lengths.items() if dim in group.dims}
    alone = group.isel({datum: place} if datum in group.dims else {}).isel(cut)
    for dim in map(str, list(alone.dims)):
        tokens = _TOKENS.get(dim)
        if tokens in alone.coords:
            alone = alone.assign_coords({dim: _labels([str(token) for token in alone[tokens].values])})
        elif turned and dim in _DOWNWARDS:
            alone = alone.assign_coords({dim: [f"{middle:g}" for middle in alone[dim].values]})
        if turned and dim in _DOWNWARDS:
            alone = alone.isel({dim: slice(None, None, -1)})
    # What is not the label of a dim has been said, or is in the way of `to_dataframe`.
    about = {str(name): str(part.values) for name, part in alone.coords.items() if part.ndim == 0}
    alone = alone.drop_vars([name for name in alone.coords if name not in alone.dims])
    return alone.assign_attrs({**alone.attrs, **about})


# Labels that differ: tokens, with their places where they are not the only ones of their kind.
def _labels(tokens: Sequence[str]) -> np.ndarray[Any, Any]:
    counts = Counter(tokens)
    labels = [
        token if counts[token] == 1 else f"{token} {place}".strip()
        for place, token in enumerate(tokens, start=1)
    ]
    return np.array(labels, dtype=str)
