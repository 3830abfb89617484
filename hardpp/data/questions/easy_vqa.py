"""easy-VQA: 5,000 small images of one coloured shape, and 48,248 questions about it.

    FOLDER/{train,test}/questions.json    [[question, answer, image number], ...]
    FOLDER/{train,test}/images/NUMBER.png  64 x 64, a plain background and one shape

Every question is about the shape, its kind or its colour, and no question text has the same answer in
all images. So all of them are answered by looking at the shape, and its bounding box (of the pixels that
are not background) is the region to look at. The split is the published one; the last tenth of the
training images, by number, is the dev part.

Source: Victor Zhou (2020), easy-VQA, PyPI package `easy-vqa`, MIT licence.
"""

from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hardpp.data.digests import FileContents, sha256_of_json
from hardpp.data.images.picture_files import decoded
from hardpp.data.images.rasters import Box
from hardpp.data.images.rgb_pictures import check_picture
from hardpp.data.lines import OnBad, Report, parse_entries, read_json
from hardpp.data.questions.answers import normalise_answer
from hardpp.data.questions.questions import Question, Questions
from hardpp.errors import DataError

MEMBER = "easy_vqa/data"  # where the data lie in the fetched folder
_HINT = "every entry is [question, answer, image number]; on_bad='skip' leaves others out"
_DEV = 10  # one image in so many is kept for dev


def questions(
    folder: Path | str,
    name: str = "easy-vqa",
    *,
    on_bad: OnBad = "stop",
    report: Report = lambda text: None,
) -> Questions:
    """Read the questions of the fetched folder, or one laid out as above; images are read when asked for.

    A question is bad that is malformed or whose image is missing or cannot be read.
    """
    folder = Path(folder)
    folder = folder / MEMBER if (folder / MEMBER).is_dir() else folder
    published_train, test = (_read(folder, part, on_bad, report) for part in ("train", "test"))
    numbers = sorted({_number(question) for question in published_train})
    train_numbers = numbers[: len(numbers) - max(1, len(numbers) // _DEV)]
    if not train_numbers:
        raise DataError(f"{folder}: questions about 2 training images at least are needed, one for dev")
    train = [question for question in published_train if _number(question) <= train_numbers[-1]]
    dev = [question for question in published_train if _number(question) > train_numbers[-1]]
    return Questions(name, train, dev, test, Shapes(folder))


class Shapes:
    """The images of a folder, named part/number; kept in memory once they have been read."""

    kind: Literal["pixels", "regions"] = "pixels"
    channels = 3

    def __init__(self, folder: Path):
        self.folder = folder
        self._read: dict[str, NDArray[Any]] = {}

    def __contains__(self, image: str) -> bool:
        return self.path(image).is_file()

    def shown(self, image: str) -> NDArray[Any]:
        if image not in self._read:
            pixels = np.moveaxis(decoded(self.path(image)), 0, -1)
            # Channels last in memory: the layout decides how torch convolves, so the last bits of figures.
            self._read[image] = np.repeat(pixels, 3 // pixels.shape[-1], axis=-1).copy(order="C")
        return self._read[image]

    def read(self, image: str) -> NDArray[Any]:
        return np.moveaxis(self.shown(image), -1, 0)

    def boxes(self, image: str) -> None:
        return

    def gold(self, image: str) -> Box | None:
        """The bounding box of the pixels that are not of the background, the border's commonest colour."""
        pixels = self.shown(image)
        colours, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        at_border = [(border == colour).all(-1).sum() for colour in colours]
        background = colours[np.lexsort((counts, at_border))[-1]]
        rows, columns = np.nonzero((pixels != background).any(-1))
        if not rows.size:
            return None
        left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        return float(left), float(top), float(right), float(bottom)

    def fingerprint(self) -> str:
        """SHA-256 of the names and contents of all images."""
        names = [path.relative_to(self.folder).as_posix() for path in self._contents.paths]
        return sha256_of_json([names, self._contents.sha256])

    @cached_property
    def _contents(self) -> FileContents:
        return FileContents(sorted(self.folder.glob("*/images/*.png")))

    def path(self, image: str) -> Path:
        """The file of an image."""
        part, _, number = image.partition("/")
        return self.folder / part / "images" / f"{number}.png"


def _read(folder: Path, part: str, on_bad: OnBad, report: Report) -> list[Question]:
    path = folder / part / "questions.json"
    rows = read_json(path)
    if not isinstance(rows, list) or not rows:
        raise DataError(f"{path}: a list of [question, answer, image number] is wanted")
    pictures = Shapes(folder)
    look = decoded if on_bad == "skip" else check_picture

    @cache
    def fault(image: str) -> str:
        if image not in pictures:
            return "is missing"
        try:
            look(pictures.path(image))
        except DataError as error:
            return f"cannot be read: {error}"
        return ""

    def question(place: int, row: Any) -> Question:
        if not (isinstance(row, list) and [type(cell) for cell in row] == [str, str, int] and row[0].strip()):
            raise ValueError(f"{row!r:.80} is not [question, answer, image number]")
        text, answer, number = row
        image = f"{part}/{number}"
        if why := fault(image):
            raise ValueError(f"it is about image {image}, which {why}")
        return Question(f"{part}/{place}", text, image, (normalise_answer(answer),))

    return list(parse_entries(path, enumerate(rows), question, _HINT, on_bad, report).values())


def _number(question: Question) -> int:
    return int(question.image.rpartition("/")[2])
