"""Files of posteriors that are none, or damaged, or would take more memory than there is."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from hardpp.diagnostics import posterior_file
from hardpp.diagnostics.posterior_file import read_posterior
from hardpp.errors import CheckpointError, ResourceError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "posterior.nc"


def test_a_small_file_that_unpacks_to_gigabytes_is_refused_before(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("posterior/x", (2**28,), "f8", chunks=True, compression="gzip")
    with pytest.raises(
        CheckpointError, match=r"posterior\.nc has [\d,]+ bytes, and unpacks to 2,147,483,648$"
    ):
        read_posterior(path)


def test_what_takes_more_memory_than_there_is_is_refused_before(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posterior_file, "available_bytes", lambda device: 799)
    with h5py.File(path, "w") as file:
        file["posterior/x"] = np.zeros(100)
    with pytest.raises(ResourceError, match="takes 800 bytes of memory, and 799 are free"):
        read_posterior(path)


def test_a_file_whose_root_cannot_be_read_leaves_no_noise(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["inference_library"] = "hardpp"
    content = path.read_bytes()
    at = content.index(b"OHDR") + 8
    path.write_bytes(content[:at] + b"\xff" + content[at + 1 :])  # its checksum is wrong by now
    with pytest.raises(CheckpointError, match=r"posterior\.nc is no netCDF file that can be read"):
        read_posterior(path)
    assert capfd.readouterr().err == ""
