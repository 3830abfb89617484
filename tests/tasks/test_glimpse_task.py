"""Glimpses from the command line, on images made up here: IDX files, folders of classes, scenes of digits."""

import dataclasses
import gzip
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from corpora import fail, hardpp, hashes, metrics, settings, succeed
from image_files import held, idx_bytes, write_idx, write_picture
from pydantic import ValidationError
from torch import Tensor

from hardpp.data.images import corpora
from hardpp.data.images.labelled import LabelledImages
from hardpp.data.uniforms import integers, uniforms
from hardpp.distributions.glimpses import Glimpses
from hardpp.errors import DataError
from hardpp.guides.prior import Prior
from hardpp.nn.glimpse_reader import GlimpseReader
from hardpp.runs.folder import create, open_run
from hardpp.runs.recorded_training import train
from hardpp.runs.session import Session
from hardpp.runs.training import run_in_folder
from hardpp.tasks import catalogue, labelled_images
from hardpp.tasks.configuration import resolve
from hardpp.tasks.glimpse.family import GlimpseFamily
from hardpp.tasks.labelled_images import ImagesDescription, SelectedImages
from hardpp.tasks.objectives import ObjectiveSpec
from hardpp.tasks.opened_run import OpenedRun

MODEL = "glimpse"
TINY: dict[str, Any] = {
    "network": {
        "glimpses": 2,
        "side": 4,
        "windows": 2,
        "cells": 3,
        "hidden": 8,
        "features": 8,
        "head": 8,
        "guide": 8,
        "every_glimpse": True,
    },
    "training": {"batch_size": 8, "log_every": 1, "max_epochs": 1, "max_steps": 2},
    "optimiser": {"warmup_steps": 1},
    "decoding": {"draws": 2, "particles": 3},
}


