"""Sequences on record from the command line, on images made up here."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from corpora import fail, metrics, settings, succeed
from image_files import write_idx
from sequence_files import CELLS, PATCH, corners, header_of, write_sequences

import hardpp
from hardpp import sites
from hardpp.data.images import corpora
from hardpp.data.images.labelled import ImagePart
from hardpp.errors import UsageError
from hardpp.guides.replay import Replay
from hardpp.ops.receptive_field import ReceptiveField
from hardpp.runs.folder import open_run
from hardpp.runs.session import Session
from hardpp.tasks.configuration import resolve
from hardpp.tasks.saccader.replay import RecordedPlaces
from hardpp.types import ImageBatch

GLIMPSE: dict[str, Any] = {
    "network": {"glimpses": 2, "side": 4, "windows": 2, "cells": 3, "hidden": 8, "features": 8, "head": 8},
}
SACCADER: dict[str, Any] = {
    "data": {"side": 21},
    "network": {"stem": 4, "planes": [4], "blocks": [1], "strides": [2], "wide": [1], "glimpses": 2},
    "stages": ["joint"],
}
TRAINING: dict[str, Any] = {
    "training": {"batch_size": 8, "log_every": 1, "max_epochs": 2},
    "optimiser": {"warmup_steps": 1},
}
MODELS = {"glimpse": (GLIMPSE, 12), "saccader": (SACCADER, 21)}
TAUGHT = {f"train/{image}": image for image in (1, 4, 5, 9, 11, 30)}


def train_part(folder: Path, side: int) -> ImagePart:
    return corpora.corpus(str(folder), corpora.ImageOptions(side=side)).train


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Images of each model, and beside them sequences of three glimpses of six of them."""
    found = {}
    for model, (_, side) in MODELS.items():
        found[model] = write_idx(tmp_path_factory.mktemp(model) / "idx", side=side)
        write_sequences(found[model].parent / "sequences.txt", train_part(found[model], side), TAUGHT)
    return found


def command(model: str, folder: Path, out: Path, *more: str, sequences: str = "sequences.txt") -> list[str]:
    words = ["train", "--model", model, "--data", str(folder), "--out", str(out), "--device", "cpu"]
    words += settings({**MODELS[model][0], **TRAINING})
    words += ["--set", f"data.sequences={folder.parent / sequences}"] if sequences else []
    return [*words, *more]


def session(model: str, folder: Path, **more: Mapping[str, Any]) -> Session:
    data = {"name": str(folder), "sequences": str(folder.parent / "sequences.txt")}
    layers = [MODELS[model][0], TRAINING, {"model": model, "guide": "replay", "data": data}, more]
    return Session(resolve(layers), lambda text: None)


def test_a_grid_from_border_to_border_replays_its_own_places(folders: dict[str, Path]) -> None:
    own = {"places": "borders", "cells": CELLS, "side": PATCH, "glimpses": 3, "windows": 1}
    run = session("glimpse", folders["glimpse"], network=own)
    assert isinstance(run.programs.guide, Replay)
    header = header_of(train_part(folders["glimpse"], 12))
    batches = run.family.epoch_batches(run.config, run.prepared, run.description)
    for epoch in (0, 1):
        seen = 0
        for make in batches(epoch):
            batch = make()
            known = run.programs.guide.recorded(batch)
            if known is None:
                assert batch.recorded is None
                continue
            value, recorded = known[sites.LOCATION]
            for row in recorded.nonzero().flatten().tolist():
                image = _index(run, batch.source[row])
                centre, *_ = run.programs.model.space.locations(value[row])
                first = run.programs.model.sensor.corners(centre, None, 12, 12)[:, 0]
                assert [tuple(each) for each in first.tolist()] == corners(header, image)
                seen += 1
        assert seen == len(TAUGHT)


def _index(run: Session, pixels: torch.Tensor) -> int:
    """Which image to train on has these pixels."""
    every = run.data.train.read().pixels
    (index,) = (every == pixels).flatten(1).all(1).nonzero().flatten().tolist()
    return int(index)


def test_saccader_takes_the_nearest_places_and_none_twice(folders: dict[str, Path]) -> None:
    run = session("saccader", folders["saccader"])
    header, field = header_of(train_part(folders["saccader"], 21)), run.programs.model.representation.field
    along, seen = field.places(21), 0
    for make in run.family.epoch_batches(run.config, run.prepared, run.description)(1):
        batch = make()
        known = run.programs.guide.recorded(batch) or {}
        places = [known[sites.glimpse(g)] for g in (1, 2) if known]
        for row in places[0].recorded.nonzero().flatten().tolist() if places else []:
            taken: list[int] = []
            for (top, left), (value, recorded) in zip(
                corners(header, _index(run, batch.source[row])), places, strict=False
            ):
                apart = {}
                for place in range(along**2):
                    middle = [field.stride * at + field.side / 2 for at in divmod(place, along)]
                    wanted = [top + PATCH / 2, left + PATCH / 2]
                    apart[place] = sum((a - b) ** 2 for a, b in zip(middle, wanted, strict=True))
                free = {place: far for place, far in apart.items() if place not in taken}
                taken.append(int(value[row]))
                assert recorded[row]
                assert free[taken[-1]] == pytest.approx(min(free.values()))
            seen += 1
    assert seen == len(TAUGHT)


