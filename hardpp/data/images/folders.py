"""A user's own images, of one size, one folder for each class.

Where they lie is decided in `hardpp.data.images.layouts`.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from hardpp.data.digests import sha256_of_json
from hardpp.data.images.labelled import ImagesWithBoxes, LabelledImages
from hardpp.data.images.layouts import Parts, classes_of, find_pictures, without
from hardpp.data.images.picture_files import PictureFiles
from hardpp.data.images.pixel_modes import channels_of
from hardpp.data.images.rgb_files import known_pictures
from hardpp.data.lines import OnBad, Report
from hardpp.data.parts import PARTS


class Pictures:
    """Images of one part, decoded when they are asked for; they are the same in every epoch.

    Args:
        files: Those of all parts.
        places: (N,) int64, which of them are this part's.
        labels: (N,) int64.
    """

    def __init__(self, files: PictureFiles, places: Tensor, labels: Tensor):
        self.files, self.places, self.labels = files, places, labels

    @property
    def size(self) -> tuple[int, int, int]:
        return self.files.size

    @property
    def names(self) -> list[str]:
        """Paths below the folder, such as train/cat/007.png."""
        names = self.files.names
        return [names[place] for place in self.places.tolist()]

    def __len__(self) -> int:
        return len(self.places)

    def read(self, places: Sequence[int] | Tensor | None = None, epoch: int = 0) -> ImagesWithBoxes:
        files_read = self.places if places is None else self.places[torch.as_tensor(places)]
        return ImagesWithBoxes(self.files.read(files_read), None)

    def fingerprint(self) -> str:
        """SHA-256 of the names and contents of all files, and of the places and labels of this part."""
        return sha256_of_json([self.files.fingerprint(), self.places.tolist(), self.labels.tolist()])


def labelled_images(
    folder: Path | str, report: Report = lambda text: None, on_bad: OnBad = "stop"
) -> LabelledImages:
    """Find the images of a folder, and check that all are of one size, and all classes in train.

    Args:
        folder: Laid out as `hardpp.data.images.layouts` says.
        report: Told what is going on, and what is left out.
        on_bad: "stop" at a picture that cannot be read, or "skip" it.
    """
    folder = Path(folder)
    parts: Parts = find_pictures(folder, report, on_bad)
    classes_of(parts, folder)  # before all headers are read
    listed = [image.path for part in PARTS for image in parts[part]]
    known = [picture for picture in known_pictures(listed, on_bad=on_bad, report=report) if picture]
    parts = without(parts, {*listed} - {picture.path for picture in known}, folder)
    classes = classes_of(parts, folder, report)
    files = PictureFiles(known, folder)  # one size, across parts
    grey = [picture.path for picture in known if channels_of(picture.mode) == 1]
    if grey and files.size[0] == 3:
        report(f"grey pictures that are read as colours, as others are: {len(grey)}, such as {grey[0]}")
    places = torch.arange(len(known)).split([len(parts[part]) for part in PARTS])
    labels = torch.tensor([classes.index(image.label) for part in PARTS for image in parts[part]])
    train, dev, test = (Pictures(files, part_places, labels[part_places]) for part_places in places)
    return LabelledImages(folder.resolve().name, train, dev, test, classes)
