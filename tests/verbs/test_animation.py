"""Moving pictures of where a model looks: `hardpp plot --format gif` and `run.animate`."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from corpora import fail, succeed, train_command, write_corpus
from image_files import write_idx
from matplotlib.figure import Figure
from PIL import Image

import hardpp
from hardpp.errors import UsageError
from hardpp.tasks.opened_run import OpenedRun
from hardpp.verbs.output import write_animation

SMALL = {
    "glimpse": {"network": dict.fromkeys(("hidden", "features", "head", "guide"), 4) | {"side": 4}},
    "saccader": {
        "data": {"side": 21},
        "network": {"stem": 4, "planes": [4], "blocks": [1], "strides": [2], "wide": [1]},
        "stages": ["joint"],
    },
}


@pytest.fixture(scope="module", params=[*SMALL])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> OpenedRun:
    folder = tmp_path_factory.mktemp(request.param)
    write_idx(folder / "data", side=21)
    settings = {**SMALL[request.param], "training.max_epochs": 1, "network.glimpses": 3}
    out, data = folder / "run", folder / "data"
    return hardpp.train(
        request.param, data=data, settings=settings, out=out, device="cpu", report=lambda _: None
    )


def test_one_file_an_image_one_frame_a_glimpse(run: OpenedRun, tmp_path: Path) -> None:
    words = [
        "plot",
        str(run.path),
        "--format",
        "gif",
        "--count",
        "2",
        "--out",
        str(tmp_path),
        "--order",
        "first",
    ]
    files = [Path(line) for line in succeed(*words, "--device", "cpu").splitlines()]
    assert [file.name for file in files] == ["test-0.gif", "test-1.gif"]
    with Image.open(files[0]) as moving:
        assert moving.n_frames == 3
        frames = []
        for number in range(3):
            moving.seek(number)
            frames.append(np.asarray(moving.convert("RGB")))
    assert all((a != b).any() for a, b in itertools.pairwise(frames))
    assert "exists already" in fail(2, *words, "--device", "cpu")
    succeed(*words, "--device", "cpu", "--force")


def test_frames_are_figures_of_one_size(run: OpenedRun) -> None:
    (frames,) = run.animate("test/1").values()
    assert len(frames) == 3
    assert len({tuple(frame.get_size_inches()) for frame in frames}) == 1
    (whole,) = run.plot("test/1").values()
    assert [len(axis.texts) for axis in whole.axes] == [len(axis.texts) for axis in frames[-1].axes]
    with pytest.raises(UsageError, match="'test/99' is not among these"):
        run.animate("test/99")


def test_models_that_look_at_all_at_once_are_refused(tmp_path: Path) -> None:
    data = write_corpus(tmp_path / "data")
    succeed(*train_command(data, tmp_path / "run"), "--max-steps", "1")
    text = fail(2, "plot", str(tmp_path / "run"), "--format", "gif", "--device", "cpu")
    assert "model alignment does not look at one thing after the other" in text
    assert not (tmp_path / "run" / "plots").exists()


def test_a_file_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.gif"
    write_animation([Figure()], path)
    with Image.open(path) as moving:
        assert moving.n_frames == 1
    with pytest.raises(UsageError, match="exists already"):
        write_animation([Figure()], path)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(Exception, match="cannot be written: No space left"):
        write_animation([Figure(), Figure()], path, force=True)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.gif"]
