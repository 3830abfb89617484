"""The second classifier of Saccader: where its patches are, what it is refused for, and that it learns."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from corpora import fail, succeed
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import cross_entropy

import hardpp
from hardpp.data.images.labelled import InMemoryImages
from hardpp.errors import CheckpointError, DataError, UsageError
from hardpp.ops.receptive_field import ReceptiveField
from hardpp.runs.folder import open_run
from hardpp.tasks.labelled_images import SelectedImages
from hardpp.tasks.opened_run import OpenedRun
from hardpp.tasks.saccader.second_classifier import patches
from hardpp.tasks.saccader.windows import cut, patch_corners, patch_side

PAPER = ReceptiveField(77, 8)
COLOURS = {"blue": (0, 0, 200), "green": (0, 160, 0), "red": (220, 0, 0)}
MODULE = """
import torch

class Mean(torch.nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.readout = torch.nn.Linear(3, classes)

    def forward(self, patches):
        return self.readout(patches.mean((-2, -1)))

class Flat(Mean):
    def forward(self, patches):
        return super().forward(patches)[:, 0]

class Large(Mean):
    def forward(self, patches):
        return super().forward(torch.nn.functional.avg_pool2d(patches, 1000))

class NeedsMore(Mean):
    def __init__(self, classes, depth):
        super().__init__(classes)
"""


class Mean(nn.Module):
    """The same here."""

    def __init__(self, classes: int):
        super().__init__()
        self.readout = nn.Linear(3, classes)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return self.readout(patches.mean((-2, -1)))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> OpenedRun:
    folder = tmp_path_factory.mktemp("squares")
    noise = np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 4)):
        for name, colour in COLOURS.items():
            (folder / "data" / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = noise.integers(90, 130, (70, 60, 3), dtype=np.uint8)
                top, left = noise.integers(5, 30, 2)
                pixels[top : top + 30, left : left + 30] = colour
                Image.fromarray(pixels).save(folder / "data" / part / name / f"{number}.png")
    network = {"stem": 4, "planes": [4], "blocks": [1], "strides": [2], "wide": [1], "glimpses": 2}
    settings = {
        **{
            "network": network,
            "data": {"side": 21, "smallest_area": 0.5},
            "stages": ["representation", "joint"],
        },
        **{
            "training": {"batch_size": 12, "max_epochs": 1},
            "stage": {"representation.training.max_epochs": 1},
        },
    }
    settings["stage"] = {"representation": {"training": {"max_epochs": 1}}}
    return hardpp.train(
        "saccader",
        data=folder / "data",
        settings=settings,
        out=folder / "run",
        device="cpu",
        report=lambda _: None,
    )


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of classifiers that can be imported, and weights of one."""
    (tmp_path / "second_modules.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    save_file(Mean(3).state_dict(), tmp_path / "mean.safetensors")
    return tmp_path


def test_patches_of_the_paper_have_113_pixels() -> None:
    assert patch_side(PAPER, 224, 331) == 113
    assert patch_side(PAPER, 224, 224) == 77


def test_at_the_same_side_exact_patches_are_what_places_see() -> None:
    place = torch.arange(361)
    assert torch.equal(patch_corners(PAPER, place, 224, 224, "exact"), PAPER.corners(place, 19))


@pytest.mark.parametrize("larger", [224, 331, 448, 500])
def test_exact_patches_have_the_middle_of_what_places_see(larger: int) -> None:
    place, p = torch.arange(361), patch_side(PAPER, 224, larger)
    corners = patch_corners(PAPER, place, 224, larger, "exact")
    middle = (PAPER.corners(place, 19) + 77 / 2) * larger / 224
    assert ((corners + p / 2) - middle).abs().max() <= 0.5 + 1e-6
    assert corners.min() >= 0
    assert corners.max() + p <= larger


@pytest.mark.parametrize("larger", [224, 331])
def test_the_authors_patches_are_by_their_formula(larger: int) -> None:
    p = patch_side(PAPER, 224, larger)
    spread = np.linspace(-1, 1, 19) * (1 - 77 / 224)
    expected = np.trunc(np.round((larger * (spread + 3) - p) / 2, 9)) - larger
    corners = patch_corners(PAPER, torch.arange(361), 224, larger, "authors")
    assert corners[:19, 1].tolist() == expected.tolist()
    assert corners[::19, 0].tolist() == expected.tolist()
    apart = corners - patch_corners(PAPER, torch.arange(361), 224, larger, "exact")
    assert apart.min() >= -1
    assert 3 <= apart.max() <= 5  # three pixels of 224 at the far end


def test_patches_are_cut_out_of_their_image_and_end_in_its_outermost_pixels() -> None:
    images = torch.arange(2 * 3 * 6 * 5).view(2, 3, 6, 5)
    corners = torch.tensor([[[0, 0], [3, 2]], [[4, 3], [-1, -1]]])
    found = cut(images, corners, 2)
    assert found.shape == (2, 2, 3, 2, 2)
    assert torch.equal(found[0, 1], images[0, :, 3:5, 2:4])
    assert torch.equal(found[1, 0], images[1, :, 4:6, 3:5])
    assert torch.equal(found[1, 1], images[1, :, :1, :1].expand(-1, 2, 2))


def test_patches_at_the_images_own_side_are_what_the_places_see(run: OpenedRun) -> None:
    images = run.select()
    found, labels = patches(run, images, [0, 5], glimpses=3)
    model: Any = run.programs.model
    field = model.representation.field
    assert found.shape == (2, 3, 3, field.side, field.side)
    assert torch.equal(labels, images.part.labels[[0, 5]])
    pixels = model.representation.standardised(images.part.read([0, 5]).pixels)
    seen = pixels.unfold(2, field.side, field.stride).unfold(3, field.side, field.stride)
    seen = seen.flatten(2, 3).transpose(1, 2)  # (B, A, 3, p, p)
    for b in range(2):
        assert all(any(torch.equal(patch, window) for window in seen[b]) for patch in found[b])


def test_larger_patches_show_the_same_part_of_a_picture(run: OpenedRun) -> None:
    small, _ = patches(run, run.select(), glimpses=4)
    large, _ = patches(run, run.select(), glimpses=4, second_side=50)
    assert large.shape[-1] == patch_side(ReceptiveField(5, 2), 21, 50)
    gap = small.mean((-2, -1)) - large.mean((-2, -1))
    assert gap.abs().mean() < 0.15 * small.mean((-2, -1)).std()


def test_pictures_to_train_on_are_cut_otherwise_in_every_epoch(run: OpenedRun) -> None:
    train = run.select(part="train")
    first, second = (patches(run, train, epoch=epoch, second_side=40)[0] for epoch in (1, 2))
    assert not torch.equal(first, second)
    assert torch.equal(first, patches(run, train, epoch=1, second_side=40)[0])


def test_a_classifier_learns_from_patches_and_is_evaluated(run: OpenedRun, module: Path) -> None:
    torch.manual_seed(0)
    classifier, train = Mean(3), run.select(part="train")
    optimiser = torch.optim.Adam(classifier.parameters(), lr=0.1)
    for epoch in range(1, 16):
        seen, labels = patches(run, train, epoch=epoch, second_side=60)
        logits = classifier(seen.flatten(0, 1)).unflatten(0, seen.shape[:2]).mean(1)
        optimiser.zero_grad()
        cross_entropy(logits, labels).backward()
        optimiser.step()
    save_file(classifier.state_dict(), module / "mean.safetensors")
    options = {"second": "second_modules:Mean", "second_weights": str(module / "mean.safetensors")}
    figures = run.evaluate(**options, second_side=60, glimpses=4)
    assert figures["second"] == figures["second_4"] > 0.9
    assert figures["accuracy"] == run.evaluate(glimpses=4)["accuracy"]
    decoded = [said.text for said in run.decode(**options, second_side=60, glimpses=4)]
    labels = [run.description.classes[label] for label in run.select().part.labels]
    assert np.mean([a == b for a, b in zip(decoded, labels, strict=True)]) == figures["second"]
    exact, authors = (
        run.evaluate(**options, second_side=60, geometry=g)["second"] for g in ("exact", "authors")
    )
    assert min(exact, authors) > 0.8


def test_it_is_named_on_the_command_line(run: OpenedRun, module: Path) -> None:
    weights = str(module / "mean.safetensors")
    words = ["evaluate", str(run.path), "--second", "second_modules:Mean", "--second-side", "42"]
    text = succeed(*words, "--second-weights", weights, "--geometry", "authors", "--device", "cpu")
    assert "second_2" in text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"second": "second_modules:Nothing"}, "has no 'Nothing'"),
        ({"second": "no_such_module:Mean"}, "cannot be imported .ModuleNotFoundError"),
        ({"second": "second_modules"}, "is not of the form package.module:Class"),
        ({"second": "second_modules:torch"}, "is no class of torch modules"),
        ({"second": "second_modules:NeedsMore"}, "is not made by the number of classes, 3, alone"),
        ({"second": "second_modules:Flat"}, r"gives \(2,\) of patches of shape \(2, 3, 5, 5\)"),
        ({"second": "second_modules:Large"}, r"does not read patches of shape \(2, 3, 5, 5\)"),
        ({"second": "second_modules:Mean", "second_side": 20}, "20 pixels, and the images have 21 already"),
        (
            {"second_side": 30, "second": None, "second_weights": None},
            "decoding.second_side is of a second classifier",
        ),
        ({"second": None}, "decoding.second_weights is of a second classifier"),
        ({"second": "second_modules:Mean", "second_weights": None}, "has no weights"),
    ],
)
def test_what_is_no_second_classifier_is_refused(
    run: OpenedRun, module: Path, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        run.evaluate(**{"second_weights": str(module / "mean.safetensors"), **options})


def test_weights_of_something_else_are_refused(run: OpenedRun, module: Path) -> None:
    path = module / "mean.safetensors"
    named = {"second": "second_modules:Mean", "second_weights": str(path)}
    with pytest.raises(DataError, match="no-file"):
        run.evaluate(**{**named, "second_weights": "no-file"})
    save_file(Mean(4).state_dict(), path)
    with pytest.raises(UsageError, match=r"readout.weight of .* has shape \(4, 3\) there and \(3, 3\)"):
        run.evaluate(**named)
    save_file({"readout.weight": torch.zeros(3, 3)}, path)
    with pytest.raises(UsageError, match=r"readout.bias of second_modules:Mean is not in"):
        run.evaluate(**named)
    save_file({**Mean(3).state_dict(), "more": torch.zeros(1)}, path)
    with pytest.raises(UsageError, match=r"more of second_modules:Mean is too much in"):
        run.decode(**named)
    weights = Mean(3).state_dict()
    weights["readout.bias"][1] = torch.nan
    save_file(weights, path)
    with pytest.raises(DataError, match=r"mean\.safetensors: readout.bias holds what is no number"):
        run.evaluate(**named)
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"mean\.safetensors: weights of decoding.second cannot be read"):
        run.evaluate(**named)


