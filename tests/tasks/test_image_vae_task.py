"""Images with codes from the command line: two stages, figures by brute force, completions, refusals."""

from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from corpora import fail, metrics, settings, succeed
from image_files import write_idx
from safetensors.torch import load_file
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.models.image_vae import ImageVAE
from hardpp.runs.folder import open_run
from hardpp.tasks.image_vae.data import SeenAtRandom
from hardpp.tasks.image_vae.family import ImageVAEFamily
from hardpp.tasks.image_vae.run import ImageVAERun
from hardpp.tasks.labelled_images import ImagesDescription
from hardpp.tasks.random_places import places_of

TINY: dict[str, Any] = {
    "network": {
        **{"glimpses": 2, "patch": 4, "cells": 3, "code": 3, "components": 2, "planes": [4, 4]},
        **{"hidden": 8},
    },
    "training": {"batch_size": 8, "log_every": 1, "max_steps": 3},
    "optimiser": {"warmup_steps": 1},
    "decoding": {"particles": 2, "draws": 3, "completed": 4},
}


def command(data: Path, out: Path, *more: str) -> list[str]:
    words = ["train", "--model", "image-vae", "--data", str(data), "--out", str(out), "--device", "cpu"]
    return [*words, *settings(TINY), *more]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_idx(tmp_path_factory.mktemp("data") / "idx", side=12)


