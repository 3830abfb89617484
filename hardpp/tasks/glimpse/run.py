"""What can be asked of a trained run on glimpses: figures, draws of where it looks, pictures.

Shapes: K draws, B images, T glimpses.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hardpp.data.images.batches import collate
from hardpp.diagnostics.seeds import seeded, stream
from hardpp.errors import DataError, UsageError
from hardpp.tasks.family import Run
from hardpp.tasks.file_names import file_names
from hardpp.tasks.glimpse import data as glimpse_data
from hardpp.tasks.glimpse.data import Chosen
from hardpp.tasks.glimpse.evaluation import Looking, figures, mean_labels
from hardpp.types import ImageBatch

if TYPE_CHECKING:  # slow to import, and most verbs never need them
    import xarray as xr
    from matplotlib.figure import Figure

_SEED = 0  # of where runs look when they are shown, so that they are shown alike again


class GlimpseVerbs:
    """The verbs of runs on glimpses; families of such models inherit them."""

    def label(self, description: Mapping[str, Any], batch: ImageBatch, row: int) -> str:
        """The image by its class."""
        return f"an image of class {description['classes'][int(batch.target[row])]!r}"

    def select(
        self, run: Run, data: str | None, part: str | None, limit: int | None, report: Callable[[str], None]
    ) -> Chosen:
        """A part of the run's images, or of others; left out, the test part.

        Raises:
            DataError: the data cannot be read, or are of another size or other classes than the run's.
            UsageError: all parts at once.
        """
        found = glimpse_data.load(run.reading(data), report)
        for what, given in (("size", list(found.test.size)), ("classes", list(found.classes))):
            if given != run.description[what]:
                raise DataError(
                    f"{found.name}: {what} of images {given}, and this run was trained on "
                    f"{run.description[what]}"
                )
        return glimpse_data.chosen(found, part, limit)

    def batch(self, run: Run, items: Chosen) -> ImageBatch:
        """The images as one batch on the run's device.

        Raises:
            DataError: there are no images.
        """
        if not items.places:
            raise DataError("there are no images in this part of the data")
        return collate(items.part, items.places).to(run.device)

    def evaluate(self, run: Run, items: Chosen, decoding: Mapping[str, Any]) -> dict[str, Any]:
        """Error rates, likelihood and where the run looks; see `hardpp.tasks.glimpse_figures.figures`.

        Raises:
            UsageError: an option of decoding that is unknown, or has a wrong value.
        """
        return figures(run, items, run.decoding(decoding))

    def decode(self, run: Run, items: Chosen, decoding: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """The name of every image, and the class that is likeliest in the mean of `draws` runs over it.

        Raises:
            UsageError: an option of decoding that is unknown, or has a wrong value.
        """
        how, found = run.decoding(decoding), [""] * len(items.names)
        model: Any = run.programs.model
        with torch.no_grad(), seeded(how.seed, run.device):
            for rows, batch, _ in glimpse_data.batches(items, run.device):
                best = mean_labels(model, batch.source, model.look(batch.source, how.draws)).argmax(-1)
                for row, label in zip(rows, best.tolist(), strict=True):
                    found[row] = items.classes[label]
        yield from zip(items.names, found, strict=True)

    def posterior(self, run: Run, items: Chosen, *, draws: int, exact: bool, seed: int) -> "xr.DataTree":
        """Draws of the glimpses' places by the guide, weighed, labelled with the images; none are exact."""
        from hardpp.diagnostics.glimpse_posterior import Images, draw_glimpses, one_by_one
        from hardpp.diagnostics.posterior import sample_posterior

        batches = ((rows, batch) for rows, batch, _ in glimpse_data.batches(items, run.device))
        draw = partial(draw_glimpses, *run.programs, draws=draws)
        labels = Images(items.names, items.classes)
        return sample_posterior(draw, one_by_one(batches), labels, seed=seed, attributes=run.provenance())

    def alignments(self, run: Run, items: Chosen, which: str, style: str) -> Iterator[str]:
        """Lines of where each glimpse of one run over each image was, and what was made of it.

        Args:
            run: the trained run.
            items: the images.
            which: "prior", places as the model chooses them; "guide", as the guide does, which may know the
                label; "posterior", one of `decoding.particles` draws of the guide, picked by its weight.
            style: "tsv".

        Raises:
            UsageError: another style.
        """
        if style != "tsv":
            raise UsageError(f"glimpses have no form in {style}", "give --format tsv")
        model: Any = run.programs.model
        header = ("image", "label", "glimpse", "y", "x", "scale", "prediction", "probability")
        yield "\t".join(header)
        for rows, batch, _ in glimpse_data.batches(items, run.device):
            places = _places(run, batch, [items.places[row] for row in rows], which)
            with torch.no_grad():
                predicted = model.labels(batch.source, places).exp()  # (B, T, V)
            at, scale, _ = model.space.places(places)
            best, label = (part.tolist() for part in predicted.max(-1))
            size = batch.source.shape[-2:]
            for b, row in enumerate(rows):
                right = items.classes[int(batch.target[b])]
                for t in range(model.glimpses):
                    y, x = ((float(at[b, t, axis]) + 1) / 2 * size[axis] for axis in (0, 1))
                    wide = 0 if scale is None else int(scale[b, t])
                    said = items.classes[label[b][t]]
                    cells = (items.names[row], right, t + 1, f"{y:.1f}", f"{x:.1f}", wide, said)
                    yield "\t".join(map(str, (*cells, f"{best[b][t]:.4f}")))

    def pictures(
        self, run: Run, items: Chosen, count: int, sources: Sequence[str]
    ) -> Iterator[tuple[str, "Figure"]]:
        """Images with the glimpses of one run over them: their order, windows and predictions.

        Args:
            run: the trained run.
            items: where to look for names, and what is drawn if none are named.
            count: how many images, if none are named.
            sources: names of the images to draw, such as test/12 or cat/007.png.

        Raises:
            UsageError: a named image is not among them.
        """
        from hardpp.diagnostics.glimpse_plot import glimpse_figure

        model: Any = run.programs.model
        for source in sources:
            if source not in items.names:
                raise UsageError(f"{source!r} is not among these {len(items.names)} images")
        named = [items.names.index(source) for source in dict.fromkeys(sources)]
        wanted = named or list(range(len(items.names)))[:count]
        files = file_names(items.names)  # of all, so that an image has the same whichever are drawn with it
        for index in wanted:
            place = items.places[index]
            shown = items.part.read([place])
            batch = collate(items.part, [place]).to(run.device)
            places = _places(run, batch, [place], "prior")
            with torch.no_grad():
                predicted = model.labels(batch.source, places)[0].exp().cpu()
            at, scale, _ = model.space.places(places[0])
            height, width = batch.source.shape[-2:]
            corners = model.sensor.corners(at, scale, height, width)  # (T, L, 2)
            sides = model.sensor.sides(scale, at.device).expand(corners.shape[:-1])
            figure = glimpse_figure(
                shown.pixels[0].movedim(0, -1).numpy(),
                corners.cpu().numpy(),
                sides.cpu().numpy(),
                predicted.numpy(),
                items.classes,
                label=int(batch.target[0]),
                gold=None if shown.boxes is None else shown.boxes[0].tolist(),
                title=items.names[index],
            )
            yield files[index], figure


# (B, T, *event), of one run over each of the images at these places of their part. Every image has a stream
# of its own, so that it is shown alike whichever others are asked for, and by every verb.
@torch.no_grad()
def _places(run: Run, batch: ImageBatch, numbers: Sequence[int], which: str) -> Tensor:
    from hardpp.diagnostics.glimpse_posterior import draw_locations, one_by_one

    model: Any = run.programs.model
    draws = Looking(**run.config.decoding).particles if which == "posterior" else 1
    found = []
    for number, one in one_by_one([(numbers, batch)]):
        with seeded(stream(_SEED, number), run.device):
            if which == "prior":
                found.append(model.look(one.source)[0])
            else:
                places, weight = draw_locations(*run.programs, one, draws)
                found.append(places[weight[:, 0].softmax(-1).multinomial(1)[0]])
    return torch.cat(found)