def test_images_of_one_size_are_cut_at_their_own_side_and_no_other(run: OpenedRun) -> None:
    pixels = torch.randint(0, 256, (4, 1, 21, 21), dtype=torch.uint8)
    part = InMemoryImages(pixels, torch.arange(4) % 3)
    images = SelectedImages(part, [0, 1, 2, 3], [*"abcd"], ("blue", "green", "red"))
    assert torch.equal(patches(run, images)[0], patches(run, images, second_side=21)[0])
    assert patches(run, images)[0].shape[2] == 3  # grey in three colours
    with pytest.raises(UsageError, match=r"decoding\.second_side: these images have 21 x 21 pixels"):
        patches(run, images, second_side=30)


def test_what_a_stored_run_names_is_imported_only_if_it_is_trusted(run: OpenedRun, tmp_path: Path) -> None:
    stranger = tmp_path / "run"
    shutil.copytree(run.path, stranger)
    path = stranger / "config.toml"
    path.write_text(path.read_text().replace("[decoding]", '[decoding]\nsecond = "stranger:Module"'))
    with pytest.raises(CheckpointError, match=r"would execute: decoding.second stranger:Module"):
        open_run(stranger, "cpu")
    assert fail(4, "evaluate", str(stranger), "--limit", "2")
    assert open_run(stranger, "cpu", trust=True).config.decoding["second"] == "stranger:Module"
