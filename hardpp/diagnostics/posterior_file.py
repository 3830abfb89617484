"""A posterior as it is read back from its file, with a door to each of its items."""

from pathlib import Path
from typing import Any

import h5py
import torch
import xarray as xr

from hardpp.diagnostics.global_heaps import damaged_heap
from hardpp.diagnostics.posterior import FORMAT, GROUPS
from hardpp.diagnostics.posterior_items import for_arviz, item, names
from hardpp.diagnostics.trust import trust_summary
from hardpp.errors import CheckpointError, ResourceError
from hardpp.ops.available_memory import available_bytes

_SAID = 200  # characters of what a library says
_LARGE = 2**28  # bytes that any file may unpack to
_RATIO = 500  # how many times as large as it was all else may become; padding packs well


class Posterior:
    """The posterior of some items, of a file or of `run.posterior()`.

    Example:
        posterior = hardpp.read_posterior("RUN/posterior.nc")
        one = posterior.item("bola")
        az.summary(one)
        one.attention.exact.plot.imshow()

    Args:
        tree: as `hardpp.diagnostics.posterior` describes it.
    """

    def __init__(self, tree: xr.DataTree):
        self.tree = tree

    def __repr__(self) -> str:
        return f"<posterior of {len(self.names)} items: {trust_summary(self.tree)}>"

    @property
    def names(self) -> list[str]:
        """What the items are called."""
        return names(self.tree)

    @property
    def arviz(self) -> Any:
        """All items, as the ArviZ that is installed wants them: an InferenceData, or since 1.0 the tree."""
        return for_arviz(self.tree)

    def item(self, name: str) -> Any:
        """One item without padding, labelled by its tokens, for ArviZ: see `posterior_items`.

        Raises:
            UsageError: there is none of that name.
        """
        return for_arviz(item(self.tree, name))


def read_posterior(path: Path | str) -> Posterior:
    """Reads a file of `hardpp posterior`.

    Raises:
        CheckpointError: there is no such file, it is not one of ours, or of another version.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path} is no file", "hardpp posterior RUN writes one")
    try:
        if (place := damaged_heap(path)) is not None:
            raise CheckpointError(f"{path} is damaged at byte {place:,}: a text there has no end")
        _check_size(path)
        with xr.open_datatree(path, engine="h5netcdf") as opened:
            tree = opened.load()
    except (CheckpointError, ResourceError):
        raise
    except Exception as error:  # whatever three libraries raise at a file that is damaged
        what = " ".join(str(error).split())[:_SAID] or type(error).__name__
        raise CheckpointError(f"{path} is no netCDF file that can be read ({what})") from error
    if tree.attrs.get("inference_library") != "hardpp":
        writer = tree.attrs.get("inference_library", "an unknown program")
        raise CheckpointError(f"{path} is not a posterior of hardpp, but of {writer}")
    if (found := tree.attrs.get("posterior_format", 1)) != FORMAT:
        version = tree.attrs.get("inference_library_version", "?")
        what = f"{path} has format {found} (hardpp {version}), and this hardpp reads format {FORMAT}"
        raise CheckpointError(what, "write it anew with hardpp posterior")
    if missing := missing_parts(tree):
        raise CheckpointError(f"{path}: {missing}", "write it anew with hardpp posterior")
    return Posterior(tree)


# Refuses what takes more memory than there is, and a small file that unpacks to thousands of its size. Of a
# file whose root cannot be read, h5netcdf would leave a traceback on standard error.
def _check_size(path: Path) -> None:
    sizes: list[int] = []

    def add(name: str, each: Any) -> None:
        sizes.append(each.nbytes if isinstance(each, h5py.Dataset) else 0)

    with h5py.File(path) as file:
        dict(file.attrs)
        file.visititems(add)
    total, packed = sum(sizes), path.stat().st_size
    if total > max(_LARGE, _RATIO * packed):
        raise CheckpointError(f"{path} has {packed:,} bytes, and unpacks to {total:,}")
    left = available_bytes(torch.device("cpu"))
    if left is not None and total > left:
        raise ResourceError(f"{path} takes {total:,} bytes of memory, and {left:,} are free")


def missing_parts(tree: xr.DataTree) -> str:
    """What a posterior lacks without which its items are not known, in words; empty where it is whole."""
    if missing := [group for group in GROUPS if group not in tree.children]:
        return f"there are no groups {', '.join(missing)}"
    datum = tree.attrs.get("datum")
    if datum not in tree["posterior"].to_dataset().coords:
        return f"it is not said what items are called (datum: {datum!r})"
    return ""
