"""Files that verbs write."""

import pytest
from matplotlib.figure import Figure

from hardpp.errors import UsageError
from hardpp.verbs.output import write_figure


@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_saved_whole_and_only_once(tmp_path, suffix, magic):
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


def test_refuses_other_formats(tmp_path):
    with pytest.raises(UsageError, match=r"\.png"):
        write_figure(Figure(), tmp_path / "plot.bmp")
