"""Posteriors of several trained runs in one tree: a chain for each run.

Draws of one run are independent, so chains of one run would say nothing. Those of different runs differ by
what training made of the same model and data: R-hat over them tells how far the runs agree.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from hardpp.errors import UsageError

_BY_RUN = ("run", "guide", "objective", "step", "training_seed")  # attributes of which each run has its own
_SAME = ("model", "data", "datum", "seed")
_GIVEN = ("observed_data", "constant_data")  # what all runs must have in common


def join_chains(trees: Sequence[xr.DataTree]) -> xr.DataTree:
    """One tree with a chain for each of several trees of one run, all of the same model, data and items.

    What has no chain in the tree of one run, the views of `attention` and `prediction`, gets one. Attributes
    in which the runs differ hold those of all, in the order of the chains, separated by commas.

    Raises:
        UsageError: they differ in what they must have in common, or one run is there twice; both are named.
    """
    if len(trees) == 1:
        return trees[0]
    first, *others = trees
    for number, other in enumerate(others, start=1):
        _check_same(first, other)
        for before in trees[:number]:
            drawn = (tree["posterior"].to_dataset() for tree in (before, other))
            if _name(before) == _name(other) and next(drawn).equals(next(drawn)):
                raise UsageError(f"{_name(other)} is there twice, and a chain is a run of its own")
    groups = {}
    for group, node in first.children.items():
        parts = [tree[group].to_dataset() for tree in trees]
        if group in _GIVEN:
            groups[f"/{group}"] = parts[0]
            continue
        # Chain by chain, so that what has none gets one.
        parts = [part if "chain" in part.dims else part.expand_dims("chain") for part in parts]
        joined = xr.concat(parts, "chain", data_vars="all", coords="minimal", compat="override", join="exact")
        groups[f"/{group}"] = joined.assign_coords(chain=np.arange(len(trees))).assign_attrs(node.attrs)
    about: dict[Any, Any] = {**first.attrs}
    for key in _BY_RUN:
        values = [tree.attrs[key] for tree in trees if key in tree.attrs]
        if values and (key == "run" or len(set(values)) > 1):
            about[key] = ", ".join(map(str, values))
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=about), **groups})


def _check_same(first: xr.DataTree, other: xr.DataTree) -> None:
    here, there = _name(first), _name(other)
    for key in _SAME:
        if (one := first.attrs.get(key)) != (two := other.attrs.get(key)):
            what = "data" if key == "data" else f"{key} {one!r} and {two!r}"
            raise UsageError(f"{here} and {there} are of different {what}, and cannot be chains of one tree")
    for group in (*_GIVEN, "posterior"):
        one, two = (tree[group].to_dataset() for tree in (first, other))
        same = one.sizes == two.sizes and all(
            label in two.coords and one[label].equals(two[label]) for label in one.coords if label != "chain"
        )
        if not same or (group in _GIVEN and not one.equals(two)):
            raise UsageError(f"{here} and {there} are not of the same items and draws ({group} differs)")


def _name(tree: xr.DataTree) -> str:
    return f"run {tree.attrs.get('run', '?')}"
