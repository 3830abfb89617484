"""Files that verbs write."""

import errno
import os
from pathlib import Path

import arviz
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from hardpp.errors import ResourceError, UsageError
from hardpp.verbs.output import check_figure, write_figure, write_lines, write_posterior


@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_saved_whole_and_only_once(tmp_path: Path, suffix: str, magic: bytes) -> None:
    figure, path = Figure(), tmp_path / f"plot.{suffix}"
    write_figure(figure, path)
    assert path.read_bytes().startswith(magic)
    path.write_text("precious")
    with pytest.raises(UsageError, match="exists"):
        write_figure(figure, path)
    assert path.read_text() == "precious"
    write_figure(figure, path, force=True)
    assert path.read_bytes().startswith(magic)
    assert list(tmp_path.iterdir()) == [path]


def test_refuses_other_formats(tmp_path: Path) -> None:
    for refuse in (check_figure, lambda path: write_figure(Figure(), path)):
        with pytest.raises(UsageError, match=r"plot\.bmp should end in one of \.png, \.svg, \.pdf"):
            refuse(tmp_path / "plot.bmp")


def posterior() -> xr.DataTree:
    draws = xr.Dataset(
        {"alignment": (("chain", "draw", "step"), np.arange(24).reshape(1, 4, 6) % 5)},
        coords={"token": ("step", list("abcdef"))},
        attrs={"made_by": "a test"},
    )
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs={"model": "x"}), "/posterior": draws})


def test_a_posterior_is_read_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "posterior.nc"
    write_posterior(posterior(), path)
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        xr.testing.assert_identical(tree.load(), posterior())
        assert tree["posterior"]["alignment"].encoding["complevel"] == 4
    assert arviz.from_netcdf(path).posterior.alignment.shape == (1, 4, 6)
    with pytest.raises(UsageError, match="exists"):
        write_posterior(posterior(), path)


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for name, write in [
        ("posterior.nc", lambda path: write_posterior(posterior(), path)),
        ("plot.png", lambda path: write_figure(Figure(), path)),
        ("lines", lambda path: write_lines(lambda: ["a"], path, False)),
    ]:
        with pytest.raises(ResourceError, match=f"{name} cannot be written: No space left"):
            write(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_lines_go_to_a_file_or_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lines(lambda: ["a", "\u00fc"], None, False)
    assert capsys.readouterr() == ("a\n\u00fc\n", "")
    path = tmp_path / "lines"
    write_lines(lambda: ["a", "\u00fc"], path, False)
    assert capsys.readouterr() == ("", f"{path}\n")
    assert path.read_text(encoding="utf-8") == "a\n\u00fc\n"

    def never() -> object:
        raise AssertionError("asked for lines that cannot be written")
        yield

    with pytest.raises(UsageError, match="exists"):
        write_lines(never, path, False)


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_the_same_figure_makes_the_same_bytes(form, tmp_path):
    written = []
    for name in ("one", "two"):
        figure = Figure()
        axes = figure.subplots()
        axes.plot([0, 1], label="$x^2$")
        axes.legend()
        write_figure(figure, tmp_path / f"{name}.{form}")
        written.append((tmp_path / f"{name}.{form}").read_bytes())
    assert written[0] == written[1]


def test_a_posterior_of_names_that_are_no_utf8_is_written(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset({"a": ("item", [1.0])}, coords={"item": [name]})})
    tree.attrs["run"] = name
    write_posterior(tree, tmp_path / "posterior.nc")
    with xr.open_datatree(tmp_path / "posterior.nc", engine="h5netcdf") as written:
        assert written["posterior"]["item"].values.tolist() == ["caf\\udce9"]
        assert written.attrs["run"] == "caf\\udce9"
