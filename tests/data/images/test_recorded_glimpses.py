"""Images with sequences on record: which pixels they have, and where the sequences look."""

from pathlib import Path

import pytest
import torch
from image_files import held, labelled
from PIL import Image
from sequence_files import corners, header_of, write_sequences

from hardpp.data.images import glimpse_sequences
from hardpp.data.images.augmentation import Augmentation
from hardpp.data.images.digit_scenes import Recipe, Scenes, scenes
from hardpp.data.images.labelled import ImagePart, collate, first_images
from hardpp.data.images.recorded_glimpses import RecordedGlimpses, recorded_centres, still
from hardpp.data.images.resized_pictures import plain, read_folder
from hardpp.errors import DataError

RECIPE = Recipe(40)


def placed_anew() -> Scenes:
    return Scenes(held(12), RECIPE, "key", fresh=True)


def some(part: ImagePart, *images: int) -> torch.Tensor:
    recorded = torch.full((len(part), 2, 2), torch.nan)
    recorded[list(images)] = 0.25
    return recorded


def test_images_with_a_sequence_stay_and_others_are_placed_anew() -> None:
    part = placed_anew()
    images = RecordedGlimpses(part, some(part, 3, 7))
    first, boxes = part.read(epoch=0)
    for epoch in (0, 1, 2):
        then, then_boxes = part.read(epoch=epoch)
        for places in (None, [7, 0, 3, 11], [3, 7], [0, 1]):
            found, found_boxes = images.read(places, epoch)
            for row, place in enumerate(range(12) if places is None else places):
                expected, box = (first, boxes) if place in (3, 7) else (then, then_boxes)
                assert torch.equal(found[row], expected[place])
                assert box is not None
                assert found_boxes is not None
                assert torch.equal(found_boxes[row], box[place])
    assert not torch.equal(part.read([3], 1).pixels, part.read([3], 0).pixels)


def test_pictures_with_a_sequence_are_not_augmented(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        for name in ("train/a", "train/b", "train/c", "dev/a", "test/a"):
            part_name, _, number = name.partition("/")
            path = tmp_path / part_name / label / f"{number}.png"
            path.parent.mkdir(exist_ok=True, parents=True)
            noise = torch.randint(0, 256, (12, 16, 3), dtype=torch.uint8).numpy()
            Image.fromarray(noise).save(path)
    part = read_folder(tmp_path, 8, Augmentation(0, 0.3, True)).train
    images = RecordedGlimpses(part, some(part, 1))
    for epoch in (0, 1):
        found = images.read(epoch=epoch).pixels
        assert torch.equal(found[1], plain(part).read([1]).pixels[0])
        assert torch.equal(found[0], part.read([0], epoch).pixels[0])
    assert torch.equal(plain(images).read(epoch=1).pixels, plain(part).read().pixels)
    assert not torch.equal(images.read(epoch=1).pixels[1], part.read([1], 1).pixels[0])
    assert not torch.equal(images.read(epoch=1).pixels[0], plain(part).read([0]).pixels[0])


def test_a_batch_has_the_sequences_of_its_images() -> None:
    part = placed_anew()
    images = RecordedGlimpses(part, some(part, 3))
    batch = collate(images, [2, 3], 1)
    assert batch.recorded is not None
    assert batch.recorded.isnan().tolist() == [[[True] * 2] * 2, [[False] * 2] * 2]
    assert batch.to("cpu").recorded is not None
    assert collate(images, [1, 2], 1).recorded is None
    assert collate(part, [2, 3], 1).recorded is None
    assert collate(part, [2, 3], 1).to("cpu").recorded is None


def test_what_it_is_of_shows_in_its_fingerprint() -> None:
    part = placed_anew()
    marks = [RecordedGlimpses(part, some(part, *images)).fingerprint() for images in ([3], [4], [3])]
    assert marks[0] == marks[2] != marks[1]
    assert part.fingerprint() not in marks


def test_sequences_are_for_scenes_as_they_come_first_placed_anew_or_not(tmp_path: Path) -> None:
    parts = [scenes(labelled(), "name", fresh=fresh, recipe=RECIPE).train for fresh in (True, False)]
    path = write_sequences(tmp_path / "sequences.txt", parts[0], {"train/17": 17, "train/4": 4})
    sequences = glimpse_sequences.read(path)
    header = header_of(parts[0])
    for part in parts:
        centres = recorded_centres(sequences, part, "train")
        assert centres.shape == (30, 3, 2)
        assert (~centres.isnan().flatten(1).any(1)).nonzero().flatten().tolist() == [4, 17]
        for image in (4, 17):
            first = (centres[image] + 1) / 2 * header.size - header.patch / 2
            torch.testing.assert_close(first, torch.tensor(corners(header, image)).float())
    assert still(parts[0]).fingerprint() == parts[1].fingerprint()
    limited = recorded_centres(sequences, parts[0], "train", limit=1)
    assert (~limited.isnan().flatten(1).any(1)).nonzero().flatten().tolist() == [17]


def test_of_the_first_images_as_of_all() -> None:
    part = first_images(placed_anew(), 5)
    assert torch.equal(still(part).read(epoch=3).pixels, part.read(epoch=0).pixels)
    assert len(still(part)) == 5


def test_sequences_of_other_images_are_refused(tmp_path: Path) -> None:
    images = labelled()
    path = write_sequences(tmp_path / "sequences.txt", images.train, {"train/3": 3})
    sequences = glimpse_sequences.read(path)
    with pytest.raises(DataError, match="was made for images of fingerprint"):
        recorded_centres(sequences, held(30, "other"), "train")
    with pytest.raises(DataError, match="was made for images of part train, and these have dev"):
        recorded_centres(sequences, images.train, "dev")
    empty = glimpse_sequences.read(write_sequences(tmp_path / "empty.txt", images.train, {}))
    with pytest.raises(DataError, match="has a header, and no sequence"):
        recorded_centres(empty, images.train, "train")