def test_a_place_that_is_taken_gives_way_to_the_nearest_that_is_left() -> None:
    """Windows of 5 pixels, 2 apart, have their middles at 2.5, 4.5, ... of 21 pixels, 9 along each side."""
    pixels = torch.tensor([[4.5, 4.5], [4.6, 4.5], [4.5, 4.6]])
    batch = ImageBatch(torch.zeros(2, 1, 21, 21), torch.zeros(2, dtype=torch.int64))
    nothing = torch.full((3, 2), torch.nan)
    batch = batch._replace(recorded=torch.stack([nothing, 2 * pixels / 21 - 1]))
    known = RecordedPlaces(ReceptiveField(5, 2), 21, 3)(batch)
    assert known is not None
    assert [known[sites.glimpse(g)].value[1].item() for g in (1, 2, 3)] == [10, 19, 11]
    assert all(each.recorded.tolist() == [False, True] for each in known.values())
    assert RecordedPlaces(ReceptiveField(5, 2), 21, 3)(batch._replace(recorded=None)) is None


@pytest.mark.parametrize("objective", ["rloo", "hybrid", "reinforce", "elbo", "vimco", "rws", "imitation"])
@pytest.mark.parametrize("model", MODELS)
def test_training(model: str, objective: str, folders: dict[str, Path], tmp_path: Path) -> None:
    words = ["--guide", "replay", "--objective", objective, "--set", "inference.supervision=2"]
    words += ["--set", "inference.supervision_steps=6", "--max-epochs", "1"]
    succeed(*command(model, folders[model], tmp_path / "run", *words))
    run = open_run(tmp_path / "run", "cpu")
    assert run.objective.supervision.weight == 2.0
    assert run.config.data.sequences == str(folders[model].parent / "sequences.txt")
    assert run.evaluate()["images"] == 10


