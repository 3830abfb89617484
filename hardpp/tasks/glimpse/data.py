"""Which images a model of glimpses is trained on."""

from pydantic import Field

from hardpp.data.images.corpora import ImageOptions
from hardpp.tasks.recorded_sequences import SequenceOptions


class GlimpseData(SequenceOptions):
    """Which images."""

    fresh: bool = Field(True, description="scenes of images to train on are placed anew in every epoch")

    def options(self) -> ImageOptions:
        """The same as a corpus takes them."""
        return ImageOptions(fresh=self.fresh)
