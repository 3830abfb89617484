"""Saccader from the command line, on images made up here: figures image by image, data, refusals."""

import copy
import dataclasses
import itertools
import json
import math
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import arviz
import numpy as np
import pytest
import torch
import xarray as xr
from corpora import fail, hardpp, hashes, metrics, settings, succeed
from image_files import held, write_idx, write_picture
from matplotlib.patches import Rectangle
from saccaders import level, randomised
from torch import Tensor

from hardpp.data.images import corpora
from hardpp.data.images.labelled import LabelledImages
from hardpp.errors import DataError, UsageError
from hardpp.nn.place_scores import Central, OrderedLogits, Sobel
from hardpp.runs.folder import open_run
from hardpp.runs.session import Session
from hardpp.tasks import catalogue
from hardpp.tasks.configuration import resolve
from hardpp.tasks.family import Programs
from hardpp.tasks.labelled_images import ImagesDescription, SelectedImages
from hardpp.tasks.opened_run import OpenedRun
from hardpp.tasks.saccader import data as features
from hardpp.tasks.saccader import evaluation
from hardpp.tasks.saccader.family import SaccaderFamily
from hardpp.tasks.sizes import sizes

MODEL = "saccader"
NETWORK: dict[str, Any] = {
    "stem": 4,
    "planes": [4],
    "blocks": [1],
    "strides": [2],
    "wide": [1],
    "glimpses": 2,
}
TINY: dict[str, Any] = {
    "network": NETWORK,  # places see 5 x 5 pixels, 2 apart
    "training": {"batch_size": 8, "log_every": 1, "max_steps": 2},
    "optimiser": {"warmup_steps": 1},
}


def command(data: Path | str, out: Path, *more: str, side: int = 21) -> list[str]:
    words = ["train", "--model", MODEL, "--data", str(data), "--out", str(out), "--device", "cpu"]
    return [*words, *settings(TINY), "--set", f"data.side={side}", *more]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_idx(tmp_path_factory.mktemp("data") / "idx", side=21)


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> OpenedRun:
    """All three stages."""
    out = tmp_path_factory.mktemp("run") / "run"
    succeed(*command(folder, out))
    return open_run(out, "cpu")


@pytest.fixture(scope="module")
def scene_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenedRun]:
    """Of digits somewhere on 64 x 64 pixels, whose places are known."""
    root = tmp_path_factory.mktemp("fetched")
    write_idx(root / corpora.MNIST, train=48, test=12)
    out = root / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpora, "fetch", lambda name, report: root)
        succeed(*command("mnist-64", out, "--objective", "rws", side=64))
        yield open_run(out, "cpu")


@pytest.fixture(scope="module")
def dense_run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> OpenedRun:
    out = tmp_path_factory.mktemp("run") / "dense"
    succeed(*command(folder, out, "--set", "stages=representation"))
    return open_run(out, "cpu")


def shaken(run: OpenedRun) -> OpenedRun:
    """The run with any weights, in double precision, so that images are looked at differently."""
    run = open_run(run.path, "cpu")
    model, guide = randomised(run.programs.model), run.programs.guide
    bag, pixels = model.representation, run.batch(run.select()).source
    features, what, _ = bag(pixels)
    level(bag.readout, what, 1.5)
    for seed, program in enumerate((model, guide), start=1):
        if hasattr(program, "attention"):
            level(
                randomised(program.attention, seed).mix,
                torch.cat([program.attention.where(features), what], 1),
                2,
            )
    guide.double()
    return run


# --- counts as published --------------------------------------------------------------------------

COUNTS = {  # classes, the representation's parameters and statistics, those of the attention network
    "paper": (224, 1001, 20_574_249, 54_144, 14_949_376, 6_144),
    "small112": (112, 10, 930_218, 7_488, 935_680, 1_536),
    "tiny112": (112, 10, 234_970, 3_744, 234_368, 768),
    "small64": (64, 10, 790_954, 7_488, 935_680, 1_536),
    "tiny64": (64, 10, 200_154, 3_744, 234_368, 768),
}


