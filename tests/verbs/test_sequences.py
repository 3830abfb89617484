"""Glimpse sequences as their inventors publish them, from the command line."""

from pathlib import Path

import pytest
from corpora import fail, succeed
from image_files import write_idx

from hardpp.data.images.glimpse_sequences import read

GRID = ("--patch", "4", "--cells", "3", "--glimpses", "2")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_idx(tmp_path_factory.mktemp("sequences") / "idx", side=12)


def published(folder: Path) -> Path:
    folder.mkdir()
    (folder / "0.txt").write_text("0, 8\n4, 4\n")
    (folder / "img_3.txt").write_text("8, 8\n0, 0\n")
    return folder


def test_in_and_out_again(data: Path, tmp_path: Path) -> None:
    folder, out = published(tmp_path / "theirs"), tmp_path / "ours.txt"
    succeed("sequences", "import", folder, "--data", data, *GRID, "--out", out)
    assert read(out).places == {"train/0": [(0, 8), (4, 4)], "train/3": [(8, 8), (0, 0)]}
    assert "exists already" in fail(2, "sequences", "import", folder, "--data", data, *GRID, "--out", out)
    succeed("sequences", "export", out, "--data", data, "--out", tmp_path / "again")
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == ["0.txt", "3.txt"]
    assert (tmp_path / "again" / "3.txt").read_text() == "8, 8\n0, 0\n"


def test_what_does_not_fit_is_refused_by_file_and_line(data: Path, tmp_path: Path) -> None:
    folder, out = published(tmp_path / "theirs"), tmp_path / "ours.txt"
    words = ("sequences", "import", folder, "--data", data)
    fine = ("--patch", "4", "--cells", "9", "--glimpses", "2", "--out", out)
    succeed(*words, *fine)
    out.unlink()
    assert "last is 20, and patches begin at 0 to 8" in fail(2, *words, *GRID, "--last", "20", "--out", out)
    (folder / "3.txt").write_text("0, 0\n0, 0\n")
    assert "image 3 has a sequence in" in fail(3, *words, *GRID, "--out", out)
    (folder / "3.txt").unlink()
    (folder / "0.txt").write_text("0, 8\n4, 5\n")
    assert "0.txt:2: 4,5 is not on the grid of 3 places" in fail(3, *words, *GRID, "--out", out)
    assert not out.exists()


def test_sequences_of_other_images_are_not_given_out(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "ours.txt"
    succeed("sequences", "import", published(tmp_path / "theirs"), "--data", data, *GRID, "--out", out)
    other = write_idx(tmp_path / "idx", side=12, train=30)
    refusal = fail(3, "sequences", "export", out, "--data", other, "--out", tmp_path / "again")
    assert "was made for images of fingerprint" in refusal
    assert not (tmp_path / "again").exists()
