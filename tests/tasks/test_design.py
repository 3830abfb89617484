"""`hardpp design` on images made up here: sequences in a file, from the first image to the last."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import xarray as xr
from click.testing import CliRunner
from corpora import fail, settings, succeed
from image_files import write_idx

import hardpp
from hardpp.cli import main
from hardpp.data.images.glimpse_sequences import GlimpseSequences, read
from hardpp.tasks.designing import DesigningRun
from hardpp.tasks.masked_image.design import classifier, designer

NETWORK = {"glimpses": 2, "patch": 4, "cells": 3, "features": 4, "hidden": 8}
OWN: dict[str, Any] = {
    "network": NETWORK,
    "training": {"batch_size": 8, "log_every": 1, "max_epochs": 1},
    "optimiser": {"warmup_steps": 1},
}
FEW = ("--completions", "8", "--first", "8", "--glimpses", "2", "--deviation", "60")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two stages on images of twelve pixels."""
    folder = tmp_path_factory.mktemp("design")
    data = write_idx(folder / "idx", side=12)
    words = ["train", "--model", "masked-image", "--data", data, "--out", folder / "run", "--device", "cpu"]
    succeed(*words, *settings(OWN))
    return folder / "run"


def design(run: Path, out: Path, *more: str) -> GlimpseSequences:
    succeed("design", run, "--part", "train", "--limit", "4", *FEW, "--out", out, *more)
    return read(out)


def test_a_file_of_sequences(run: Path, tmp_path: Path) -> None:
    found = design(run, tmp_path / "sequences.txt")
    header = found.header
    assert (header.size, header.patch, header.cells, header.last) == (12, 4, 3, 8)
    assert (header.glimpses, header.fewest, header.part) == (2, 2, "train")
    assert [*found.places] == [f"train/{index}" for index in range(4)]
    assert len({places[0] for places in found.places.values()}) == 1  # nothing is known before the first
    assert all(len({*places}) == 2 for places in found.places.values())


def test_an_interrupted_design_goes_on(run: Path, tmp_path: Path) -> None:
    """Wherever it was cut, and with more images, too: the file is what one run would have chooser."""
    whole, part = tmp_path / "whole.txt", tmp_path / "part.txt"
    design(run, whole, "--limit", "6")
    content = whole.read_bytes()
    design(run, part, "--limit", "3")
    part.write_bytes(part.read_bytes()[:-4])
    design(run, part, "--limit", "6")
    assert part.read_bytes() == content
    assert '"added": 0' in succeed(
        "design", run, "--part", "train", "--limit", "6", *FEW, "--out", part, "--format", "json"
    )