def command(data: Path | str, out: Path, *more: str) -> list[str]:
    words = ["train", "--model", MODEL, "--data", str(data), "--out", str(out), "--device", "cpu"]
    return [*words, *settings(TINY), *more]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_idx(tmp_path_factory.mktemp("data") / "idx", side=12)


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Stands for the fetched MNIST."""
    root = tmp_path_factory.mktemp("fetched")
    write_idx(root / corpora.MNIST, train=48, test=12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpora, "fetch", lambda name, report: root)
        yield root


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> OpenedRun:
    out = tmp_path_factory.mktemp("run") / "run"
    succeed(*command(folder, out))
    return open_run(out, "cpu")


@pytest.fixture(scope="module")
def scene_run(mnist: Path, tmp_path_factory: pytest.TempPathFactory) -> OpenedRun:
    out = tmp_path_factory.mktemp("run") / "run"
    more = ["--guide", "variational", "--objective", "rws"]
    more += ["--set", "network.side=12", "--set", "network.context=6"]
    succeed(*command("translated-mnist", out, *more))
    return open_run(out, "cpu")


@pytest.fixture(scope="module")
def scenes(scene_run: OpenedRun) -> SelectedImages:
    return scene_run.select()


def decided(run: OpenedRun) -> OpenedRun:
    """The run with policies of any weights, which always take the likeliest location: nothing is random."""
    run = open_run(run.path, "cpu")
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for program in run.programs:
            for name, parameter in program.named_parameters():
                if name.startswith(("head.", "context.")):
                    parameter.normal_(generator=draw)
                    parameter *= 1e6 if name.startswith("head.last.") else 1
    return run


WITH_PRIOR: dict[str, list[str]] = {
    "rloo": ["--objective", "rloo", "--set", "network.every_glimpse=false"],
    "rloo, RAM's own": ["--objective", "rloo", "--set", "network.detached=true"],
    "elbo, anywhere": ["--objective", "elbo", "--set", "network.space=continuous"],
    "elbo, one particle": ["--objective", "elbo", "--particles", "1"],
    "vimco": ["--objective", "vimco", "--set", "network.context=4"],
    "rws": ["--objective", "rws", "--set", "inference.train_guide=false"],
    "rws + c, flatter": [
        *("--objective", "rws", "--set", "inference.train_guide=false"),
        *("--set", "inference.control_variates=true", "--set", "inference.proposal=temperature"),
    ],
}
WITH_GUIDE: dict[str, list[str]] = {
    "rloo, scales": ["--objective", "rloo", "--set", "network.scales=2", "--set", "network.windows=1"],
    "elbo, edge": ["--objective", "elbo", "--set", "network.padding=edge", "--set", "network.cell=gru"],
    "vimco, anywhere, scales": [
        *("--objective", "vimco", "--set", "network.space=continuous", "--set", "network.scales=2"),
    ],
    "rws, context": ["--objective", "rws", "--set", "network.context=4"],
    "rws + c, dreams": [
        *("--objective", "rws", "--set", "inference.control_variates=true"),
        *("--set", "inference.insomnia=0.5", "--set", "network.every_glimpse=false"),
    ],
}


@pytest.mark.parametrize(
    ("guide", "words"),
    [
        *(pytest.param("prior", words, id=f"prior, {name}") for name, words in WITH_PRIOR.items()),
        *(pytest.param("variational", words, id=f"guide, {name}") for name, words in WITH_GUIDE.items()),
    ],
)
def test_objectives_train_with_options_of_the_network(
    folder: Path, tmp_path: Path, guide: str, words: list[str]
) -> None:
    out = tmp_path / "run"
    succeed(*command(folder, out, "--guide", guide, *words))
    records = metrics(out)
    assert [record["split"] for record in records] == ["train", "train", "dev"]
    assert all(math.isfinite(record["bound"]) for record in records)
    summary = json.loads((out / "summary.json").read_text())
    assert 0 <= summary["error"] <= 1
    assert summary["images"] == 10
    particles = 3
    assert 1 <= summary["ess"] <= particles


@pytest.mark.parametrize("objective", ["exact", "gumbel"])
def test_objectives_that_need_a_sum_over_locations_are_refused(
    folder: Path, tmp_path: Path, objective: str
) -> None:
    message = fail(2, *command(folder, tmp_path / "run", "--objective", objective))
    assert f"{objective} sums over latents or mixes them" in message
    assert "take one that draws" in message


@pytest.mark.parametrize(
    "words",
    [("vimco-temporal",), ("hybrid", "--set", "inference.baseline=temporal")],
    ids=["control", "baseline"],
)
def test_glimpses_emit_nothing_that_draws_could_be_compared_by(
    folder: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    message = fail(2, *command(folder, tmp_path / "run", "--dry-run", "--objective", *words))
    assert "temporal baselines and controls" in message


def test_what_is_recommended() -> None:
    config = resolve([{"model": MODEL}])
    assert (config.data.name, config.objective, config.guide) == ("translated-mnist", "rloo", "prior")
    for objective in ("reinforce", "hybrid"):  # locations are chosen before anything is known of the label
        assert resolve([{"model": MODEL, "objective": objective}]).guide == "prior"
    for objective in ("rws", "vimco"):
        assert resolve([{"model": MODEL, "objective": objective}]).guide == "variational"


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(mnist: Path, tmp_path: Path) -> None:
    # Scenes are placed anew in every epoch, which must be told apart when a run goes on, too.
    more = {"device": "cpu", "model": MODEL, "data": {"train_limit": 24}, "network": {"side": 12}}
    config = resolve([TINY, more, {"training": {"max_epochs": 3, "max_steps": 9}}])
    assert config.data.fresh
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    _, figures = run_in_folder(config, whole, resume=True, force=False, report=print)
    session = Session(config, print)
    create(halved, config, session.description)
    steps = iter(range(1, 100))
    train(
        session,
        session.trainer(),
        halved,
        stop=lambda: next(steps) == 5,
        watch=lambda record: None,
        report=print,
    )
    assert metrics(halved)[-1]["step"] == 5
    _, again = run_in_folder(config, halved, resume=True, force=False, report=print)
    assert hashes(whole) == hashes(halved)
    assert metrics(whole) == metrics(halved)
    assert figures == again


@torch.no_grad()
def test_figures_are_those_of_the_images_taken_one_by_one(
    scene_run: OpenedRun, scenes: SelectedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = decided(scene_run)
    model: Any = run.programs.model
    sums: Counter[str] = Counter()
    cells: list[Counter[tuple[float, ...]]] = [Counter() for _ in range(model.glimpses)]
    for index in scenes.indices:
        shown, label = scenes.part.read([index]), int(scenes.part.labels[index])
        assert shown.boxes is not None
        left, top, right, bottom = shown.boxes[0].tolist()
        locations = model.sample_locations(shown.pixels)[0]
        log_p = model.labels(shown.pixels, locations)[0]  # (G, V)
        centres = model.space.locations(locations).centre[0].tolist()
        for g in range(model.glimpses):
            sums[f"error_{g + 1}"] += int(log_p[g].argmax()) != label
            cells[g][tuple(centres[g])] += 1
        sums["nll"] -= float(log_p[-1, label])
        sums["bound"] += float(log_p[:, label].mean())
        points = [[30 * (x + 1) for x in centre] for centre in centres]
        middle = ((top + bottom) / 2, (left + right) / 2)
        sums["distance"] += math.dist(points[-1], middle)
        sums["distance_first"] += math.dist(points[0], middle)
        sums["distance_centre"] += math.dist((30, 30), middle)
        sums["hit"] += top <= points[-1][0] < bottom and left <= points[-1][1] < right
        for name, side in (("seen", 12), ("covered", 24)):
            sums[name] += len(set().union(*(window(point, side, 60) for point in points))) / 3600
    N = len(scenes.indices)
    expected = {name: value / N for name, value in sums.items()} | {"ess": 3, "entropy_policy": 0}
    expected["error"] = expected["error_mean"] = expected["error_2"]
    expected["nll_mean"] = expected["nll"]
    for g, counted in enumerate(cells, start=1):
        expected[f"entropy_{g}"] = -sum(n / N * math.log(n / N) for n in counted.values())
    expected["entropy"] = expected["entropy_2"]
    proposal_is_prior = dataclasses.replace(run, programs=run.programs._replace(guide=Prior(model)))
    for size in (1, 5, 500):
        monkeypatch.setattr(labelled_images, "AT_ONCE", size)
        figures = proposal_is_prior.evaluate(scenes)
        for name, value in expected.items():
            assert figures[name] == pytest.approx(value, abs=1e-5), name
        assert set(figures) - set(expected) == {"images", "step"}
    assert expected["entropy"] > 0
    assert 0 < expected["covered"] < 1


def window(point: list[float], side: int, size: int) -> set[tuple[int, int]]:
    """Pixels of a window around a point, those that are in the image."""
    top, left = (round(x - side / 2) for x in point)
    return {
        (y, x)
        for y in range(max(top, 0), min(top + side, size))
        for x in range(max(left, 0), min(left + side, size))
    }


@torch.no_grad()
def test_predictions_of_several_draws_are_averaged(run: OpenedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = run.programs.model
    images = run.select()
    K, N = 3, len(images.indices)
    drawn = torch.randint(9, (K, N, 2), generator=torch.Generator().manual_seed(0))
    # An objective's particles are draws, too.
    monkeypatch.setattr(Glimpses, "sample", lambda self, shape=(): drawn)
    figures = run.evaluate(images, draws=K, particles=K)
    wrong, nats = 0, 0.0
    for index in range(N):
        pixels, label = images.part.read([index]).pixels, int(images.part.labels[index])
        log_p = torch.stack([model.labels(pixels, drawn[k, index : index + 1])[0, -1] for k in range(K)])
        mean = log_p.double().exp().mean(0)
        wrong += int(mean.argmax()) != label
        nats -= math.log(float(mean[label]))
    assert figures["error_mean"] == pytest.approx(wrong / N)
    assert figures["nll_mean"] == pytest.approx(nats / N, abs=1e-5)
    for g in range(2):
        shares = np.bincount(drawn[:, :, g].flatten().numpy()) / (K * N)
        entropy = -sum(p * math.log(p) for p in shares if p)
        assert figures[f"entropy_{g + 1}"] == pytest.approx(entropy, abs=1e-6)
    reader = model.reader(images.part.read(images.indices).pixels)
    logits = reader.parameters(drawn[0])[:, -1].detach().clone()
    logits[torch.arange(N), drawn[0, :, 0]] = -torch.inf  # where the first glimpse was, the last may not be
    last = logits.softmax(-1)
    entropy = -torch.special.xlogy(last, last).sum(-1).mean()
    assert figures["entropy_policy"] == pytest.approx(float(entropy), abs=1e-5)


def test_evaluate_draws_as_often_and_with_such_a_seed_as_it_is_told(
    scene_run: OpenedRun, scenes: SelectedImages
) -> None:
    figures = scene_run.evaluate(scenes)
    for options in ({"seed": 1}, {"draws": 7}):
        assert scene_run.evaluate(scenes, **options)["entropy"] != figures["entropy"]


def test_align_has_a_line_a_glimpse(scene_run: OpenedRun, scenes: SelectedImages) -> None:
    run = decided(scene_run)
    model: Any = run.programs.model
    header, *lines = run.align(scenes, of="prior")
    assert header.split("\t") == [
        *("image", "label", "glimpse", "y", "x", "scale", "prediction", "probability")
    ]
    expected = []
    for index in scenes.indices:
        pixels = scenes.part.read([index]).pixels
        locations = model.sample_locations(pixels)[0]
        p = model.labels(pixels, locations)[0].exp()
        label = scenes.classes[int(scenes.part.labels[index])]
        for g, (y, x) in enumerate(model.space.locations(locations).centre[0].tolist()):
            point = (f"{30 * (y + 1):.1f}", f"{30 * (x + 1):.1f}")
            best = int(p[g].argmax())
            cells = (f"test/{index}", label, g + 1, *point, 0, scenes.classes[best])
            expected.append([*map(str, cells), f"{p[g, best]:.4f}"])
    assert [line.split("\t") for line in lines] == expected


def test_the_posterior_is_picked_by_weight_and_the_guide_is_not(
    scene_run: OpenedRun, scenes: SelectedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of three draws the second has all the weight; the guide's line is that of the first.
    from hardpp.diagnostics import glimpse_draws

    asked: set[int] = set()

    def draw(model: Any, guide: Any, batch: Any, draws: int) -> tuple[Tensor, Tensor]:
        asked.add(draws)
        cells = torch.arange(draws).view(-1, 1)
        return cells.unsqueeze(-1).expand(-1, batch.size, 2), -100.0 * (cells != 1).expand(-1, batch.size)

    monkeypatch.setattr(glimpse_draws, "draw_locations", draw)
    for view, cell in (("posterior", 1), ("guide", 0)):
        asked.clear()
        _, *lines = scene_run.align(scenes, of=view, draws=3)
        assert asked == {3}
        assert {line.split("\t")[4] for line in lines} == {f"{20 * cell + 10:.1f}"}


def test_the_posterior_file(scene_run: OpenedRun, scenes: SelectedImages, tmp_path: Path) -> None:
    out = tmp_path / "posterior.nc"
    succeed("posterior", scene_run.path, "--out", out, "--draws", "6", "--limit", "9")
    with xr.open_datatree(out, engine="h5netcdf") as tree:
        assert dict(tree["posterior"].sizes) == {"chain": 1, "draw": 6, "image": 9, "glimpse": 2}
        assert tree["posterior"]["image"].values.tolist() == [f"test/{index}" for index in range(9)]
        assert set(tree["posterior"]["y"].values.round(3).flat) <= {10.0, 30.0, 50.0}
        labels = tree["observed_data"]["label_number"].values.tolist()
        assert labels == scenes.part.labels[:9].tolist()
        np.testing.assert_allclose(tree["prediction"]["probability"].values.sum(-1), 1, atol=1e-5)
        assert tree.attrs["model"] == MODEL


@torch.no_grad()
def test_predictions_of_the_posterior_file_have_not_heard_the_label(
    scene_run: OpenedRun, scenes: SelectedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = scene_run.programs.model
    drawn = torch.randint(9, (4, 1, 2), generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(
        type(model),
        "sample_locations",
        lambda self, pixels, draws=1: drawn[:draws].expand(-1, len(pixels), -1),
    )
    tree = scene_run.posterior(scenes, draws=4)
    for row, index in enumerate(scenes.indices):
        pixels = scenes.part.read([index]).pixels
        p = torch.stack([model.labels(pixels, of_draw)[0, -1].exp() for of_draw in drawn]).mean(0)
        np.testing.assert_allclose(tree["prediction"]["probability"].values[row], p.numpy(), atol=1e-5)


def test_an_image_is_shown_alike_whatever_is_asked_with_it(scene_run: OpenedRun) -> None:
    def shown(view: str, *words: str) -> list[str]:
        return succeed("align", scene_run.path, "--of", view, *words).splitlines()

    for view in ("prior", "guide", "posterior"):
        assert shown(view)[: 1 + 2 * 5] == shown(view, "--limit", "5")
    scenes = scene_run.select()
    figure = scene_run.plot("test/4", items=scenes)["test-4"]
    lines = [line.split("\t") for line in shown("prior")[9:11]]
    assert {cells[0] for cells in lines} == {"test/4"}
    drawn = [(y, x) for x, y in (text.get_position() for text in figure.axes[0].texts)]
    assert drawn == [(float(cells[3]), float(cells[4])) for cells in lines]
    all_of_them, some = (
        scene_run.posterior(images, draws=3, seed=2) for images in (scenes, scene_run.select(limit=5))
    )
    guided = [line.split("\t")[3:5] for line in scene_run.align(scenes, of="guide", draws=3, seed=2)[1:]]
    first = [all_of_them["posterior"][axis].values[0, 0].reshape(-1) for axis in "yx"]
    assert guided == [[f"{y:.1f}", f"{x:.1f}"] for y, x in zip(*first, strict=True)]
    for group in ("posterior", "prediction"):
        xr.testing.assert_allclose(
            all_of_them[group].to_dataset().isel(image=slice(5)), some[group].to_dataset()
        )


def test_weights_of_the_posterior_are_log_p_minus_log_q(scene_run: OpenedRun, scenes: SelectedImages) -> None:
    tree = scene_run.posterior(scenes, draws=3, seed=1)
    batch = scene_run.batch(scenes)
    model: Any = scene_run.programs.model
    rows = torch.arange(batch.size)
    for k in range(3):
        at = torch.stack([torch.from_numpy(tree["posterior"][axis].values[0, k]) for axis in "yx"], -1)
        cell = (at / 20).long()
        locations = cell[..., 0] * 3 + cell[..., 1]

        def log_density(reader: Any, locations: Tensor = locations) -> Tensor:
            logits = reader.parameters(locations).detach().clone()
            for g in range(1, locations.shape[-1]):  # no two glimpses are at one location
                for earlier in range(g):
                    logits[rows, g, locations[:, earlier]] = -torch.inf
            return logits.log_softmax(-1).gather(-1, locations.unsqueeze(-1)).sum((-1, -2))

        log_p = log_density(model.reader(batch.source))
        log_p = log_p + model.labels(batch.source, locations)[rows, :, batch.target].mean(-1)
        guide: Any = scene_run.programs.guide
        known = torch.cat([guide.context(batch.source), guide.embedding(batch.target)], -1)
        reader = GlimpseReader(
            batch.source, guide.sensor, guide.space, guide.network, guide.core, guide.head, guide.clue(known)
        )
        expected = log_p - log_density(reader)
        np.testing.assert_allclose(
            tree["sample_stats"]["log_weight"].values[0, k], expected.detach().numpy(), atol=1e-4
        )
    again = scene_run.posterior(scenes, draws=3, seed=1)
    xr.testing.assert_equal(tree["posterior"].to_dataset(), again["posterior"].to_dataset())


def test_pictures_of_several_images_or_of_named_ones(
    scene_run: OpenedRun, scenes: SelectedImages, tmp_path: Path
) -> None:
    ((name, figure),) = scene_run.plot("test/3", items=scenes).items()
    assert name == "test-3"
    image, beliefs = figure.axes
    # Two windows of two glimpses, an arrow, and where the digit is.
    assert len(image.patches) == 2 * 2 + 1 + 1
    assert len(beliefs.lines) == 10


def test_pictures_have_the_colours_of_photographs(tmp_path: Path) -> None:
    data = tmp_path / "photographs"
    for place in range(30):
        for label in ("cat", "dog"):
            colour = (8 * place, 0, 255 if label == "dog" else 0)
            write_picture(data / label / f"{place}.png", colour, (10, 8))
    out = tmp_path / "run"
    succeed(*command(data, out, "--guide", "prior", "--objective", "rloo"))
    run = open_run(out, "cpu")
    assert run.description.size == [3, 8, 10]
    images = run.select()
    (figure,) = run.plot(items=images, count=1).values()
    assert figure.axes[0].images[0].get_array().shape == (8, 10, 3)
    named = [line.split("\t")[:2] for line in succeed("align", out).splitlines()[1::2]]
    assert all((data / name).is_file() and name.startswith(f"{label}/") for name, label in named)
    (path,) = succeed("plot", out, "--source", named[1][0], "--source", named[1][0]).splitlines()
    assert Path(path).name == named[1][0].replace("/", "-").replace(".", "-") + ".png"
    assert "hit" not in run.evaluate(images)  # nobody knows where one has to look


def test_other_data(run: OpenedRun, folder: Path, tmp_path: Path) -> None:
    assert len(run.select(str(folder), "train", 3).indices) == 3
    other = write_idx(tmp_path / "larger", side=16)
    for data, why in ((other, "size"), (write_idx(tmp_path / "few", train=12, test=5, side=12), "")):
        if why:
            assert "this run was trained on [1, 12, 12]" in fail(3, "evaluate", run.path, "--data", data)
        else:
            succeed("evaluate", run.path, "--data", data)
    nothing = SelectedImages(held(3, side=12), [], [], tuple("0123456789"))
    with pytest.raises(DataError, match="no images"):
        run.evaluate(nothing)
    with pytest.raises(DataError, match="no images"):
        run.batch(nothing)
    two = LabelledImages("two", *[held(24, side=12)] * 3, ("0", "1"))
    with pytest.raises(DataError, match="classes"):
        dataclasses.replace(run, data=two).select()


def test_glimpses_that_cannot_be_are_refused_before_anything_is_trained(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    message = fail(2, *command(folder, out, "--set", "network.side=13"))
    assert "network.side" in message
    assert "13 pixels" in message
    assert "12 by 12" in message
    message = fail(2, *command(folder, out, "--set", "network.cells=2", "--set", "network.glimpses=5"))
    assert "5 glimpses cannot be at different ones of 4 places" in message
    for words in (("windows=5",), ("windows=3", "scales=3")):
        message = fail(2, *command(folder, out, *(f"--set=network.{word}" for word in words)))
        assert "network.windows and network.scales: the widest window of 64 pixels is more than 4" in message
    assert "network.windows: " in fail(2, *command(folder, out, "--set", "network.windows=40"))
    succeed(*command(folder, out, "--set", "network.windows=4", "--dry-run"))
    assert not out.exists()


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    assert "did you mean 'translated-mnist'" in fail(2, *command("translated-mnst", tmp_path / "run"))
    assert "no file or folder" in fail(2, *command("somewhere/else", tmp_path / "run"))
    (tmp_path / "file.txt").write_text("x")
    assert "a folder of images is wanted" in fail(3, *command(tmp_path / "file.txt", tmp_path / "run"))
    (tmp_path / "empty").mkdir()
    assert "empty" in fail(3, *command(tmp_path / "empty", tmp_path / "run"))


def test_bad_images_are_refused_with_the_name_of_the_file(tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    for label in ("cat", "dog"):
        for place in range(30):
            write_picture(mixed / label / f"{place}.png", place, (10, 8), "L")
    write_picture(mixed / "dog" / "odd.png", 3, (10, 9), "L")
    refused = fail(3, *command(mixed, tmp_path / "run"))
    assert "odd.png: has 10 x 9 pixels" in refused
    assert "--set data.side=8" in refused

    cut = write_idx(tmp_path / "cut", side=12)
    path = cut / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-5])
    assert path.name in fail(3, *command(cut, tmp_path / "run"))

    outside = write_idx(tmp_path / "outside", side=12)
    path = outside / "t10k-labels-idx1-ubyte"
    path.write_bytes(idx_bytes(np.array([11] * 10, np.uint8)))
    message = fail(3, *command(outside, tmp_path / "run"))
    assert path.name in message
    assert "label 0 is 11" in message

    packed = write_idx(tmp_path / "packed", side=12, compressed=True)
    path = packed / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(b"nothing")[:-4])
    assert path.name in fail(3, *command(packed, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("wrong", [{"classes": []}, {"size": [1, 12]}, {"size": [1, 0, 12]}, {"size": "1"}])
def test_a_description_that_cannot_be_is_refused(run: OpenedRun, wrong: dict[str, Any]) -> None:
    stored = run.description.model_dump(mode="json")
    assert set(stored) == {"classes", "size", "fingerprint"}
    assert ImagesDescription.model_validate(stored) == run.description
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        ImagesDescription.model_validate({**stored, **wrong})


def test_a_datum_is_called_by_its_class(run: OpenedRun) -> None:
    batch = run.batch(run.select(limit=2))
    assert run.family.label(run.description, batch, 1) == "an image of class '1'"


def test_the_run_s_own_objective_is_measured_with_its_own_options(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"particles": 6, "train_guide": False, "control_variates": True}
    words = [word for name, value in own.items() for word in settings({"inference": {name: value}})]
    out = tmp_path / "run"
    succeed(*command(folder, out, "--guide", "prior", "--objective", "rws", *words))
    seen: dict[str, Any] = {}
    build = catalogue.build

    def watched(spec: ObjectiveSpec, options: Mapping[str, Any]) -> Any:
        seen[spec.kind.name] = options
        return build(spec, options)

    monkeypatch.setattr(catalogue, "build", watched)
    compare = ["compare", "gradients", out, "--limit", "2", "--draws", "20", "--out", tmp_path / "g.png"]
    succeed(*compare, "--objectives", "rws,vimco")
    assert own.items() <= seen["rws"].items()
    assert seen["vimco"]["particles"] == 4
    succeed(*compare, "--objectives", "rws,elbo", "--particles", "3", "--force")
    assert {**own, "particles": 3}.items() <= seen["rws"].items()
    assert "elbo" in succeed(*compare, "--objectives", "elbo", "--particles", "1", "--force")
    assert seen["elbo"] == {"particles": 1, "baseline": "average"}


def stripes(count: int, key: str) -> tuple[Tensor, Tensor]:
    """16 x 16 pixels: in one of four corners 8 x 8 of stripes, lying (0) or standing (1)."""
    label, corner = integers(uniforms(f"{key} label", count), 0, 1), integers(uniforms(key, count), 0, 3)
    images = torch.zeros(count, 16, 16, dtype=torch.uint8)
    for number in range(count):
        top, left = 8 * (int(corner[number]) // 2), 8 * (int(corner[number]) % 2)
        part = torch.zeros(8, 8, dtype=torch.uint8)
        part[::2] = 255
        images[number, top : top + 8, left : left + 8] = part.T if label[number] else part
    return images, torch.from_numpy(label)


def test_stripes_are_found_and_named(tmp_path: Path) -> None:
    # The image in small says where stripes are, being grey there, but not which way they run. One glimpse at
    # random would miss them in three images of four: wrong labels for 3/8.
    data = tmp_path / "stripes"
    data.mkdir()
    for part, count in (("train", 528), ("t10k", 200)):
        for name, array in zip(("images-idx3", "labels-idx1"), stripes(count, part), strict=True):
            (data / f"{part}-{name}-ubyte").write_bytes(idx_bytes(array.numpy().astype(np.uint8)))
    sizes = {"glimpses": 1, "side": 8, "windows": 1, "cells": 2, "context": 4}
    small = dict.fromkeys(("hidden", "features", "head"), 16)
    layers: list[dict[str, Any]] = [
        {"model": MODEL, "data": {"name": str(data)}, "device": "cpu", "network": {**sizes, **small}},
        {"objective": "rloo", "guide": "prior"},
        {"optimiser": {"learning_rate": 0.02, "average": 0.9, "warmup_steps": 10}},
        {"training": {"batch_size": 32, "max_epochs": 10}},
    ]
    _, figures = run_in_folder(
        resolve(layers), tmp_path / "run", resume=False, force=False, report=lambda text: None
    )
    assert figures["error"] < 0.05
    assert figures["entropy_policy"] < 0.1 < 1.2 < figures["entropy"]  # surely, and elsewhere for every image


def test_the_family_names_what_it_offers() -> None:
    assert "glimpse" in succeed("models")
    assert "RAM" in succeed("guides", "--model", MODEL)
    assert GlimpseFamily.data_sets[0] == corpora.DEFAULT
    assert "translated-mnist" in hardpp("train", "--model", MODEL, "--help").stdout
