"""Glimpse sequences of images, designed by a run on partly seen images, and kept in a file.

Source: Harvey, Teng and Wood (2019), Near-optimal glimpse sequences.
Shapes: T glimpses, L places, C cells of the grid a side.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from hardpp.data.digests import sha256_of_json, sha256_of_tensors
from hardpp.data.images.glimpse_sequence_files import SequenceWriter, open_to_continue
from hardpp.data.images.glimpse_sequence_header import SequenceHeader
from hardpp.data.images.labelled import ImagePart, first_images
from hardpp.data.images.recorded_glimpses import designed_for, still
from hardpp.data.images.resized_pictures import plain
from hardpp.design.completion import Completion
from hardpp.design.enumeration import Enumeration
from hardpp.design.retrieval import Retrieval
from hardpp.design.sequences import Classifier, Designer, Step
from hardpp.errors import UsageError
from hardpp.nn.modes import evaluating
from hardpp.ops.patch_grid import PatchGrid
from hardpp.tasks.designing import CompletingRun, Designed, DesignOptions, Watch
from hardpp.tasks.file_names import file_names
from hardpp.tasks.image_run import ImageRun
from hardpp.tasks.labelled_images import SelectedImages

_OF_DATABASE = ("retrieval", "enumeration")
_OTHER_EPOCH = 1  # of scenes that are placed anew: never as they are when sequences are designed for them


def design(
    run: ImageRun,
    path: Path,
    items: SelectedImages,
    options: DesignOptions,
    completion: str | CompletingRun,
    watch: Watch,
) -> dict[str, Any]:
    """Designs sequences of those of the images that the file has not, adds them, and returns figures.

    See `hardpp.tasks.designing.DesigningRun.design`.
    """
    glimpses = glimpses_of(run, options)
    chooser = designer(run, options, completion)
    header = header_of(run, items, options, completion)
    images, files = still(items.part), file_names(items.names)
    steps: list[list[Step]] = []
    began, total = time.perf_counter(), len(items.indices)
    with ExitStack() as opened:
        writers: list[SequenceWriter] = []

        def there(_: None) -> list[str]:
            writers.append(opened.enter_context(open_to_continue(path, header)))
            return sorted(writers[0].names)

        ((_, found),) = run.each([(None,)], there)  # by one process alone, if there are several
        old = set(found) & {*items.names}
        named = zip(items.names, items.indices, files, strict=True)
        asked = {name: (index, file) for name, index, file in named if name not in old}

        def designed(name: str) -> list[Step]:
            index, _ = asked[name]
            pixels = images.read([index]).pixels[0]
            return chooser.design(pixels, glimpses, options.seed, options.budget)

        for name, sequence in run.each(((name,) for name in asked), designed, first_alone=True):
            steps.append(sequence)
            _, file = asked[name]
            number = len(old) + len(steps)
            watch(Designed(name, file, number, total, partial(maps, chooser.grid, sequence)))
            places = torch.tensor([step.place for step in sequence], dtype=torch.int64)
            corners = chooser.grid.corners(places)
            writers[0].add(name, [(row, column) for row, column in corners.tolist()])
    return _figures(chooser.grid, steps, time.perf_counter() - began, total)


def designer(
    run: ImageRun,
    options: DesignOptions,
    completion: str | CompletingRun,
) -> Designer:
    """Chooses places by the run's predictions.

    Args:
        run: of a `hardpp.models.masked_classifier.MaskedClassifier`.
        options: of the design.
        completion: see `hardpp.tasks.designing.DesigningRun.design`.

    Raises:
        UsageError: no such completion.
    """
    model: Any = run.programs.model
    if isinstance(completion, str):
        completing = _of_database(completion, options, run.training_images())
    else:
        completing = _of_run(completion, options, list(run.description.size))
    return Designer(
        model.grid, completing, classifier(model, run.device), coarse_to_fine=not options.exhaustive
    )


def glimpses_of(run: ImageRun, options: DesignOptions) -> int:
    """How many glimpses are designed; a UsageError if the run was not trained on as many."""
    model: Any = run.programs.model
    asked: int = options.glimpses or run.network.glimpses
    if asked > model.glimpses:
        what = f"--glimpses: {asked} are asked for, and this run was trained on up to {model.glimpses}"
        raise UsageError(what, "train one with more network.glimpses")
    return asked


def classifier(model: Any, device: torch.device) -> Classifier:
    """Log-probabilities of labels, on the host, of partly seen images, computed on a device."""

    @torch.no_grad()
    def predict(pixels: Tensor, seen: Tensor) -> Tensor:
        with evaluating(model):
            logits: Tensor = model.logits(pixels.to(device), seen.to(device))
        return logits.log_softmax(-1).cpu()

    return predict


def header_of(
    run: ImageRun, items: SelectedImages, options: DesignOptions, completion: str | CompletingRun
) -> SequenceHeader:
    """What the sequences are designed for, and by what."""
    model: Any = run.programs.model
    grid = model.grid
    own = options.model_dump(exclude={"glimpses"})
    by = completion if isinstance(completion, str) else _weights(completion)
    return SequenceHeader(
        size=grid.size,
        patch=grid.patch,
        cells=grid.cells,
        last=int(grid.starts[-1]),
        glimpses=glimpses_of(run, options),
        fewest=0 if options.budget else glimpses_of(run, options),
        data=items.data,
        part=items.part_name,
        fingerprint=designed_for(items.part).fingerprint(),
        configuration=sha256_of_json([own, _weights(run), by])[:16],
    )


def maps(grid: PatchGrid, steps: list[Step]) -> xr.DataTree:
    """What each place was expected to tell at each glimpse, (glimpse, row, column); not a number if unjudged.

    Coordinates are the first pixels of the patches.
    """
    C, starts = grid.cells, grid.starts.numpy()
    dims, nats = ("glimpse", "row", "column"), {"units": "nats"}

    def of_steps(quantity: Callable[[Step], Tensor]) -> xr.Variable:
        by_step = [step.map_of(quantity(step), C * C).view(C, C).numpy() for step in steps]
        return xr.Variable(dims, np.array(by_step).reshape(-1, C, C), nats)

    expected = xr.Dataset(
        {
            "expected_entropy": of_steps(lambda step: step.information.expected_entropy),
            "standard_error": of_steps(lambda step: step.information.standard_error),
            "gain": of_steps(lambda step: step.information.gain),
            "place": xr.Variable("glimpse", np.array([step.place for step in steps], dtype=np.int64)),
            "ess": xr.Variable(
                "glimpse", np.array([step.information.effective_completions for step in steps])
            ),
        },
        coords={"row": starts, "column": starts, "glimpse": np.arange(1, 1 + len(steps))},
    )
    return xr.DataTree(expected)


def _of_run(other: CompletingRun, options: DesignOptions, size: list[int]) -> Completion:
    theirs = list(other.description.size)  # type: ignore[attr-defined]
    if theirs != size:
        raise UsageError(f"--completion: that run completes images of {theirs}, and these are of {size}")
    if options.database is not None:
        raise UsageError("--database is for retrieval and enumeration, and another run completes the images")
    return other.completion(options.completions, first=options.first)


def _of_database(kind: str, options: DesignOptions, train: ImagePart) -> Completion:
    if kind not in _OF_DATABASE:
        raise UsageError(f"completion is {' or '.join(_OF_DATABASE)}, or another run, not {kind!r}")
    images = plain(first_images(train, options.database))

    def read(numbers: Any) -> Tensor:
        return images.read(numbers, _OTHER_EPOCH).pixels

    if kind == "enumeration":
        return Enumeration(read(range(len(images))), options.deviation)
    return Retrieval(
        read,
        len(images),
        completions=options.completions,
        first=options.first,
        candidates=10 * options.completions,
        deviation=options.deviation,
        least=options.effective,
    )


# A hash of all weights of a run.
def _weights(run: Any) -> str:
    state = torch.nn.ModuleDict(run.programs._asdict()).state_dict()
    return sha256_of_tensors(*state.values())


def _figures(grid: PatchGrid, steps: list[list[Step]], seconds: float, total: int) -> dict[str, Any]:
    T = max(map(len, steps), default=0)
    by_glimpse: dict[str, float] = {}
    for g in range(T):
        at = [of_image[g] for of_image in steps if len(of_image) > g]
        values: dict[str, list[float]] = {
            "gain": [step.gain for step in at],
            "expected_entropy": [float(step.information.expected_entropy.min()) for step in at],
            "ess": [step.information.effective_completions for step in at],
            "passes": [step.passes for step in at],
        }
        by_glimpse |= {f"{name}_{g + 1}": float(np.mean(each)) for name, each in values.items()}
    new = max(1, len(steps))
    return {
        "images": total,
        "added": len(steps),
        "glimpses": float(np.mean([len(each) for each in steps])) if steps else 0.0,
        "first": _corner(grid, steps[0][0]) if T else "",
        "passes": sum(step.passes for each in steps for step in each[1:]) / new,
        **by_glimpse,
        "seconds": seconds / new,
    }


def _corner(grid: PatchGrid, step: Step) -> str:
    row, column = grid.corners(torch.tensor(step.place)).tolist()
    return f"{row},{column}"