def test_another_design_does_not_go_on(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "sequences.txt"
    design(run, out)
    before = out.read_bytes()
    same = ("design", run, "--part", "train", "--limit", "4", "--out", out)
    assert "configuration is" in fail(2, *same, *FEW, "--seed", "1")
    assert "glimpses is 2, and 1 is wanted" in fail(2, *same, *FEW, "--glimpses", "1")
    assert "part is train, and test is wanted" in fail(2, *same, *FEW, "--part", "test")
    assert out.read_bytes() == before


def test_a_budget_ends_sequences(run: Path, tmp_path: Path) -> None:
    found = design(run, tmp_path / "none.txt", "--budget", "100")
    assert found.header.fewest == 0
    assert [*found.places.values()] == [[]] * 4
    figures = hardpp.open_run(run).evaluate(
        hardpp.open_run(run).select(part="train", limit=4), sequences=str(tmp_path / "none.txt")
    )
    assert figures["glimpses"] == 0
    assert figures["accuracy_2"] == figures["accuracy_0"]
    assert figures["seen"] == 0


def test_maps_hold_what_was_expected(run: Path, tmp_path: Path) -> None:
    found = design(run, tmp_path / "sequences.txt", "--exhaustive", "--maps", str(tmp_path / "maps"))
    for name, places in found.places.items():
        with xr.open_dataset(tmp_path / "maps" / f"{name.replace('/', '-')}.nc", engine="h5netcdf") as maps:
            expected = maps.expected_entropy.load()
        assert expected.dims == ("glimpse", "row", "column")
        taken: set[tuple[int, int]] = set()
        for g, place in enumerate(places, start=1):
            of_glimpse = expected.sel(glimpse=g)
            best = of_glimpse.where(of_glimpse == of_glimpse.min(), drop=True)
            assert (int(best.row[0]), int(best.column[0])) == place
            assert {
                place for place in taken if not of_glimpse.sel(row=place[0], column=place[1]).isnull()
            } == set()
            taken.add(place)


def test_entropies_are_those_of_the_network(run: Path) -> None:
    """Of the first glimpse, by hand: over all completions, at every place."""
    opened = hardpp.open_run(run)
    assert isinstance(opened, DesigningRun)
    items = opened.select(part="train", limit=1)
    from hardpp.tasks.designing import DesignOptions

    chooser = designer(opened, DesignOptions(completions=6, first=6, exhaustive=True), "retrieval")
    pixels = items.batch()[0].source[0]
    (step,) = chooser.design(pixels, 1)
    completions = chooser.completion.complete(pixels, torch.zeros(12, 12, dtype=torch.bool), 0)
    predict = classifier(opened.programs.model, torch.device("cpu"))
    for place in range(9):
        mask = chooser.grid.mask(torch.tensor(place)).expand(6, -1, -1)
        log_p = predict(completions.pixels, mask).double()
        entropy = -(log_p.exp() * log_p).sum(-1).mean()
        assert float(step.information.expected_entropy[place]) == pytest.approx(float(entropy))


def test_sequences_are_looked_at(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "sequences.txt"
    found = design(run, path)
    lines = succeed("align", run, "--part", "train", "--limit", "4", "--of", "prior").splitlines()
    assert lines[0].split("\t")[:5] == ["image", "label", "glimpse", "row", "column"]
    opened = hardpp.open_run(run)
    few = opened.select(part="train", limit=4)
    figures = opened.evaluate(few, sequences=str(path))
    assert {"accuracy_0", "accuracy_2", "ece_1", "entropy_2", "nll_0"} <= figures.keys()
    model: Any = opened.programs.model
    batch = opened.batch(few)
    places = torch.stack([model.grid.nearest(torch.tensor(each)) for each in found.places.values()])
    log_p = model.labels(batch.source, places).detach()
    right = log_p.gather(-1, batch.target.view(-1, 1, 1).expand(-1, 3, 1))
    assert figures["nll_2"] == pytest.approx(-float(right[:, 2].mean()), rel=1e-5)


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (("--completion", "nowhere"), 4, "nowhere"),
        (("--completions", "1"), 2, "1 is not in the range 2<=x"),
        (("--glimpses", "3"), 2, "this run was trained on up to 2"),
        (("--database", "1"), 2, "1 is not in the range x>=2"),
    ],
)
def test_what_is_refused(run: Path, tmp_path: Path, more: tuple[str, ...], code: int, message: str) -> None:
    out = tmp_path / "sequences.txt"
    words = ("design", run, "--part", "train", "--limit", "2", *FEW, "--out", out, *more)
    assert message in fail(code, *words)
    assert not out.exists()


