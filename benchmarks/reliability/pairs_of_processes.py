"""What two gloo processes compute together, held against one: gradients, particles, weights, answers.

`processes.py` spawns them; each function is called in both at once, and returns rows of its table.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks")]

import cases  # noqa: E402
import pyro  # noqa: E402
import torch  # noqa: E402
from tiny_families import FAMILIES, tiny_settings  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn.parallel import DistributedDataParallel  # noqa: E402

from hardpp.runs.new_run import configuration  # noqa: E402
from hardpp.runs.processes.exchange import gathered  # noqa: E402
from hardpp.runs.processes.ranks import Ranks  # noqa: E402
from hardpp.runs.processes.shared_answers import answered_by  # noqa: E402
from hardpp.runs.session import Session  # noqa: E402
from hardpp.tasks import catalogue  # noqa: E402
from hardpp.tasks.objectives import OBJECTIVES, build, options_of  # noqa: E402
from hardpp.types import SequenceBatch  # noqa: E402

Row = dict[str, Any]
EXACT = ("exact", "enum", "soft")  # objectives that draw nothing
UNUSED = ("imitation",)  # those that leave parameters of the model alone
COPIES, REPLICATES = 32, 30  # of every datum, and of every gradient that is drawn
CPU = torch.device("cpu")


def module_of(name: str, dtype: torch.dtype, particles: int = 3) -> nn.Module:
    """An objective with a tiny latent alignment, and the guide that it trains or the prior."""
    model = cases.latent_alignment(dtype=dtype)
    trains = OBJECTIVES[name].kind.trains_guide
    guide = cases.ALIGNMENT_GUIDES["variational" if trains else "prior"](model)
    options = dict(OBJECTIVES[name].settings)
    if "particles" in options_of(OBJECTIVES[name]).model_fields:
        options["particles"] = particles
    return build(OBJECTIVES[name], options)(model, guide).to(dtype)


def data(copies: int, count: int = 4) -> SequenceBatch:
    whole = cases.alignment_batch((3, 2, 3, 2)[:count], (2, 3, 1, 2)[:count])
    return SequenceBatch(*(part.repeat(copies, *[1] * (part.ndim - 1)) for part in whole))


def drawn(module: nn.Module, step: Callable[[int], None], times: int) -> Tensor:
    """Gradients (times, coordinates) of what a step leaves in the parameters of model and guide."""
    rows = []
    for number in range(times):
        module.zero_grad(set_to_none=True)
        step(number)
        parts = chain(module.model.parameters(), module.guide.parameters())
        unique = {id(part): part for part in parts}.values()
        rows.append(
            torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in unique])
        )
    return torch.stack(rows).double()


def by_ranks(name: str, dtype: torch.dtype, batch: SequenceBatch, times: int, ranks: Ranks) -> Tensor:
    """As `hardpp train` has them."""
    module = module_of(name, dtype)

    def step(number: int) -> None:
        ranks.seed_step(number)
        share = ranks.share(batch)
        (module(share) / batch.size).backward()
        ranks.sum_gradients(list(module.parameters()))

    return drawn(module, step, times)


def by_torch(name: str, dtype: torch.dtype, batch: SequenceBatch, times: int, ranks: Ranks) -> Tensor:
    """As DistributedDataParallel has them: the mean over processes of the sum over rows."""
    module = module_of(name, dtype)
    # Torch must be told that there are parameters of the model which an objective does not train.
    parallel = DistributedDataParallel(module, find_unused_parameters=name in UNUSED)
    share, factor = ranks.share(batch), ranks.size / batch.size
    return drawn(module, lambda number: parallel(share).mul(factor).backward(), times)


def same(value: Tensor) -> bool:
    first, *others = gathered(value, CPU)
    return all(torch.equal(first, other) for other in others)


def z_score(two: Tensor, one: Tensor) -> float:
    """The largest difference of two means, in standard errors; infinite where what never varies differs."""
    error = (two.var(0) / len(two) + one.var(0) / len(one)).sqrt()
    apart, none = (two.mean(0) - one.mean(0)).abs(), 1e-9 * one.abs().max()
    varies = error > none
    if (apart[~varies] > 10 * none).any():
        return float("inf")
    return float((apart[varies] / error[varies]).max()) if varies.any() else 0.0


def gradients(ranks: Ranks) -> Iterator[Row]:
    alone = Ranks(seed=ranks.seed)
    ways = {"train": by_ranks, "DDP": by_torch}
    for name in OBJECTIVES:
        if name in EXACT:
            yield from (exact_row(name, way, of, ranks, alone) for way, of in ways.items())
            continue
        pyro.set_rng_seed(99)
        batch = data(COPIES)
        one = by_ranks(name, torch.float64, batch, REPLICATES, alone) if ranks.writes else torch.empty(0)
        for way, of in ways.items():
            pyro.set_rng_seed(17 * ranks.rank + 1)
            two = of(name, torch.float64, batch, REPLICATES, ranks)
            row: Row = {"objective": name, "way": way, "ranks equal": same(two)}
            if ranks.writes:
                row["max |z|"] = z_score(two, one)
                row["ok"] = row["max |z|"] < 5 and row["ranks equal"]
            yield row


def exact_row(name: str, way: str, of: Callable[..., Tensor], ranks: Ranks, alone: Ranks) -> Row:
    """The largest difference of gradients in both precisions, of 2 rows and 2, and of 2 and 1."""
    row: Row = {"objective": name, "way": way, "ranks equal": True}
    fine = True
    for dtype, limit in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        errors = []
        for batch in (data(1), data(1, 3)):
            two, one = of(name, dtype, batch, 1, ranks), by_ranks(name, dtype, batch, 1, alone)
            errors.append(float((two - one).abs().max() / one.abs().max()))
            row["ranks equal"] &= same(two)
        row[str(dtype).removeprefix("torch.")] = max(errors)
        fine &= max(errors) < limit
    return row | {"ok": fine and row["ranks equal"]}


def particles(ranks: Ranks, K: int = 4, times: int = 600) -> Row:
    """Each process draws K particles of the same data: the mean is that of 2 K in one."""
    found, batch = [], data(1)
    for size, number in ((ranks.size, K), (1, ranks.size * K)):
        pyro.set_rng_seed(ranks.rank + 3 if size > 1 else 99)
        module = module_of("elbo", torch.float64, number)
        parallel = DistributedDataParallel(module) if size > 1 else module
        found.append(drawn(module, lambda number, call=parallel: call(batch).backward(), times))
    two, one = found
    ratio = float(two.var(0).sum() / one.var(0).sum())
    z = z_score(two, one)
    return {"K": K, "gradients": times, "max |z|": z, "variance, 2 x K over 1 x 2K": ratio, "ok": z < 5}


def weights(ranks: Ranks, steps: int = 50) -> Row:
    """Weights of every process after some steps of a sampled objective with dropout, and their noise."""
    toy = catalogue.family("alignment").toy()
    assert toy is not None
    table = {"training": {"batch_size": 3, "max_steps": steps, "max_epochs": steps, "patience": steps}}
    config = configuration([dict(toy.settings), table, {"objective": "elbo", "device": "cpu", "threads": 1}])
    session = Session(config, lambda text: None, data=toy.data, ranks=ranks)
    trainer = session.trainer()
    done = sum(record.split == "train" for record in trainer.records())
    state = torch.cat([value.double().flatten() for value in trainer.objective.state_dict().values()])
    noise = []
    for step in range(steps):
        ranks.seed_step(step)
        noise.append(float(torch.rand((), dtype=torch.float64)))
    numbers = {number for of_rank in gathered(noise, CPU) for number in of_rank}
    row: Row = {"steps": done, "weights equal": same(state), "numbers that differ": len(numbers)}
    return row | {"ok": row["weights equal"] and len(numbers) == steps * ranks.size}


def answers(ranks: Ranks, work: Path) -> Iterator[Row]:
    """What verbs say of a run of every family, by two processes and by one, in batches of 3."""
    for module in [module for key, module in sys.modules.items() if key.startswith("hardpp.tasks")]:
        for name in ("BATCH", "AT_ONCE"):
            if isinstance(getattr(module, name, None), int):
                setattr(module, name, 3)
    for name in FAMILIES:
        toy = catalogue.family(name).toy()
        assert toy is not None
        config = configuration([tiny_settings(name), {"model": name, "device": "cpu", "threads": 1}])
        run: Any = Session(config, lambda text: None, data=toy.data).opened(work, 0)
        run = replace(run, warn=lambda text: None)
        shared = answered_by(run, ranks)
        items = run.select(part="train")
        row: Row = {"family": name}
        two, one = shared.evaluate(items), run.evaluate(items)
        numbers = {key for key, value in one.items() if isinstance(value, float)}
        drawn_ones = {key for key in numbers if abs(two[key] - one[key]) > 1e-6 * max(1.0, abs(one[key]))}
        row["figures"], row["drawn anew"] = len(numbers), " ".join(sorted(drawn_ones)) or "none"
        said = run.decode(items)
        seeded = "seed" in run.family.decoding.model_fields
        if seeded and run.decode(items, seed=1) != said:
            row["decode"] = "of draws"
        else:
            row["decode"] = shared.decode(items) == said
        for form, spec in run.family.alignment_forms.items():
            if not spec.files:
                row["align"] = row.get("align", True) and (
                    shared.align(items, form=form) == run.align(items, form=form)
                )
        trees = [each.posterior(items, draws=20) for each in (shared, run)]
        row["posterior"] = ranks.rank > 0 or trees[0].identical(trees[1])  # the first has it
        row["ok"] = bool(row["decode"] and row.get("align", True) and row["posterior"])
        yield row