@pytest.mark.parametrize("model", MODELS)
def test_what_is_recorded_changes_what_is_learnt_and_an_opened_run_needs_none(
    model: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    moved = tmp_path / "sequences.txt"
    moved.write_bytes((folders[model].parent / "sequences.txt").read_bytes())
    shared = ["--objective", "rloo", "--max-epochs", "1"]
    plain = [*command(model, folders[model], tmp_path / "plain", *shared, sequences=""), "--guide", "prior"]
    taught = command(model, folders[model], tmp_path / "taught", *shared, "--guide", "replay", sequences="")
    taught += ["--set", f"data.sequences={moved}"]
    succeed(*plain)
    said = succeed(*taught)
    assert said
    bounds = [[row.get("bound") for row in metrics(tmp_path / name)] for name in ("plain", "taught")]
    assert bounds[0] != bounds[1]
    marks = [json.loads((tmp_path / name / "data.json").read_text()) for name in ("plain", "taught")]
    assert marks[0]["fingerprint"] != marks[1]["fingerprint"]
    moved.unlink()
    figures = json.loads(succeed("evaluate", tmp_path / "taught", "--format", "json"))
    assert figures
    lines = succeed("align", tmp_path / "taught", "--of", "guide", "--limit", "2").splitlines()
    assert len(lines) == 1 + 2 * 2


def test_stages_without_the_guide_see_the_images_as_ever(folders: dict[str, Path]) -> None:
    own = {"stages": ["representation", "locations", "joint"], "guide": "replay"}
    data = {"name": str(folders["saccader"]), "sequences": str(folders["saccader"].parent / "sequences.txt")}
    tables = [SACCADER, TRAINING, {"model": "saccader", "data": data}, own]
    config = resolve(tables)
    parts = []
    for stage in config.stages():
        run = Session(stage, lambda text: None)
        parts.append(getattr(run.prepared.train, "recorded", None))
    assert [part is None for part in parts] == [True, True, False]


def test_frozen_features_have_sequences_too(folders: dict[str, Path]) -> None:
    more = {"objective": "imitation", "training": {"batch_size": 40, "frozen": ["representation"]}}
    run = session("saccader", folders["saccader"], **more)  # type: ignore[arg-type]
    (make,) = run.family.epoch_batches(run.config, run.prepared, run.description)(0)[:1]
    batch = make()
    assert batch.source.is_floating_point()
    assert batch.recorded is not None
    assert int((~batch.recorded.isnan().flatten(1).any(1)).sum()) == len(TAUGHT)


REFUSED: dict[str, tuple[int, list[str], str]] = {
    "no sequences": (
        2,
        ["--guide", "replay"],
        "guide 'replay' replays glimpse sequences, and data.sequences names no file of them",
    ),
    "another guide": (
        2,
        ["--guide", "prior", "--set", "data.sequences=FILE"],
        "data.sequences is for a guide that replays them, and guide 'prior' does not",
    ),
    "no guide": (
        2,
        ["--objective", "rloo", "--set", "data.sequences=FILE"],
        "data.sequences is for a guide that replays them, and guide 'prior' does not",
    ),
    "a limit of nothing": (
        2,
        ["--guide", "prior", "--set", "data.sequences_limit=3"],
        "data.sequences_limit is of data.sequences, which names no file",
    ),
    "a weight of nothing": (
        2,
        ["--guide", "prior", "--objective", "rloo", "--set", "inference.supervision=1"],
        "inference.supervision is the weight of sequences on record, and guide 'prior' replays none",
    ),
    "steps without a weight": (
        2,
        ["--guide", "replay", "--set", "data.sequences=FILE", "--set", "inference.supervision_steps=1"],
        "supervision_steps is for a weight that falls: give supervision, too",
    ),
    "longer than the sequences": (
        2,
        ["--guide", "replay", "--set", "data.sequences=FILE", "--set", "network.glimpses=4"],
        "network.glimpses: 4 glimpses, and the sequences on record have 3",
    ),
    "none of the images that are left": (
        3,
        ["--guide", "replay", "--set", "data.sequences=FILE", "--set", "data.train_limit=1"],
        "has no sequence of the first 1 images",
    ),
    "other images": (
        3,
        ["--guide", "replay", "--set", "data.sequences=OTHER"],
        "was made for images of fingerprint",
    ),
    "a missing file": (3, ["--guide", "replay", "--set", "data.sequences=MISSING"], "MISSING"),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_go_together(case: str, model: str, folders: dict[str, Path], tmp_path: Path) -> None:
    code, words, sentence = REFUSED[case]
    folder = folders[model]
    other = write_idx(tmp_path / "other", train=41, side=MODELS[model][1])
    files = {
        "FILE": str(folder.parent / "sequences.txt"),
        "OTHER": str(
            write_sequences(tmp_path / "other.txt", train_part(other, MODELS[model][1]), {"train/0": 0})
        ),
    }
    for name, path in files.items():
        words = [word.replace(f"={name}", f"={path}") for word in words]
    said = fail(code, *command(model, folder, tmp_path / "run", *words, sequences=""))
    assert sentence in " ".join(said.split())


@pytest.mark.parametrize("objective", ["exact", "enum", "soft", "disarm", "unordered-set", "gumbel", "rebar"])
@pytest.mark.parametrize("model", MODELS)
def test_objectives_that_sum_or_mix_are_refused(
    model: str, objective: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    words = ["--guide", "replay", "--objective", objective]
    said = fail(2, *command(model, folders[model], tmp_path / "run", *words))
    assert f"{objective} sums over latents or mixes them" in " ".join(said.split())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (["cells=10", "places=borders"], "network.cells: windows of 4 pixels have 9 places from border"),
        (["space=continuous", "places=borders"], "network.places: borders is of a grid"),
    ],
)
def test_places_that_are_not_there(
    network: list[str], sentence: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    words = [word for each in network for word in ("--set", f"network.{each}")]
    said = fail(2, *command("glimpse", folders["glimpse"], tmp_path / "run", *words, sequences=""))
    assert sentence in " ".join(said.split())


@pytest.mark.parametrize("model", MODELS)
def test_data_with_sequences_are_loaded_in_python(
    model: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = folders[model]
    own = {"side": 21} if model == "saccader" else {}
    data = hardpp.load_data(folder, model=model, sequences=folder.parent / "sequences.txt", **own)
    assert data.train.part.known.sum() == len(TAUGHT)
    layers = dict(pair for table in (MODELS[model][0], TRAINING) for pair in _flat(table))
    train = partial(hardpp.train, data=data, model=model, settings=layers, evaluate="none", device="cpu")
    run = train(guide="replay", max_steps=1, out=tmp_path / "run")
    assert run.config.data.sequences == str(folder.parent / "sequences.txt")
    with pytest.raises(UsageError, match="for a guide that replays them"):
        train(max_steps=1, out=tmp_path / "other")


def _flat(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        inside = value if isinstance(value, Mapping) else {"": value}
        yield from ((f"{name}.{key}".rstrip("."), each) for key, each in inside.items())


def test_a_weight_whose_gradients_overflow_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    words = command("glimpse", folders["glimpse"], tmp_path / "run", "--guide", "replay")
    for key in ("supervision", "entropy_bonus"):
        assert "1,000,000,000, got 1e+20" in fail(2, *words, "--set", f"inference.{key}=1e20")