def test_sequences_of_others_are_refused(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "sequences.txt"
    design(run, path)
    some = ("evaluate", run, "--sequences", path)
    assert "part train, and these have test" in fail(3, *some)
    assert "has no sequence of 'train/4', which is asked about, nor of 1 more" in fail(
        3, *some, "--part", "train", "--limit", "6"
    )
    assert "give one of them" in fail(2, *some, "--part", "train", "--limit", "4", "--policy", "centre")
    text = path.read_text()
    path.write_text(text.replace("# cells: 3", "# cells: 5"))
    assert "is of cells 5, and this run of 3" in fail(3, *some, "--part", "train", "--limit", "4")


def test_other_models_do_not_design(run: Path, tmp_path: Path) -> None:
    data = run.parent / "idx"
    network = {"glimpses": 2, "side": 4, "windows": 1, "cells": 3, "hidden": 8, "features": 8, "head": 8}
    other = tmp_path / "glimpse"
    own = settings({**OWN, "network": network, "training": {"max_steps": 1}})
    succeed("train", "--model", "glimpse", "--data", data, "--out", other, "--device", "cpu", *own)
    out = tmp_path / "sequences.txt"
    assert "does not classify partly seen images" in fail(2, "design", other, "--out", out)
    assert "completes no images" in fail(2, "design", run, "--completion", other, "--out", out)
    assert not out.exists()


def test_maps_are_drawn(run: Path, tmp_path: Path) -> None:
    words = ("plot", run, "--kind", "information", "--count", "1", "--out", tmp_path)
    drawn = Path(succeed(*words).strip())
    assert drawn.read_bytes().startswith(b"\x89PNG")
    assert "nothing moves" in fail(2, *words, "--format", "gif")
    assert "--kind training: nothing moves" in fail(2, "plot", run, "--kind", "training", "--format", "gif")


def test_completion_by_other_images_is_told(run: Path, tmp_path: Path) -> None:
    """Also where both folders have the same name: they have other pixels."""
    network = {
        "glimpses": 2,
        "patch": 4,
        "cells": 3,
        "code": 3,
        "components": 2,
        "planes": [4, 4],
        "hidden": 8,
    }
    words = ["train", "--model", "image-vae", "--device", "cpu", *settings({**OWN, "network": network})]
    told = []
    for number, train in enumerate((40, 39)):
        data = run.parent / "idx"
        data.rename(kept := tmp_path / "kept")
        write_idx(data, train=train, side=12)
        other, out = tmp_path / f"vae{number}", tmp_path / f"{number}.txt"
        succeed(*words, "--data", data, "--out", other)
        shutil.rmtree(data)
        kept.rename(data)
        command = ("design", run, "--limit", "1", *FEW[:6], "--completion", other, "--out", out)
        told.append("was trained on other images" in CliRunner().invoke(main, list(map(str, command))).stderr)
    assert told == [False, True]


def test_images_unlike_those_of_training_are_refused(run: Path, tmp_path: Path) -> None:
    """Items of `load_data` have not gone through the run's own `select`."""
    opened = hardpp.open_run(run, device="cpu")
    assert isinstance(opened, DesigningRun)
    data = hardpp.load_data(write_idx(tmp_path / "idx", side=16), model="masked-image")
    like = hardpp.load_data(run.parent / "idx", model="masked-image")
    assert opened.evaluate(like.test[:3]) == opened.evaluate(opened.select(limit=3))
    for ask in (opened.evaluate, opened.decode, lambda items: opened.design(tmp_path / "s.txt", items)):
        with pytest.raises(hardpp.errors.DataError, match=r"size of images .* and this run was trained on"):
            ask(data.test[:3])
    other = replace(like.test[:3], classes=tuple("9876543210"))
    with pytest.raises(hardpp.errors.DataError, match="classes of images"):
        opened.evaluate(other)


def test_a_file_of_sequences_may_be_a_path(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "sequences.txt"
    design(run, path)
    opened = hardpp.open_run(run, device="cpu")
    items = opened.select(part="train", limit=4)
    assert opened.evaluate(items, sequences=path) == opened.evaluate(items, sequences=str(path))


def test_sequences_of_all_parts(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "sequences.txt"
    succeed("design", run, "--part", "all", "--limit", "2", *FEW, "--out", out)
    assert "# part: all" in out.read_text()
    figures = succeed("evaluate", run, "--part", "all", "--limit", "2", "--sequences", out, "--format", "csv")
    assert ",2," in figures
