"""Captioned images by name: corpora that are fetched or made, and a user's own folder.

digit-captions   two to four digits of MNIST on 84 x 84 pixels, with a gold box for each digit named
emoji-captions   3,786 pictures of 64 x 64 pixels with their names
a folder         pictures and captions (`hardpp.data.captions.folders`)
"""

from pathlib import Path
from typing import NamedTuple

from hardpp.data.captions import emoji, folders, scenes
from hardpp.data.captions.captioned import CaptionedImages
from hardpp.data.captions.found_captions import holds_captions
from hardpp.data.fetch.sources import fetch
from hardpp.data.images.corpora import mnist
from hardpp.data.lines import OnBad, Report
from hardpp.errors import DataError, UsageError

DEFAULT = "digit-captions"
NAMES = (DEFAULT, "emoji-captions")


class CaptionOptions(NamedTuple):
    """Options of a corpus; those of other corpora are ignored."""

    seed: int = 0  # of scenes
    scenes: int = scenes.SIZES["train"]  # to train on
    digits: str = "mnist"  # of which scenes are made, or a folder with IDX files of such
    side: int = folders.SIDE  # pixels a side of what is made of a folder's pictures
    on_bad: OnBad = "stop"  # at a caption or picture of a folder that cannot be used, or "skip" it


def corpus(
    name: str = DEFAULT,
    options: CaptionOptions = CaptionOptions(),  # noqa: B008, it cannot be changed
    report: Report = lambda text: None,
) -> CaptionedImages:
    """Fetch, make or read the corpus of a name, which is one of `NAMES` or the path of a folder."""
    if name == DEFAULT:
        sizes = {**scenes.SIZES, "train": options.scenes}
        digits = mnist(report, options.digits)
        return scenes.captioned_images(digits, name, seed=options.seed, sizes=sizes)
    if name == "emoji-captions":
        return emoji.captioned_images(fetch("emoji", report), name)
    folder = Path(name)
    if holds_captions(folder):
        return folders.captioned_images(folder, report, side=options.side, on_bad=options.on_bad)
    if folder.exists():
        raise DataError(
            f"{folder}: not a folder of captioned pictures",
            "it needs pictures and captions: a table image,caption, COCO's or Karpathy's JSON, or Flickr8k's",
        )
    raise UsageError(f"there is no corpus of captions named {name!r}", f"there are: {', '.join(NAMES)}")
