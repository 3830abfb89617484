"""What families of models of images of one label each have in common: data, description, batches.

Shapes: B images.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from hardpp.config import RunConfig
from hardpp.data.ahead import ahead
from hardpp.data.batches import shuffled
from hardpp.data.images import corpora
from hardpp.data.images.labelled import LabelledImages, collate, first_images
from hardpp.tasks.family import EpochBatches, Family, Lack, Toy
from hardpp.tasks.labelled_images import AT_ONCE, ImagesDescription, SelectedImages, batches, select
from hardpp.tasks.opened_run import Report
from hardpp.tasks.toy_images import toy_images
from hardpp.types import Batch, ImageBatch

ONE_SIZE = (corpora.DEFAULT, *(name for name in corpora.NAMES if name != corpora.DEFAULT))  # data sets
NO_EMISSIONS = Lack(
    "temporal baselines and controls compare draws that have emitted as much, and images emit nothing",
    "take --objective vimco, or --set inference.baseline=leave-one-out",
)


class ImageFamily(Family):
    """A family of models of images.

    Its schema of data says which images by `options()`, as `hardpp.data.images.corpora` takes them.
    """

    unit = "an image"
    inputs = "a picture, a folder of pictures, or a list of their paths, one a line"
    reads = ("images",)
    description = ImagesDescription
    dev_images: ClassVar[int] = 2000  # of the dev part, for the bound after every epoch
    at_once: ClassVar[int] = AT_ONCE  # of them
    toy_side: ClassVar[int] = 12  # pixels of a toy image
    toy_settings: ClassVar[Mapping[str, Any]]

    def toy(self) -> Toy:
        training = {"training": {"batch_size": 8, "log_every": 1}, "optimiser": {"warmup_steps": 1}}
        return Toy(toy_images(self.toy_side), {**training, **self.toy_settings})

    def load(self, config: Any, report: Report) -> LabelledImages:
        images = corpora.corpus(config.name, config.options(), report)
        return images._replace(train=first_images(images.train, config.train_limit))

    def items(self, data: LabelledImages, part: str) -> SelectedImages:
        return select(data, part, None)

    def describe(self, data: LabelledImages) -> ImagesDescription:
        return ImagesDescription(
            classes=list(data.classes), size=list(data.train.size), fingerprint=data.fingerprint()
        )

    def workers(self, config: RunConfig) -> int:
        """Threads that make batches ahead of training."""
        return 0

    def epoch_batches(
        self, config: RunConfig, data: LabelledImages, description: ImagesDescription
    ) -> EpochBatches:
        def epoch(number: int) -> Sequence[Callable[[], ImageBatch]]:
            places = shuffled(len(data.train), config.training.batch_size, config.seed, number)
            makers = [partial(collate, data.train, indices, number) for indices in places]
            return ahead(makers, self.workers(config))

        return epoch

    def dev_batches(
        self, config: RunConfig, data: LabelledImages, description: ImagesDescription
    ) -> Sequence[Batch]:
        images = select(data, "dev", self.dev_images)
        return [batch for _, batch, _ in batches(images, at_once=self.at_once)]

    def outline(self, config: RunConfig, description: ImagesDescription) -> list[str]:
        channels, height, width = description.size
        return [f"{height} x {width} pixels in {channels} channels", f"{len(description.classes)} classes"]

    def label(self, description: ImagesDescription, batch: Any, row: int) -> str:
        return f"an image of class {description.classes[int(batch.target[row])]!r}"
