"""A posterior as it is read back from its file, with a door to each of its items."""

from pathlib import Path
from typing import Any

import h5py
import xarray as xr

from hardpp.diagnostics.posterior import FORMAT, GROUPS
from hardpp.diagnostics.posterior_items import for_arviz, item, names
from hardpp.diagnostics.trust import trust_summary
from hardpp.errors import CheckpointError


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
        h5py.File(path).close()  # of a file that is none, the line below leaves noise on standard error
        with xr.open_datatree(path, engine="h5netcdf") as opened:
            tree = opened.load()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        what = (str(error) or type(error).__name__).splitlines()[0]
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


def missing_parts(tree: xr.DataTree) -> str:
    """What a posterior lacks without which its items are not known, in words; empty where it is whole."""
    if missing := [group for group in GROUPS if group not in tree.children]:
        return f"there are no groups {', '.join(missing)}"
    datum = tree.attrs.get("datum")
    if datum not in tree["posterior"].to_dataset().coords:
        return f"it is not said what items are called (datum: {datum!r})"
    return ""
