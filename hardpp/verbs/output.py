"""Files that verbs write: lines, figures and posteriors, each whole or absent.

With `force` a file that exists is replaced; see `hardpp.data.atomic_files.write_file` for the errors.
"""

import io
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hardpp.data.atomic_files import check_writable, write_file
from hardpp.data.undecoded import utf8
from hardpp.errors import UsageError
from hardpp.runs.processes.process_rank import rank, size
from hardpp.verbs.exit_codes import report

if TYPE_CHECKING:  # slow to import, and most verbs never need them
    import xarray as xr
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
_UNDATED = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}  # what else says when it was written
_FRAME_MS, _LAST_FRAME_MS = 900, 2500


def write_lines(make: Callable[[], Iterable[str]], out: Path | None, force: bool) -> None:
    """Prints lines, or writes them to a file, whose name is told on standard error.

    They are made once it is known that the file can be written.
    """
    if out is None:
        for line in make():
            click.echo(line)
        return
    check_writable(out, force=force)
    wait_for_others()
    write_text(out, "".join(f"{line}\n" for line in make()), force=force)
    tell_written(out)


def write_text(path: Path, text: str, *, force: bool = False) -> None:
    """Writes a file, if this is the process that writes."""
    if not rank():
        write_file(path, utf8(text), force=force)


def tell_written(path: Path) -> None:
    """Tells on standard error what was written, whose name standard output has no room for."""
    if not rank():
        click.echo(path, err=True)


def wait_for_others() -> None:
    """Waits for other processes, which look first whether what one of them is about to write is there."""
    if size() > 1:
        from hardpp.runs.processes.ranks import wait_for_all

        wait_for_all()


def write_posterior(tree: "xr.DataTree", path: Path, *, force: bool = False) -> None:
    """Writes a tree as netCDF, which `arviz.from_netcdf` and `xarray.open_datatree` read."""
    zlib = {"zlib": True, "complevel": 4}
    encoding = {
        node.path: {str(name): zlib for name, variable in node.data_vars.items() if variable.ndim > 2}
        for node in tree.subtree
    }
    if rank():
        return
    # In memory, since HDF5 ends the process by a segmentation fault when the disk is full.
    netcdf = io.BytesIO()
    try:
        tree.to_netcdf(netcdf, engine="h5netcdf", encoding=encoding)
    except UnicodeEncodeError:  # of names of files
        netcdf = io.BytesIO()
        tree.map_over_datasets(_escaped).to_netcdf(netcdf, engine="h5netcdf", encoding=encoding)
    write_file(path, netcdf.getvalue(), force=force)


def _escaped(dataset: "xr.Dataset") -> "xr.Dataset":
    import numpy as np

    from hardpp.config.undecoded import escaped

    each = np.vectorize(escaped, otypes=[object])
    texts = {name: values for name, values in dataset.variables.items() if values.dtype.kind in "OU"}
    written = {name: values.copy(data=each(values.data)) for name, values in texts.items()}
    return dataset.assign(written).assign_attrs(escaped(dict(dataset.attrs)))


def write_figure(figure: "Figure", path: Path, *, force: bool = False) -> None:
    """Writes a figure as PNG, SVG or PDF by its suffix; the same figure makes the same bytes."""
    import matplotlib

    from hardpp.diagnostics.plot_fonts import legible

    check_figure(path, force=force)
    picture, form = io.BytesIO(), path.suffix.lower().removeprefix(".")
    # Else names of parts are drawn at random.
    with legible([figure], _tell_once), matplotlib.rc_context({"svg.hashsalt": "hardpp"}):
        figure.savefig(picture, format=form, dpi=200, metadata=_UNDATED.get(form))
    write_file(path, picture.getvalue(), force=force)


@cache
def _tell_once(sentence: str) -> None:
    report(sentence)


def write_animation(frames: Sequence["Figure"], path: Path, *, force: bool = False) -> None:
    """Writes frames of one size as a GIF that begins anew after the last, which stays longer."""
    from PIL import Image

    from hardpp.diagnostics.plot_fonts import legible

    check_writable(path, force=force)
    drawn = []
    with legible(frames, _tell_once):
        for frame in frames:
            picture = io.BytesIO()
            frame.savefig(picture, format="png", dpi=100)
            drawn.append(Image.open(picture).convert("RGB").quantize(256, dither=Image.Dither.NONE))
    first, *others = drawn
    lengths = [_FRAME_MS] * len(others) + [_LAST_FRAME_MS]
    moving = io.BytesIO()
    first.save(moving, "GIF", save_all=True, append_images=others, duration=lengths, loop=0)
    write_file(path, moving.getvalue(), force=force)


def check_figure(path: Path, *, force: bool = False) -> None:
    """Refuses a path that `write_figure` would refuse, as to its suffix, too; asked before long work."""
    if path.suffix.lower().removeprefix(".") not in FORMATS:
        raise UsageError(f"{path} should end in one of {', '.join(f'.{name}' for name in FORMATS)}")
    check_writable(path, force=force)
