"""Runs compared by how likely they find the same held-out items."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from hardpp.diagnostics.elpd import Row, compare_elpd
from hardpp.errors import UsageError
from hardpp.tasks.arguments import check_number
from hardpp.tasks.file_names import distinct
from hardpp.tasks.held_out import HeldOut, log_likelihoods
from hardpp.tasks.opened_run import OpenedRun, Report


def compare_runs(
    runs: Sequence[OpenedRun],
    data: str | None = None,
    part: str | None = None,
    limit: int | None = None,
    *,
    draws: int = 16,
    seed: int = 0,
    on_bad: str | None = None,
    report: Report = lambda text: None,
    watch: Callable[[int], None] = lambda count: None,
) -> list[Row]:
    """Paired differences of the log likelihood of held-out items, a row for each run, the best first.

    The rows are those of `hardpp.diagnostics.elpd.compare_elpd`, with the `kind` of likelihood (exact, or a
    bound of so many draws), the number of items, and the mean nats an item. `comparison_frame` makes a frame
    of them that `arviz.plot_compare` draws.

    Args:
        runs: opened, two at least; they are called as their folders.
        data, part, limit: which items, as for `OpenedRun.select` [those of the test part of each run].
        draws: for a bound, where the likelihood is no sum.
        seed: of these.
        on_bad: as for `OpenedRun.select`.
        report: told what is going on.
        watch: told of so many more items that are done.

    Raises:
        UsageError: fewer than two runs, or they are given other items, or the same ones as other numbers.
        DataError: the data cannot be read.
    """
    check_number("draws", draws, 1)
    if len(runs) < 2:
        raise UsageError("a comparison needs two runs at least")
    names = distinct([str(run.path) for run in runs])
    found: dict[str, HeldOut] = {}
    for name, run in zip(names, runs, strict=True):
        items = run.select(data, part, limit, report, on_bad)
        found[name] = log_likelihoods(replace(run, watch=watch), items, draws=draws, seed=seed)
    first = names[0]
    for name, run in zip(names, runs, strict=True):
        _check_same(found[first], found[name], f"{first} and {name}", runs[0], run)
    kinds = {name: of_run.kind for name, of_run in found.items()}
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"{name}: {kind}" for name, kind in kinds.items())
        report(f"likelihoods are not of one kind ({listed}): a bound is below the likelihood that it bounds")
    return [
        {
            **row,
            "nats an item": row["elpd"] / len(found[row["name"]].nats),
            "kind": kinds[row["name"]],
            "items": len(found[row["name"]].nats),
        }
        for row in compare_elpd({name: of_run.nats.numpy() for name, of_run in found.items()})
    ]


def _check_same(one: HeldOut, other: HeldOut, names: str, first: OpenedRun, run: OpenedRun) -> None:
    hint = "compare runs on the same data, read in the same way; --data gives all of them the same"
    if first.family.name != run.family.name:
        raise UsageError(
            f"{names}: models {first.family.name} and {run.family.name} are of other items", hint
        )
    if len(one.digests) != len(other.digests):
        raise UsageError(f"{names}: {len(one.digests)} and {len(other.digests)} items", hint)
    pairs = zip(one.digests, other.digests, strict=True)
    apart = [index for index, (here, there) in enumerate(pairs) if here != there]
    if apart:
        what = f"{len(apart)} of {len(one.digests)} items are not the same, the first is item {apart[0]}"
        raise UsageError(f"{names}: {what}", hint)
    if symbols := first.description.symbols_apart(run.description):
        raise UsageError(f"{names}: the runs have other symbols ({', '.join(symbols)})", hint)
    if not all(torch.isfinite(each.nats).all() for each in (one, other)):
        raise UsageError(f"{names}: a log likelihood is not finite, so that no difference is known")
