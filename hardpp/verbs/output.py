"""Files that verbs write: lines, figures and posteriors, each whole or absent."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hardpp.errors import UsageError

if TYPE_CHECKING:  # slow to import, and most verbs never need them
    import xarray as xr
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")


def write_lines(lines: Iterable[str], out: Path | None, force: bool) -> None:
    """Prints each line as it comes, or writes all to a file, whose name is told on standard error.

    Args:
        lines: without their ends.
        out: the file; None for standard output.
        force: replace the file if it exists.

    Raises:
        UsageError: the file exists and `force` is not given, or it is a folder.
    """
    from hardpp.runs.atomic_files import replacing

    if out is None:
        for line in lines:
            click.echo(line)
        return
    with replacing(out, force=force) as part:
        part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    click.echo(out, err=True)


def write_posterior(tree: "xr.DataTree", path: Path, *, force: bool = False) -> None:
    """Writes a tree as netCDF, whole or not at all; `arviz.from_netcdf` and `xarray.open_datatree` read it.

    Raises:
        UsageError: the file exists and `force` is not given.
    """
    from hardpp.runs.atomic_files import replacing

    encoding = {
        node.path: {
            str(name): {"zlib": True, "complevel": 4} for name, v in node.data_vars.items() if v.ndim > 2
        }
        for node in tree.subtree
    }
    with replacing(path, force=force) as part:
        tree.to_netcdf(part, engine="h5netcdf", encoding=encoding)


def write_figure(figure: "Figure", path: Path, *, force: bool = False) -> None:
    """Writes a figure as PNG, SVG or PDF by its suffix, whole or not at all.

    Raises:
        UsageError: another suffix, or the file exists and `force` is not given.
    """
    with picture(path, force=force) as draw:
        draw(figure)


@contextmanager
def picture(path: Path, *, force: bool = False) -> Iterator[Callable[["Figure"], None]]:
    """Refuses, before any work is done, a picture that `write_figure` would not write; then writes it.

    Raises:
        UsageError: as `write_figure`.
    """
    from hardpp.runs.atomic_files import replacing

    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise UsageError(f"{path} should end in one of {', '.join('.' + known for known in FORMATS)}")
    with replacing(path, force=force) as part:
        yield lambda figure: figure.savefig(part, format=kind, dpi=200)