@pytest.mark.parametrize("preset", COUNTS)
def test_counts_of_presets_as_published(preset: str) -> None:
    side, classes, *expected = COUNTS[preset]
    config = resolve([{"model": MODEL, "preset": preset}])
    assert config.data.side == side
    known = [str(number) for number in range(min(classes, 1000))]
    description = ImagesDescription(classes=known, size=[3, side, side], fingerprint="x")
    with torch.device("meta"):
        rows = sizes(SaccaderFamily(), config, description)
    found = {(row["stage"], row["module"]): [row["parameters"], row["statistics"]] for row in rows}
    own = {"model.representation": expected[:2], "model.attention": expected[2:]}
    assert found.pop(("representation", "model.representation")) == expected[:2]
    for stage in ("locations", "joint"):
        for module, counts in own.items():
            assert found.pop((stage, module)) == counts
    assert found == {}  # the guides have nothing of their own


def test_a_dry_run_prints_them_and_writes_nothing(folder: Path, tmp_path: Path) -> None:
    words = ["train", "--model", MODEL, "--data", folder, "--device", "cpu", "--set", "data.side=21"]
    wide = [*settings({"network": {**NETWORK, "stem": 16, "planes": [16]}}), "--out", tmp_path / "run"]
    shown = succeed(*words, *wide, "--dry-run", "--objective", "elbo", "--guide", "label-aware")
    head, *rows = [line.split() for line in shown.splitlines() if line]
    assert head == ["stage", "module", "parameters", "statistics"]
    trunk = (
        3 * 9 * 16 + 2 * 16 + 16 * 16 + 2 * 16 + 9 * 16 * 16 + 2 * 16 + 16 * 64 + 2 * 64 + 16 * 64 + 2 * 64
    )
    bag = trunk + 64 * 16 + 2 * 16 + 16 * 10 + 10
    statistics = 2 * (16 + 16 + 16 + 64 + 64 + 16)
    where = 64 * 32 + 2 * 32 + 9 * 32 * 32 + 2 * 32 + 32 * 16 + 2 * 16 + 9 * 16 * 16 + 2 * 16
    attention, moving = where + 32 * 16 + 16 + 16, 4 * 32 + 4 * 16
    expected = [["representation", "model.representation", bag, statistics]]
    for stage in ("locations", "joint"):
        expected.append([stage, "model.representation", bag, statistics])
        expected.append([stage, "model.attention", attention, moving])
    expected += [["joint", "guide.attention", attention, moving], ["joint", "guide.embedding", 160, 0]]
    expected += [["joint", "guide", 1, 0]]
    assert rows[:-1] == [[str(cell) for cell in row] for row in expected]
    assert rows[-1][0] == "dev"
    assert not (tmp_path / "run").exists()


# --- figures --------------------------------------------------------------------------------------


def walk(model: Any, pixels: Tensor, glimpses: int) -> list[int]:
    """The best place each time, one image."""
    memory = model.view(pixels).memory
    visited = torch.zeros(1, memory.shape[1], dtype=torch.bool)
    places: list[int] = []
    for _ in range(glimpses):
        p = model.attention(memory, visited)[0].softmax(-1)
        places.append(int(p.argmax()))
        visited[0, places[-1]] = True
    return places


def window(place: int, side: int) -> set[tuple[int, int]]:
    """The pixels that a place sees, of so many a side."""
    row, column = divmod(place, side)
    return window_at(2 * row, 2 * column)


def window_at(top: int, left: int) -> set[tuple[int, int]]:
    return {(y, x) for y in range(top, top + 5) for x in range(left, left + 5)}


