"""Which images a model of glimpses is trained on."""

from pydantic import Field

from hardpp.data.images.corpora import ImageOptions
from hardpp.data.lines import OnBad
from hardpp.tasks.recorded_sequences import SequenceOptions


class GlimpseData(SequenceOptions):
    """Which images."""

    side: int | None = Field(
        None, ge=8, le=10_000, description="pixels a side at which pictures of any size are read, in colour"
    )
    fresh: bool = Field(True, description="scenes of images to train on are placed anew in every epoch")
    on_bad: OnBad = Field("stop", description="at a picture that cannot be read: stop, or skip and say so")

    def options(self) -> ImageOptions:
        """The same as a corpus takes them; pictures are not cropped."""
        return ImageOptions(fresh=self.fresh, side=self.side, augment=False, on_bad=self.on_bad)
