"""A second classifier: it sees patches that are cut at a run's places from larger copies of the images.

Places are chosen on small images, and what is there is classified at a higher resolution, by any torch module
from patches (N, 3, p, p), standardised as the representation's pixels are, to logits (N, V). Logits are
averaged over glimpses. It is trained as any classifier of images is, on what `patches` gives.

Source: Elsayed, Kornblith and Le (2019), Saccader, section 4.2 (Saccader-NASNet).
Shapes: B images, G glimpses, p pixels a side of a patch, V labels.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hardpp.data.images.labelled import ImagePart
from hardpp.data.images.resized_pictures import at_side
from hardpp.decoding.saccades import running_logits
from hardpp.diagnostics.seeds import seeded
from hardpp.errors import UsageError
from hardpp.tasks.labelled_images import SelectedImages
from hardpp.tasks.one_thread import answering
from hardpp.tasks.opened_run import OpenedRun
from hardpp.tasks.saccader.looking import SaccaderDecoding, check_glimpses, look
from hardpp.tasks.saccader.named_module import check_reads, named_module
from hardpp.tasks.saccader.windows import Geometry, cut, patch_corners, patch_side
from hardpp.types import ImageBatch

AT_ONCE = 64  # patches


class Larger(NamedTuple):
    """Larger copies of a run's images, and how patches are cut from them."""

    part: ImagePart
    side: int  # of the images, in pixels
    geometry: Geometry

    def patches(self, run: OpenedRun, indices: Sequence[int], places: Tensor, epoch: int = 0) -> Tensor:
        """Standardised patches (B, G, 3, p, p), on the device of the run and its places (B, G)."""
        model: Any = run.programs.model
        bag, side = model.representation, self.part.size[-1]
        pixels = self.part.read(indices, epoch).pixels.to(places.device)
        corners = patch_corners(bag.field, places, self.side, side, self.geometry)
        cut_out = cut(pixels, corners, patch_side(bag.field, self.side, side))
        standardised: Tensor = bag.standardised(cut_out)
        return standardised


class SecondClassifier(NamedTuple):
    """The module, and what it sees."""

    module: nn.Module
    larger: Larger

    def logits(self, run: OpenedRun, indices: Sequence[int], places: Tensor) -> Tensor:
        """Mean logits (B, G, V) after each glimpse, of the images at those indices of the part."""
        patches = self.larger.patches(run, indices, places)
        logits = torch.cat([self.module(some) for some in patches.flatten(0, 1).split(AT_ONCE)])
        in_order = torch.arange(places.shape[1], device=places.device).expand_as(places)
        return running_logits(logits.unflatten(0, places.shape), in_order)


@answering()
def patches(
    run: OpenedRun,
    images: SelectedImages,
    rows: Sequence[int] | None = None,
    epoch: int = 0,
    **decoding: Any,
) -> tuple[Tensor, Tensor]:
    """Patches at the places that a run goes to, as a second classifier sees them, and labels to train it on.

    Args:
        run: an opened run of Saccader.
        images: what `run.select` gave; of part "train" they are other crops, or scenes, in every epoch.
        rows: of the images; left out, all.
        epoch: its number.
        decoding: options of decoding, of which `second_side`, `geometry`, `glimpses`, `policy`, `draw` and
            `seed` matter.

    Returns:
        (B, G, 3, p, p) standardised pixels and (B,) int64 labels, on the run's device.

    Raises:
        UsageError: the run has no places, or the images no larger copies.
    """
    check_glimpses(run, "patches")
    options: SaccaderDecoding = run.decoding(decoding)
    indices = [images.indices[row] for row in (range(len(images.indices)) if rows is None else rows)]
    larger = _larger(images, options)
    shown = ImageBatch(images.part.read(indices, epoch).pixels, images.part.labels[indices]).to(run.device)
    with seeded(options.seed, run.device):
        places = look(run, shown, options).places
    assert places is not None
    return larger.patches(run, indices, places, epoch), shown.target


def second_classifier(
    run: OpenedRun, images: SelectedImages, options: SaccaderDecoding
) -> SecondClassifier | None:
    """The second classifier that options name, in evaluation mode on the run's device; None if they do not.

    Raises:
        UsageError: it cannot be made or read patches, its weights are of another module, there are no larger
            copies of the images, or options of one are given without it.
        DataError: its weights cannot be read.
    """
    name = options.second
    if name is None:
        for key in ("second_weights", "second_side"):
            if getattr(options, key) is not None:
                raise UsageError(f"decoding.{key} is of a second classifier", "give decoding.second as well")
        return None
    check_glimpses(run, "patches for a second classifier")
    if options.second_weights is None:
        hint = "give decoding.second_weights, a .safetensors file"
        raise UsageError(f"decoding.second: {name} has no weights", hint)
    classes = len(images.classes)
    with seeded(0, run.device):  # nobody else's draws depend on its first weights
        module = named_module(name, Path(options.second_weights), classes)
    module = module.to(run.device).eval()
    larger = _larger(images, options)
    model: Any = run.programs.model
    p = patch_side(model.representation.field, larger.side, larger.part.size[-1])
    check_reads(module, name, torch.zeros(2, 3, p, p, device=run.device), classes)
    return SecondClassifier(module, larger)


def _larger(images: SelectedImages, options: SaccaderDecoding) -> Larger:
    side = images.part.size[-1]
    try:
        part = at_side(images.part, options.second_side or side)
    except UsageError as error:
        raise UsageError(f"decoding.second_side: {error}", error.hint) from error
    if part.size[-1] < side:
        raise UsageError(f"decoding.second_side: {part.size[-1]} pixels, and the images have {side} already")
    return Larger(part, side, options.geometry)