@pytest.fixture(scope="module")
def path(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of both stages, as they are by default."""
    out = tmp_path_factory.mktemp("run") / "run"
    succeed(*command(folder, out))
    return out


@pytest.fixture(scope="module")
def run(path: Path) -> ImageVAERun:
    opened = open_run(path, "cpu")
    assert isinstance(opened, ImageVAERun)
    return opened


@pytest.fixture(scope="module")
def autoencoder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the first stage alone."""
    out = tmp_path_factory.mktemp("vae") / "run"
    succeed(*command(folder, out, "--set", "stages=vae"))
    return out


def weights(path: Path) -> dict[str, Tensor]:
    folder = path / "checkpoints" / (path / "checkpoints" / "best").read_text().strip()
    return load_file(folder / "model.safetensors")


def test_the_second_stage_leaves_decoder_and_encoder_as_the_first_left_them(
    path: Path, autoencoder: Path
) -> None:
    assert list(dict.fromkeys(record["stage"] for record in metrics(path))) == ["vae", "completion"]
    both, first = weights(path), weights(autoencoder)
    kept = [name for name in both if not name.startswith("model.prior.")]
    assert sorted(kept) == sorted(first)
    assert {name.split(".")[0] for name in kept} == {"model", "guide"}
    assert all(torch.equal(both[name], first[name]) for name in kept)


def test_the_dev_bound_of_the_second_stage_is_the_encoders_codes_under_the_partial_encoder(
    path: Path, run: ImageVAERun
) -> None:
    (batch,) = ImageVAEFamily().dev_batches(run.config, run._load(None, print), run.description)
    with torch.no_grad():
        torch.manual_seed(0)
        code = run.programs.guide(batch)
        expected = run.programs.model.codes(batch.source, batch.seen).log_prob(code).mean()
    record = [record for record in metrics(path) if record["split"] == "dev" and record.get("best")][-1]
    assert record["bound"] == pytest.approx(float(expected), rel=1e-5)


@torch.no_grad()
def test_completions_are_judged_as_by_hand(run: ImageVAERun) -> None:
    items = run.select(limit=4)
    many = run.evaluate(items, draws=400)
    assert many["completed"] == many["images"] == 4
    batch, (model, guide) = run.batch(items), run.programs
    places = places_of(run.network.grid(run.description), items.indices, 2, 0)
    truth = batch.source / 255
    for patches in range(3):
        seen = run.network.grid(run.description).seen(places[:, :patches])
        codes = model.codes(batch.source, seen)
        torch.manual_seed(1)
        images = model.pixels(codes.sample((400,))).mean / 255
        unseen = ~seen.unsqueeze(1)
        errors = ((images - truth).square() * unseen).sum((-3, -2, -1)) / unseen.sum((-3, -2, -1))
        mean = ((images.mean(0) - truth).square() * unseen).sum((-3, -2, -1)) / unseen.sum((-3, -2, -1))
        assert many[f"mse_{patches}"] == pytest.approx(float(mean.mean()), rel=0.02)
        assert many[f"best_{patches}"] == pytest.approx(float(errors.min(0).values.mean()), rel=0.02)
        log_q = codes.log_prob(guide.codes(batch.source).sample((2000,))).mean()
        assert many[f"log_q_{patches}"] == pytest.approx(float(log_q), abs=1.5)
    assert many["mse"] == pytest.approx(np.mean([many[f"mse_{patches}"] for patches in range(3)]))


@torch.no_grad()
def test_bits_are_of_a_standard_normal_prior_whichever_the_model_has(run: ImageVAERun) -> None:
    items = run.select(limit=4)
    found = run.evaluate(items, particles=3000)
    batch, (model, guide) = run.batch(items), run.programs
    code = guide.codes(batch.source).sample((3000,))
    log_w = model.pixels(code).log_prob(batch.source).sum((-3, -2, -1))
    log_w = log_w + model.standard.log_prob(code) - guide.codes(batch.source).log_prob(code)
    bound = (log_w.logsumexp(0) - log(3000)).mean()
    assert found["bound"] == pytest.approx(float(bound), abs=0.5)
    assert found["bits"] == pytest.approx(-found["bound"] / (144 * log(2)))


def test_an_image_is_judged_alike_whichever_others_are_there(run: ImageVAERun) -> None:
    items = run.select(limit=3)
    (last,) = [items[2:]]
    assert torch.equal(run.batch(items).seen[2:], run.batch(last).seen)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_run_completes_images(run: ImageVAERun, weighted: bool) -> None:
    completion, batch = run.completion(7, weighted=weighted), run.batch(run.select(limit=2))
    image, seen = batch.source[0], batch.seen[0]
    found = completion.complete(image, seen, seed=1)
    assert found.pixels.shape == (7, 1, 12, 12)
    assert (found.pixels[:, :, seen] == image[:, seen]).all()
    assert (found.log_weights == 0).all() != weighted
    if weighted:
        torch.manual_seed(1)
        model: Any = run.programs.model
        with torch.no_grad():
            codes = model.codes(image.unsqueeze(0), seen.unsqueeze(0))
            code = codes.sample((7,))
            agrees = (model.pixels(code[:, 0]).log_prob(image) * seen).sum((1, 2, 3))
            expected = model.standard.log_prob(code[:, 0]) + agrees - codes.log_prob(code)[:, 0]
        torch.testing.assert_close(found.log_weights, expected.double(), atol=1e-3, rtol=1e-5)
    nothing = torch.zeros_like(seen)
    blank = [completion.complete(each, nothing, 1) for each in batch.source]
    assert torch.equal(blank[0].pixels, blank[1].pixels)
    assert torch.equal(blank[0].log_weights, blank[1].log_weights)


def test_a_run_without_a_partial_encoder_has_bits_and_completes_nothing(autoencoder: Path) -> None:
    opened = open_run(autoencoder, "cpu")
    assert set(opened.evaluate()) == {"bits", "bound", "images", "step"}
    assert "it has no partial encoder" in fail(2, "plot", autoencoder, "--out", autoencoder / "plots")
    assert isinstance(opened, ImageVAERun)
    with pytest.raises(UsageError, match="it has no partial encoder"):
        opened.completion()


def test_sleep_trains_a_partial_encoder_on_dreams_and_leaves_the_model(
    folder: Path, autoencoder: Path, tmp_path: Path
) -> None:
    words = ["--set", "stages=completion", "--init-from", str(autoencoder), "--set", "network.prior=standard"]
    words += ["--guide", "partial-encoder", "--objective", "rws"]
    succeed(*command(folder, tmp_path / "run", *words))
    opened, before = open_run(tmp_path / "run", "cpu"), weights(autoencoder)
    assert (opened.config.objective, opened.config.inference["insomnia"]) == ("rws", 0.0)
    after = weights(tmp_path / "run")
    kept = [name for name in before if name.startswith("model.decoder.")]
    assert kept
    assert all(torch.equal(after[name], before[name]) for name in kept)
    figures = opened.evaluate()
    assert {"mse_0", "best_2"} <= figures.keys()
    assert "log_q" not in figures  # there is no encoder that knows better


def test_the_second_stage_can_be_trained_on_another_runs_first(
    folder: Path, autoencoder: Path, tmp_path: Path
) -> None:
    words = ["--set", "stages=completion", "--init-from", str(autoencoder)]
    succeed(*command(folder, tmp_path / "run", *words))
    after, before = weights(tmp_path / "run"), weights(autoencoder)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_what_is_refused(folder: Path, autoencoder: Path, tmp_path: Path) -> None:
    alone = ["--set", "stages=completion"]
    sleeping = tmp_path / "sleeping"
    succeed(*command(folder, sleeping, *alone, "--guide", "partial-encoder", "--objective", "rws"))
    cases: list[tuple[list[str], str]] = [
        (alone, "objective 'imitation' trains no guide: leave --guide out or give prior, not encoder"),
        ([*alone, "--init-from", str(sleeping)], "that run has no guide encoder"),
        (["--objective", "hybrid"], "hybrid rewards right predictions, and no grey value is predicted"),
        (["--objective", "gumbel"], "and a code is made of real numbers"),
        (["--set", "network.glimpses=10"], "network.glimpses: 10 glimpses cannot be at 9 places"),
        (["--set", "network.patch=13"], "network.patch: 13 pixels are more than the 12 of an image"),
        (["--set", "network.planes=[4,0]"], "network.planes.1: input should be greater than or equal to 1"),
    ]
    for words, sentence in cases:
        message = fail(2, *command(folder, tmp_path / "run", *words))
        assert sentence in message, message
        assert not (tmp_path / "run").exists()


def test_draws_of_codes_are_the_guides(run: ImageVAERun) -> None:
    items = run.select(limit=2)
    tree = run.posterior(items, draws=300)
    drawn = tree["posterior"]["code"]
    assert drawn.sizes == {"chain": 1, "draw": 300, "image": 2, "feature": 3}
    with torch.no_grad():
        codes = run.programs.guide.codes(run.batch(items).source)
    error = codes.base_dist.scale.numpy() / 300**0.5
    assert (np.abs(drawn.mean(("chain", "draw")).values - codes.mean.numpy()) < 5 * error).all()


def test_batches_of_an_epoch_are_seen_anew_and_by_the_seed(run: ImageVAERun) -> None:
    config, data = run.config, run._load(None, print)

    def seen(seed: int, epoch: int) -> Tensor:
        changed = config.model_copy(update={"seed": seed})
        makers = ImageVAEFamily().epoch_batches(changed, data, run.description)(epoch)
        return torch.cat([make().seen for make in makers])

    assert torch.equal(seen(0, 0), seen(0, 0))
    assert not torch.equal(seen(0, 0), seen(0, 1))
    assert not torch.equal(seen(0, 0), seen(1, 0))
    of_batches = SeenAtRandom(run.network.grid(run.description), 2, 0)
    pair = [of_batches.batch(data.train, range(4), 0, number).seen for number in (0, 1)]
    assert not torch.equal(*pair)


def test_grey_and_colour_of_several_sizes_can_be_built() -> None:
    family = ImageVAEFamily()
    for preset in family.presets.values():
        network = family.network(**preset.tables.get("network", {}))
        for size in ([1, 28, 28], [3, 64, 64], [1, 112, 112], [3, 128, 128]):
            parts = family.parts(network, ImagesDescription(classes=["a"], size=size, fingerprint="x"))
            assert isinstance(parts.model, ImageVAE)
            loc, scale = parts.model.decoder(torch.zeros(1, network.code))
            assert (list(loc.shape[1:]), list(scale.shape)) == (size, [size[0], 1, 1])


def test_arviz_draws_what_is_predicted_beside_what_was_seen(run: ImageVAERun) -> None:
    """It takes whole numbers with a sign only."""
    posterior = run.posterior(run.select(limit=1), draws=3)
    for group in ("observed_data", "posterior_predictive"):
        assert posterior[group]["pixels"].dtype.kind == "i"
        assert 0 <= int(posterior[group]["pixels"].min()) <= int(posterior[group]["pixels"].max()) <= 255
