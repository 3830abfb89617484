"""The sections of a run's page: what stands in each, as texts, tables and pictures."""

import base64
import io
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hardpp.config import RunConfig
from hardpp.errors import CheckpointError, DataError, UsageError
from hardpp.runs.history import records, warnings
from hardpp.runs.run_files import read_json
from hardpp.tasks.opened_run import OpenedRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 120
_LISTED = 12  # entries of a long list that are shown


class Table(NamedTuple):
    """Rows of texts, the first cell of each being its name."""

    rows: Sequence[Sequence[str]]
    head: Sequence[str] = ()
    title: str = ""  # by which a folded table is opened
    folded: bool = False


class Picture(NamedTuple):
    """A figure as PNG, and what it shows."""

    png: str  # base64
    width: int  # pixels of a screen
    text: str


@dataclass
class Section:
    """A part of the page under one title."""

    title: str
    anchor: str
    texts: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    @property
    def filled(self) -> bool:
        """Does anything stand in it besides an introduction?"""
        return bool(self.notices or self.tables or self.pictures or self.commands)


def read_summary(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """What training left in summary.json, None if it did not end, and what a reader should know of that."""
    if not (folder / "summary.json").exists():
        return None, ["Training was interrupted, or goes on: the same command takes it up where it is."]
    summary = read_json(folder / "summary.json")
    if not any(isinstance(value, int | float) for value in summary.values()):
        return summary, ["The run was not evaluated: `hardpp evaluate RUN` gives its figures."]
    if summary.get("evaluation") == "quick":
        return summary, ["Figures are of the first items of the test part: `hardpp evaluate RUN` takes all."]
    return summary, []


def figures_section(run: OpenedRun, summary: Mapping[str, Any] | None) -> Section:
    """Every figure of the test part, beside what it means."""
    section = Section("Figures", "figures", ["Of the test part, when training ended."])
    rows = []
    for names, meaning in run.family.figures.items():
        found = [f"{key} {shown_number(value)}" for key, value in _of(names, summary or {})]
        if found:
            rows.append((", ".join(found[:_LISTED]), meaning))
    if rows:
        section.tables.append(Table(rows, ("figure", "what it is")))
    return section


def trust_section(run: OpenedRun, summary: Mapping[str, Any] | None) -> Section:
    """The figures by which a family tells how far its probabilities can be trusted."""
    section = Section("Can its probabilities be trusted?", "trust")
    explained = {name: meaning for names, meaning in run.family.figures.items() for name in names.split(", ")}
    values = {key: value for name in run.family.trust for key, value in _of(f"{name}, ...", summary or {})}
    rows = [(key, shown_number(value), explained.get(key, "")) for key, value in values.items()]
    if rows:
        section.tables.append(Table(rows, ("figure", "value", "what it is")))
    return section


def curves(folder: Path, run: OpenedRun | None, unit: str) -> Section:
    """How training went; bounds are in nats of the unit."""
    from hardpp.diagnostics.training_plot import TRAINING, training_figure

    section = Section("Training", "training")
    try:
        recorded = records(folder)
    except CheckpointError:
        recorded = []
    if not recorded:
        section.notices.append("Nothing was recorded of the training yet.")
        return section
    note = run.note(TRAINING) if run is not None else TRAINING
    section.notices += warnings(folder)
    figure = training_figure(recorded, title="training", unit=unit, note=note)
    section.pictures.append(picture(figure, f"Bounds by step, in nats {unit}; higher is better."))
    return section


def item_sections(
    run: OpenedRun, select: Mapping[str, Any], count: int, report: Callable[[str], None]
) -> Iterator[Section]:
    """Pictures of the items that the run is least certain of, and of those that it has most wrong."""
    uncertain = Section("Least certain of", "uncertain", [f"By {run.uncertainty}, the largest first."])
    wrong = Section("Most wrong", "wrong", [f"By {run.error}; of equal errors the surest first."])
    try:
        items = run.select(**select, report=report)
        for item in run.most_uncertain(items, count):
            for name, figure in run.figures_of(items, [item.row]).items():
                uncertain.pictures.append(picture(figure, f"{name}: {item.value:.3g} ({run.uncertainty})"))
        if not uncertain.pictures:
            uncertain.notices.append("There are no items in this part of the data.")
        judged, looked_at = run.most_wrong(items, count)
        if judged:
            rows = [(item.name, item.said or "(nothing)", item.right, f"{item.error:.3g}") for item in judged]
            wrong.tables.append(Table(rows, ("item", "the run says", "right is", run.error)))
            shown = [item.row for item in judged]
            wrong.pictures += [picture(each, name) for name, each in run.figures_of(items, shown).items()]
        elif looked_at:
            wrong.notices.append(f"None of the first {looked_at} {run.kind} is wrong.")
    except (DataError, UsageError) as error:
        uncertain.notices.append(f"No items can be shown: {error}.")
    yield uncertain
    yield wrong


def settings(config: RunConfig) -> Section:
    """All settings, folded."""
    tables = config.model_dump(mode="json", exclude_none=True)
    rows = [(key, _text(value)) for key, value in _flat(tables)]
    return Section("Settings", "settings", tables=[Table(rows, (), f"all {len(rows)} settings", True)])


def data_section(run: OpenedRun | None) -> Section:
    """What the run keeps of its data."""
    section = Section("Data", "data")
    if run is not None:
        described = run.description.model_dump(mode="json", exclude_none=True)
        section.tables.append(Table([(key, _text(value)) for key, value in described.items()]))
    return section


def versions_section(folder: Path) -> Section:
    """What the run was made with."""
    rows = [(key, _text(value)) for key, value in read_json(folder / "versions.json").items()]
    return Section("Versions", "versions", tables=[Table(rows)])


def commands(folder: Path, run: OpenedRun | None) -> Section:
    """What to type to make the run again, and to ask it more."""
    path = shlex.quote(str(folder))
    config, out = (shlex.quote(str(each)) for each in (folder / "config.toml", f"{folder}-again"))
    again = f"hardpp train --config {config} --out {out}"
    section = Section("Commands", "commands", ["To train it again, and to ask it more:"], commands=[again])
    if run is not None:
        section.commands += [f"hardpp {verb} {path}" for verb in ("evaluate", "decode", "posterior", "plot")]
        if run.family.alignment_forms:
            section.commands.append(f"hardpp align {path}")
    return section


def picture(figure: "Figure", text: str) -> Picture:
    """A figure as it stands in the page."""
    from hardpp.diagnostics.plot_fonts import legible  # slow to import

    file = io.BytesIO()
    with legible([figure]):
        figure.savefig(file, format="png", dpi=_DPI)
    return Picture(base64.b64encode(file.getvalue()).decode(), round(96 * figure.get_figwidth()), text)


def shown_number(value: Any) -> str:
    """A figure as people read it: four digits, and thousands set apart in whole numbers."""
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.4g}"
    return f"{int(value):,}" if isinstance(value, int | float) else _text(value)


# Figures of a row of names such as "error, error_1, ...", the last of which stands for all numbered ones.
def _of(names: str, figures: Mapping[str, Any]) -> list[tuple[str, Any]]:
    listed = names.split(", ")
    stems = {name.rstrip("0123456789") for name, more in pairwise(listed) if more == "..."}
    numbered = [key for key in figures if key.rstrip("0123456789") in stems and key[-1:].isdigit()]
    # In the order of the row, by which its meaning goes.
    keys = dict.fromkeys([*(name for name in listed if name in figures), *numbered])
    return [(key, figures[key]) for key in keys]


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(value: Any) -> str:
    if isinstance(value, list | dict) and len(value) > _LISTED:
        some = ", ".join(str(entry) for entry in list(value)[:_LISTED])
        return f"{len(value):,} entries: {some}, ..."
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