def by_hand(run: OpenedRun, images: SelectedImages, glimpses: int) -> dict[str, float]:
    """All figures but those with random places, one image after the other."""
    model: Any = run.programs.model
    size = images.part.size[-1]
    side = (size - 5) // 2 + 1
    sums: Counter[str] = Counter()
    gaze: list[list[float]] = []
    for index in images.indices:
        shown, label = images.part.read([index]), int(images.part.labels[index])
        logits = model.representation(shown.pixels).logits[0]
        places = walk(model, shown.pixels, glimpses)
        sums["dense"] += int(logits.mean(0).argmax()) == label
        centres = [(2 * (p // side) + 2.5, 2 * (p % side) + 2.5) for p in places]
        painted, half = shown.pixels.clone(), (size**2 - 1) // 2
        colour = [sorted(channel.flatten().tolist())[half] for channel in shown.pixels[0]]
        seen: set[tuple[int, int]] = set()
        for g, place in enumerate(places, start=1):
            mean = logits[places[:g]].mean(0)
            sums[f"after_{g}"] += int(mean.argmax()) == label
            seen |= window(place, side)
            sums[f"classified_{g}"] += len(seen) / size**2
            for y, x in window(place, side):
                painted[0, :, y, x] = torch.tensor(colour)
            sums[f"occluded_{g}"] += int(model.representation(painted).logits[0].mean(0).argmax()) == label
            pairs = [math.dist(a, b) for a, b in itertools.combinations(centres[:g], 2)]
            sums[f"diversity_{g}"] += sum(pairs) / len(pairs) if pairs else 0.0
        sums["nll"] -= float(mean.log_softmax(-1)[label])
        sums["top5"] += label in mean.argsort(descending=True)[:5].tolist()
        gaze.append([at - size / 2 for centre in centres for at in centre])
        if shown.boxes is not None:
            left, top, right, bottom = shown.boxes[0].tolist()
            hits = [top <= y < bottom and left <= x < right for y, x in centres]
            sums["hit_first"] += hits[0]
            sums["hit"] += any(hits)
    N = len(images.indices)
    found = {name: value / N for name, value in sums.items()}
    for name in ("classified", "occluded", "diversity"):
        found[name] = found[f"{name}_{glimpses}"]
    found["accuracy"] = found[f"after_{glimpses}"]
    cosines = [
        abs(sum(x * y for x, y in zip(a, b, strict=True))) / math.hypot(*a) / math.hypot(*b)
        for a, b in itertools.combinations(gaze, 2)
    ]
    found["alike"] = sum(cosines) / len(cosines)
    return found


@torch.no_grad()
@pytest.mark.parametrize("glimpses", [None, 1, 5])
@pytest.mark.parametrize("kind", ["images", "scenes"])
def test_figures_are_those_of_the_images_taken_one_by_one(
    kind: str, glimpses: int | None, run: OpenedRun, scene_run: OpenedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    shook = shaken(run if kind == "images" else scene_run)
    images = shook.select()
    expected = by_hand(shook, images, glimpses or 2)
    options = {} if glimpses is None else {"glimpses": glimpses}
    for at_once in (100, 3):
        monkeypatch.setattr(evaluation, "AT_ONCE", at_once)
        figures = shook.evaluate(images, occlude=True, **options)
        for name, value in expected.items():
            assert figures[name] == pytest.approx(value, abs=1e-5), name
        beside = {"images", "step", "occluded_random"}
        beside |= {f"occluded_random_{g}" for g in range(1, (glimpses or 2) + 1)}
        assert set(figures) - set(expected) == beside
        assert figures["images"] == len(images.indices)
    assert ("hit" in expected) == (kind == "scenes")
    assert 0 < expected["accuracy"] < 1 or expected["dense"] > 0
    assert expected["alike"] < 0.999


@torch.no_grad()
def test_policies_that_are_compared(run: OpenedRun) -> None:
    shook = shaken(run)
    images, model = shook.select(), shook.programs.model
    batch: Any = shook.batch(images)
    bag: Any = model.representation
    orders = {
        "ordered-logits": OrderedLogits(bag),
        "centre": Central(bag.field),
        "sobel-mean": Sobel(bag.field, "mean"),
        "sobel-variance": Sobel(bag.field, "variance"),
    }
    logits, found = bag(batch.source).logits, {}
    for name, scores in orders.items():
        order = scores(batch.source, batch.target).argsort(dim=-1, descending=True)[:, :3]
        mean = torch.stack([logits[b, order[b]].mean(0) for b in range(batch.size)])
        nll = -mean.log_softmax(-1)[torch.arange(batch.size), batch.target].mean()
        found[name] = shook.evaluate(images, policy=name, glimpses=3)["nll"]
        assert found[name] == pytest.approx(float(nll), abs=1e-5)
    for name in ("learned", "random"):
        found[name] = shook.evaluate(images, policy=name, glimpses=3)["nll"]
    assert len({round(value, 6) for value in found.values()}) == 6
    assert shook.evaluate(images, policy="random", seed=1) != shook.evaluate(images, policy="random", seed=2)
    assert (
        shook.evaluate(images, policy="random", seed=1)["nll"]
        == shook.evaluate(images, policy="random", seed=1)["nll"]
    )


@torch.no_grad()
def test_ordered_logits_at_test_have_not_heard_the_label(run: OpenedRun) -> None:
    shook = shaken(run)
    images = shook.select()
    decoded = shook.decode(images, policy="ordered-logits")
    other = copy.copy(images.part)
    object.__setattr__(other, "labels", (images.part.labels + 1) % 10)
    assert shook.decode(dataclasses.replace(images, part=other), policy="ordered-logits") == decoded


def test_places_may_be_drawn(run: OpenedRun) -> None:
    images = run.select()
    best, one, again, other = (
        run.evaluate(images, **options)["diversity"]
        for options in ({}, {"draw": True}, {"draw": True}, {"draw": True, "seed": 3})
    )
    assert one == again
    assert len({best, one, other}) == 3


def test_all_places_may_be_visited_but_no_more(run: OpenedRun) -> None:
    images = run.select(limit=3)
    figures = run.evaluate(images, glimpses=81)
    assert figures["classified"] == pytest.approx(1)  # 5 + 2 * 8 pixels
    assert figures["accuracy"] == figures["dense"]
    for question in (run.evaluate, run.decode):
        with pytest.raises(UsageError, match="82 glimpses cannot be at 81 places"):
            question(images, glimpses=82)
    assert "82 glimpses cannot be at 81 places" in fail(2, "decode", run.path, "--glimpses", "82")


def test_classes_that_the_data_do_not_have_are_no_answer(folder: Path, tmp_path: Path) -> None:
    """A readout may have more of them, as that of the paper has."""
    succeed(*command(folder, tmp_path / "run", "--set", "network.classes=13", "--set", "stages=joint"))
    opened = open_run(tmp_path / "run", "cpu")
    model: Any = opened.programs.model
    assert model.representation.readout.out_channels == 13
    with torch.no_grad():
        model.representation.readout.bias[10:] = 50.0
    images = opened.select()
    texts = [text for _, text in opened.decode(images)]
    assert set(texts) <= set(images.classes)
    labels = [images.classes[int(images.part.labels[index])] for index in images.indices]
    right = sum(text == label for text, label in zip(texts, labels, strict=True)) / len(labels)
    figures = opened.evaluate(images, occlude=True)
    assert figures["accuracy"] == figures["after_2"] == pytest.approx(right)
    assert figures["top5"] > 0
    assert figures["nll"] > 40  # the probability goes where it goes
    lines = [line.split("\t") for line in opened.align(images)][1:]
    assert {line[5] for line in lines} <= set(images.classes)
    assert opened.posterior(images, draws=3)["prediction"].sizes["label"] == 13


# --- what a run answers ---------------------------------------------------------------------------


@torch.no_grad()
def test_align_has_a_line_a_glimpse(scene_run: OpenedRun) -> None:
    shook = shaken(scene_run)
    images, model = shook.select(), shook.programs.model
    header, *lines = shook.align(images, of="prior")
    assert header.split("\t") == ["image", "label", "glimpse", "y", "x", "prediction", "probability"]
    expected = []
    for index in images.indices:
        pixels = images.part.read([index]).pixels
        places = walk(model, pixels, 2)
        logits = model.representation(pixels).logits[0]  # type: ignore[operator,union-attr]
        label = images.classes[int(images.part.labels[index])]
        for g, place in enumerate(places, start=1):
            p = logits[places[:g]].mean(0).softmax(-1)
            point = [f"{2 * at + 2.5:.1f}" for at in divmod(place, 30)]
            best = int(p.argmax())
            expected.append([f"test/{index}", label, str(g), *point, images.classes[best], f"{p[best]:.4f}"])
    assert [line.split("\t") for line in lines] == expected


def test_views_of_the_guide_and_the_posterior(scene_run: OpenedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    shook = shaken(scene_run)
    images = shook.select()
    views = {of: shook.align(images, of=of) for of in ("prior", "guide", "posterior")}
    assert len({tuple(lines) for lines in views.values()}) == 3
    assert {len(lines) for lines in views.values()} == {1 + 2 * len(images.indices)}
    for of, lines in views.items():
        assert lines[: 1 + 2 * 4] == shook.align(shook.select(limit=4), of=of)


def test_of_several_draws_the_heaviest_is_the_posterior_s(
    run: OpenedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And that of the guide is a draw of its own."""
    from hardpp.tasks.saccader import posterior

    asked: list[int] = []
    tables = posterior.weight_tables

    def weighed(model: Any, guide: Any, image: Any, draws: int, at_once: int) -> Any:
        asked.append(draws)
        (table,) = tables(model, guide, image, draws, at_once)
        chosen = table.log_weights.clone().fill_(-torch.inf)
        chosen[-1] = 0.0
        yield Weighed(table, chosen)

    class Weighed:
        def __init__(self, table: Any, log_weights: Tensor):
            self.latents, self.log_q, self.log_weights = table.latents, table.log_q, log_weights

    monkeypatch.setattr(posterior, "weight_tables", weighed)
    image: Any = run.batch(run.select(limit=1))
    for draws in (1, 7):
        torch.manual_seed(0)
        best = posterior.one_draw(run.programs.model, run.programs.guide, image, draws, "posterior")
        torch.manual_seed(0)
        (table,) = tables(run.programs.model, run.programs.guide, image, draws, draws)
        assert torch.equal(best[0], posterior.places_of(table)[-1, 0])
    assert asked == [1, 7]


def test_the_posterior_file(scene_run: OpenedRun, tmp_path: Path) -> None:
    out = tmp_path / "posterior.nc"
    succeed("posterior", scene_run.path, "--out", out, "--draws", "6", "--limit", "5")
    with xr.open_datatree(out, engine="h5netcdf") as tree:
        assert {k: tree["posterior"].sizes[k] for k in ("chain", "draw", "image", "glimpse")} == {
            "chain": 1,
            "draw": 6,
            "image": 5,
            "glimpse": 2,
        }
        y, x = (tree["posterior"][axis].values for axis in "yx")
        assert not ((y[..., 0] == y[..., 1]) & (x[..., 0] == x[..., 1])).any()
        assert set(((y - 2.5) / 2 % 1).flat) == {0.0}
        np.testing.assert_allclose(tree["prediction"]["probability"].values.sum(-1), 1, atol=1e-5)
        labels = tree["observed_data"]["label_number"].values.tolist()
        assert labels == scene_run.select().part.labels[:5].tolist()
    loaded: Any = arviz.from_netcdf(out)
    assert loaded.posterior.sizes["draw"] == 6


@torch.no_grad()
def test_weights_of_the_posterior_are_log_p_minus_log_q(scene_run: OpenedRun) -> None:
    shook = shaken(scene_run)
    images = shook.select(limit=4)
    tree = shook.posterior(images, draws=3, seed=1)
    batch, (model, guide) = shook.batch(images), shook.programs
    at = torch.stack([torch.from_numpy(tree["posterior"][axis].values[0]) for axis in "yx"], -1)
    cell = ((at - 2.5) / 2).round().long()
    places = cell[..., 0] * 30 + cell[..., 1]  # (K, N, G)

    def walked(scores: Any, k: int, b: int) -> float:
        visited, total = torch.zeros(1, 900, dtype=torch.bool), 0.0
        for place in places[k, b].tolist():
            total += float(scores(visited)[0].log_softmax(-1)[place])
            visited[0, place] = True
        return total

    for k, b in itertools.product(range(3), range(4)):
        pixels, label = batch.source[b : b + 1], int(batch.target[b])
        view = model.view(pixels)  # type: ignore[operator]
        logits = view.places.logits[0]
        log_p = walked(lambda visited, memory=view.memory: model.attention(memory, visited), k, b)
        log_p += float(logits[places[k, b]].mean(0).log_softmax(-1)[label])
        known = guide.attention.memory(view.places.features, view.places.what)  # type: ignore[operator,union-attr]
        known = known + guide.embedding(torch.tensor([label]))  # type: ignore[operator]
        right = guide.gain * logits.log_softmax(-1)[:, label]
        log_q = walked(
            lambda visited, known=known, right=right: guide.attention(known, visited) + right, k, b
        )
        found = tree["sample_stats"]["log_weight"].values[0, k, b]
        assert found == pytest.approx(log_p - log_q, abs=1e-5)


def test_pictures(scene_run: OpenedRun) -> None:
    images = scene_run.select()
    ((name, figure),) = scene_run.plot("test/3", items=images).items()
    assert name == "test-3"
    image, masked, beliefs = figure.axes
    lines = [line.split("\t") for line in scene_run.align(images, of="prior")][1:]
    places = [(float(y), float(x)) for shown, _, _, y, x, *_ in lines if shown == "test/3"]
    drawn = [patch for patch in image.patches if isinstance(patch, Rectangle)]
    boxes = [(patch.get_y() + 2.5, patch.get_x() + 2.5) for patch in drawn]
    assert boxes[:-1] == places  # the last one is where the digit is
    painted = np.asarray(masked.images[0].get_array())
    inside = {pixel for y, x in places for pixel in window_at(int(y - 2.5), int(x - 2.5))}
    pixels = images.part.read([3]).pixels[0, 0].numpy()
    for y, x in itertools.product(range(64), repeat=2):
        if (y, x) in inside:
            assert painted[y, x].reshape(-1)[0] == pixels[y, x]
    assert len(beliefs.lines) > 0


# --- a run of the dense stage alone ---------------------------------------------------------------


@torch.no_grad()
def test_all_places_at_once(dense_run: OpenedRun) -> None:
    images = dense_run.select()
    model: Any = dense_run.programs.model
    figures = dense_run.evaluate(images, occlude=True)
    batch: Any = dense_run.batch(images)
    mean = model.representation(batch.source).logits.mean(1)
    right = float((mean.argmax(-1) == batch.target).double().mean())
    assert figures["accuracy"] == figures["dense"] == pytest.approx(right)
    nll = -mean.log_softmax(-1)[torch.arange(batch.size), batch.target].mean()
    assert figures["nll"] == pytest.approx(float(nll), abs=1e-5)
    assert set(figures) == {"accuracy", "dense", "top5", "nll", "images", "step"}
    assert [text for _, text in dense_run.decode(images)] == [images.classes[n] for n in mean.argmax(-1)]


@pytest.mark.parametrize(
    ("verb", "what"), [("align", "alignments"), ("posterior", "posterior"), ("plot", "plots")]
)
def test_what_a_dense_run_does_not_have(dense_run: OpenedRun, tmp_path: Path, verb: str, what: str) -> None:
    message = fail(2, verb, dense_run.path, "--out", tmp_path / "out")
    assert f"this run reads all places at once, so there are no {what}" in message
    assert "train its other stages" in message
    assert not (tmp_path / "out").exists()


# --- stages on features ---------------------------------------------------------------------------


def test_features_are_computed_once_and_are_the_same_in_any_company(
    run: OpenedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    images: Any = run.select(part="train").part
    network: Any = run.programs.model.representation
    counted: Counter[int] = Counter()
    compute = features.Features._computed

    def counting(self: Any, places: list[int]) -> Tensor:
        counted.update(places)
        return compute(self, places)

    monkeypatch.setattr(features.Features, "_computed", counting)
    one, other = features.Features(images, network), features.Features(images, network)
    expected = network.features(images.read(range(len(images))).pixels)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        order = torch.randperm(len(images), generator=generator)
        for places in order.split(7):
            found = one.read(places).pixels
            assert torch.equal(found, other.read(places.flip(0)).pixels.flip(0))
            torch.testing.assert_close(found, expected[places], rtol=0, atol=1e-5)
    assert set(counted.values()) == {2}  # once each
    assert torch.equal(one.read().pixels, other.read().pixels)
    assert (len(one), one.size, one.fingerprint()) == (len(images), images.size, images.fingerprint())


def test_features_beyond_memory_are_computed_anew(run: OpenedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    images: Any = run.select(part="train").part
    network: Any = run.programs.model.representation
    each = 4 * 16 * 9 * 9
    monkeypatch.setattr(features, "REMEMBERED", 5 * each + 3)
    kept = features.Features(images, network)
    expected = network.features(images.read(range(len(images))).pixels)
    for places in ([3, 20, 4], [20, 19], [0, 1, 2, 3, 4, 5]):
        torch.testing.assert_close(kept.read(places).pixels, expected[places], rtol=0, atol=1e-5)
    assert sum(block.nbytes for block in kept._kept.values()) == 5 * each


@pytest.mark.parametrize(
    "guide", ["ordered-logits", "centre", "random", "sobel-mean", "sobel-variance", "prior"]
)
def test_any_order_can_be_imitated(guide: str, folder: Path, tmp_path: Path) -> None:
    words = ["--set", f"stage.locations.guide={guide}", "--set", "stages=locations"]
    succeed(*command(folder, tmp_path / "run", *words))
    records = metrics(tmp_path / "run")
    assert [record["split"] for record in records] == ["train", "train", "dev"]
    assert all(math.isfinite(record["bound"]) for record in records)
    if guide == "random":  # -sum over places of log q, whatever the places: about those of a uniform policy
        assert records[-1]["bound"] < -math.log(81 * 80) + 0.5


# --- data -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of any size, by class."""
    root = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for part, count in (("train", 10), ("dev", 4), ("test", 4)):
        for label in ("cat", "dog"):
            for number in range(count):
                path = root / part / label / f"{number}.png"
                size = tuple(int(x) for x in draw.integers(24, 60, 2))
                write_picture(path, tuple(int(x) for x in draw.integers(0, 255, 3)), size)
    return root


def test_batches_made_ahead_are_the_same_run(pictures: Path, tmp_path: Path) -> None:
    words = ["--set", "training.max_steps=5", "--set", "training.batch_size=4"]
    for workers in (0, 2):
        out = tmp_path / str(workers)
        succeed(*command(pictures, out, *words, "--set", f"data.workers={workers}"))
    assert hashes(tmp_path / "0") == hashes(tmp_path / "2")
    assert metrics(tmp_path / "0") == metrics(tmp_path / "2")


def test_pictures_of_any_size_are_read_at_one(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    succeed(*command(pictures, out))
    opened = open_run(out, "cpu")
    assert opened.description.size == [3, 21, 21]
    named = [line.split("\t")[:2] for line in succeed("align", out).splitlines()[1::2]]
    assert named
    assert all((pictures / name).is_file() and f"/{label}/" in name for name, label in named)
    (figures,) = json.loads(succeed("evaluate", out, "--format", "json"))
    assert "hit" not in figures


def test_other_data(run: OpenedRun, folder: Path, tmp_path: Path) -> None:
    assert len(run.select(str(folder), "train", 3).indices) == 3
    other = write_idx(tmp_path / "larger", side=23)
    assert "trained on [1, 21, 21]" in fail(3, "evaluate", run.path, "--data", other)
    two = LabelledImages("two", *[held(24, side=21)] * 3, ("0", "1"))
    with pytest.raises(DataError, match="classes of images"):
        dataclasses.replace(run, data=two).select()
    small = LabelledImages("small", *[held(24, side=19)] * 3, tuple("0123456789"))
    with pytest.raises(DataError, match="size of images"):
        dataclasses.replace(run, data=small).select()


# --- bad input ------------------------------------------------------------------------------------

NETWORKS = {
    "smaller than a window": (
        ["network.strides=[4]", "network.blocks=[4]", "network.wide=[4]"],
        "a place of this network sees",
    ),
    "more glimpses than places": (
        ["network.glimpses=82"],
        "network.glimpses: 82 glimpses cannot be at 81 places",
    ),
    "more in one stage": (
        ["stage.locations.network.glimpses=82"],
        "network.glimpses: 82 glimpses cannot be at 81 places",
    ),
    "groups": (["network.planes=[4, 4]"], "networks have a number for every group: network.planes has 2"),
    "classes": (["network.classes=9"], "network.classes: 9, and the data have 10"),
    "frozen": (["stage.locations.training.frozen=['trunk']"], "the model has no module 'trunk' (there are: "),
    "nothing left": (["stage.representation.training.frozen=['representation']"], "nothing is left to train"),
}


@pytest.mark.parametrize("case", NETWORKS)
def test_networks_that_cannot_be_are_refused_before_anything_is_trained(
    case: str, folder: Path, tmp_path: Path
) -> None:
    given, sentence = NETWORKS[case]
    words = [word for setting in given for word in ("--set", setting)]
    message = fail(2, *command(folder, tmp_path / "run", *words))
    assert sentence in message
    assert not (tmp_path / "run").exists()


def test_images_that_are_not_square(tmp_path: Path) -> None:
    description = ImagesDescription(classes=["a"], size=[3, 21, 23], fingerprint="x")
    config = resolve([{"model": MODEL, "network": NETWORK}])
    with pytest.raises(UsageError, match="images are square and grey or in colour, not 3 x 21 x 23"):
        catalogue.programs(SaccaderFamily(), config.stages()[0], description)


def test_a_class_missing_from_validation(pictures: Path, tmp_path: Path) -> None:
    less = shutil.copytree(pictures, tmp_path / "less")
    shutil.rmtree(less / "dev" / "dog")
    words = command(less, tmp_path / "run")
    result = hardpp(*words)
    assert result.exit_code in (0, 3)
    assert "dog" in result.stderr  # handled and said, or refused by name
    if result.exit_code == 3:
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["broken", "mislabelled"])
def test_a_bad_file_is_named_and_left_out_only_on_demand(kind: str, pictures: Path, tmp_path: Path) -> None:
    bad = shutil.copytree(pictures, tmp_path / "bad")
    path = bad / "train" / "cat" / "odd.png"
    if kind == "broken":
        path.write_bytes((bad / "train" / "cat" / "0.png").read_bytes()[:60])
    else:
        path.write_text("this is no picture")
    message = fail(3, *command(bad, tmp_path / "run"))
    assert "odd.png" in message
    assert not (tmp_path / "run").exists()
    result = hardpp(*command(bad, tmp_path / "run", "--on-bad", "skip"))
    assert result.exit_code == 0, result.stderr
    assert "odd.png" in result.stderr


def test_session_and_programs_of_a_stage_are_of_its_own_network(folder: Path) -> None:
    config = resolve([TINY, {"model": MODEL, "data": {"name": str(folder), "side": 21}}])
    session = Session(config.stages()[1], lambda text: None)
    assert isinstance(session.programs, Programs)
    assert session.prepared.train.read([0, 1]).pixels.shape == (2, 16, 9, 9)
    assert session.data.train.read([0, 1]).pixels.shape == (2, 1, 21, 21)
    assert [batch.source.dtype for batch in session.dev] == [torch.float32]
