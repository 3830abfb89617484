"""Posteriors of several trained runs in one tree: a chain for each run.

Draws of one run are independent, so chains of one run would say nothing. Those of different runs differ by
what training made of the same model and data: R-hat over them tells how far the runs agree.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from hardpp.errors import UsageError

_BY_RUN = ("run", "guide", "objective", "step", "training_seed")  # attributes of which each run has its own
_SAME = ("model", "data", "datum", "seed")
_GIVEN = ("observed_data", "constant_data")  # what all runs must have in common


def join_chains(trees: Sequence[xr.DataTree], names: Sequence[object] = ()) -> xr.DataTree:
    """One tree with a chain for each of several trees of one run, all of the same model, data and items.

    What has no chain in the tree of one run, the views of `attention` and `prediction`, gets one; what a run
    does not have, such as the exact posterior, is NaN in its chain. Attributes in which the runs differ, of
    the tree and of variables, hold those of all, in the order of the chains.

    Args:
        trees: one of each run.
        names: what to call them; by default by the folders of their runs.

    Raises:
        UsageError: they differ in what they must have in common, or one run is there twice; both are named.
    """
    if len(trees) == 1:
        return trees[0]
    first, *others = trees
    called = [str(name) for name in names] or [f"run {tree.attrs.get('run', '?')}" for tree in trees]
    for number, other in enumerate(others, start=1):
        _check_same(first, other, called[0], called[number])
        drawn = other["posterior"].to_dataset()
        for name, before in zip(called[:number], trees[:number], strict=True):
            if name == called[number] and drawn.equals(before["posterior"].to_dataset()):
                raise UsageError(f"{name} is there twice, and a chain is a run of its own")
    groups = {}
    for group, node in first.children.items():
        parts = [tree[group].to_dataset() for tree in trees]
        if group in _GIVEN:
            groups[f"/{group}"] = parts[0]
            continue
        # Chain by chain, so that what has none gets one.
        parts = [part if "chain" in part.dims else part.expand_dims("chain") for part in parts]
        joined = xr.concat(parts, "chain", data_vars="all", coords="minimal", compat="override", join="exact")
        for variable_name, variable in joined.data_vars.items():
            variable.attrs = _of_all([part[variable_name].attrs for part in parts if variable_name in part])
        groups[f"/{group}"] = joined.assign_coords(chain=np.arange(len(trees))).assign_attrs(node.attrs)
    about: dict[Any, Any] = {**first.attrs}
    for key in _BY_RUN:
        values = [tree.attrs[key] for tree in trees if key in tree.attrs]
        if values and (key == "run" or len(set(values)) > 1):
            about[key] = ", ".join(map(str, values))
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=about), **groups})


# Attributes of one variable: what its runs have in common once, and what not one after the other.
def _of_all(attributes: Sequence[Mapping[Any, Any]]) -> dict[Any, Any]:
    found = {}
    for key in dict.fromkeys(key for each in attributes for key in each):
        values = [each.get(key, "-") for each in attributes]
        found[key] = values[0] if len({*values}) == 1 else "; ".join(map(str, values))
    return found


def _check_same(first: xr.DataTree, other: xr.DataTree, here: str, there: str) -> None:
    for key in _SAME:
        if (one := first.attrs.get(key)) != (two := other.attrs.get(key)):
            what = "data" if key == "data" else f"{key} {one} and {two}"
            raise UsageError(f"{here} and {there} are of different {what}, and cannot be chains of one tree")
    if {*first.children} != {*other.children}:
        only = ", ".join(sorted({*first.children} ^ {*other.children}))
        raise UsageError(f"one of {here} and {there} lacks groups of a posterior ({only})")
    for group in (*_GIVEN, "posterior"):
        one, two = (tree[group].to_dataset() for tree in (first, other))
        same = one.sizes == two.sizes and all(
            label in two.coords and one[label].equals(two[label]) for label in one.coords if label != "chain"
        )
        if not same or (group in _GIVEN and not one.equals(two)):
            raise UsageError(f"{here} and {there} are not of the same items and draws ({group} differs)")
