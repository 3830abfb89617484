"""`hardpp replay`: a training step whose numbers went bad, once more."""

import json
import math
from pathlib import Path
from typing import Any

import click

from hardpp.verbs.exit_codes import report
from hardpp.verbs.options import PATH

FINITE = 1  # exit code

_SHOWN = 8  # faults in words; the others are counted


@click.command()
@click.argument("file", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="All that was found, as one JSON object.")
@click.option("--data", help="Where the run's data are now, if they were moved.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="Where to compute [as it was trained].")
@click.option("--trust", is_flag=True, help="Import the classes that the run's config.toml names.")
def replay(file: Path, as_json: bool, **options: Any) -> None:
    """Take a training step again whose numbers went bad, and say what went bad first.

    FILE is bad_batch.json of a run folder, or that folder: training writes it when a loss, a gradient or a
    weight is no finite number any more. From the last checkpoint before the step (of the seed, if there was
    none) the same batches and draws are taken again, to the last bit on the same machine, and in the bad step
    every weight, network, sample site and gradient is looked at as it is computed. Nothing is written.

    \b
    hardpp replay runs/alignment-variational-elbo-0
    hardpp replay RUN/bad_batch.json --json | jq .first

    What came first is where to look: a datum (is it what it should be?), a distribution whose parameters were
    finite but extreme (bound the scores), a gradient (a smaller optimiser.learning_rate or clip_norm).
    A run of several processes is replayed by as many: torchrun --nproc_per_node=N -m hardpp replay FILE.

    The exit code is 0 if the step is not finite again, and 1 if it is finite here; then it is said why that
    may be.
    """
    from hardpp.runs.bad_steps.replay import replay as take_again

    found = take_again(file, report=report, **options)
    click.echo(json.dumps(_contents(found), indent=1, ensure_ascii=False) if as_json else _text(found))
    if not found.shown:
        click.get_current_context().exit(FINITE)


def _text(found: Any) -> str:
    kept = found.kept
    where = "" if kept.by_then else f" (epoch {kept.epoch}, batch {kept.batch} of it)"
    lines = [f"step {found.step}{where}: {found.why}"]
    if found.loss is not None:
        norm = f"the norm of its gradient {found.gradient_norm:.6g}"
        lines.append(f"loss {found.loss:.6g} nats over {len(found.items)} data, {norm}")
    for number, fault in enumerate(found.faults[:_SHOWN]):
        lines.append(f"{'then' if number else 'first'}: {fault.sentence}{_datum(found, fault)}")
    if more := len(found.faults) - _SHOWN:
        lines += [f"and {more} more (--json)"] if more > 0 else []
    return "\n".join(lines)


def _datum(found: Any, fault: Any) -> str:
    known = fault.kind != "bound" and 0 <= fault.row < len(found.items)
    return f" ({found.items[fault.row]})" if known else ""


def _contents(found: Any) -> dict[str, Any]:
    def fault(each: Any) -> dict[str, Any]:
        told = {"sentence": each.sentence, **each._asdict()}
        return told | (
            {"item": found.items[row]}
            if (row := each.place.get("data", -1)) in range(len(found.items))
            else {}
        )

    faults = [fault(each) for each in found.faults]
    return {
        "shown": found.shown,
        "step": found.step,
        "why": found.why,
        "first": faults[0] if faults else None,
        "loss": _number(found.loss),
        "gradient_norm": _number(found.gradient_norm),
        "found": faults,
        "items": found.items,
        "kept": found.kept.model_dump(),
    }


# JSON has no word for what is not finite.
def _number(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)
