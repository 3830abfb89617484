"""The posterior tree of some items of an opened run, whose batches several processes may share."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # slow to import, and most verbs never need it
    from xarray import DataTree
else:
    DataTree = Any


def labelled_draws(
    run: Any,
    draw: Callable[[Any], Any],
    batches: Iterable[tuple[Any, Any]],
    labels: Any,
    *,
    seed: int,
    **options: Any,
) -> DataTree:
    """Draws the latents of every batch, and labels what is known of them and of the run.

    Args:
        run: an `OpenedRun`, which says where the tree comes from and who computes which batch.
        draw, batches, labels, seed: as for `hardpp.diagnostics.posterior.sample_posterior`.
        options: its `streams`, and `attributes` that the root says besides the run's own.
    """
    from hardpp.diagnostics.posterior import sample_posterior

    attributes = {**run.provenance, **options.pop("attributes", {})}
    each = partial(run.each, first_alone=True)
    return sample_posterior(draw, batches, labels, seed=seed, attributes=attributes, each=each, **options)
