"""A page about a run for people to read: figures, curves, pictures, settings, in one HTML file.

The file needs no other: pictures are in it, and it loads nothing. All texts are escaped, as names come from
users' data. A run that is not complete has a page as well, which says what is missing.
"""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from hardpp.data.atomic_files import check_writable, write_file
from hardpp.data.undecoded import utf8
from hardpp.errors import UsageError
from hardpp.runs import checkpoint
from hardpp.runs.folder import holds_run, open_run
from hardpp.runs.missing_run import no_run
from hardpp.runs.report_sections import (
    Section,
    commands,
    curves,
    data_section,
    figures_section,
    item_sections,
    read_summary,
    settings,
    shown_number,
    trust_section,
    versions_section,
)
from hardpp.runs.run_files import read_config
from hardpp.tasks import catalogue
from hardpp.tasks.opened_run import OpenedRun

_TILES = 4  # figures at the top


def write_report(
    run: OpenedRun | Path | str,
    out: Path | str | None = None,
    *,
    data: str | None = None,
    part: str | None = None,
    limit: int | None = None,
    count: int = 4,
    device: str = "auto",
    trust: bool = False,
    force: bool = False,
    report: Callable[[str], None] = lambda text: None,
) -> Path:
    """Writes the page of a run and returns its path.

    Args:
        run: opened, or its folder.
        out: the file [RUN/report.html].
        data, part, limit: whose items are drawn, as for `OpenedRun.select` [the run's test part].
        count: how many of the most uncertain items are drawn, and of the most wrong ones.
        device, trust: how the folder is opened.
        force: replace a file that exists.
        report: told what is going on.

    Raises:
        UsageError: the file exists, or there is no run in the folder.
        CheckpointError: the run is damaged, or names classes and is not trusted.
    """
    folder = run.path if isinstance(run, OpenedRun) else Path(run)
    if not holds_run(folder):
        raise no_run(folder)
    path = Path(out) if out is not None else folder / "report.html"
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{path} should end in .html")
    check_writable(path, force=force)  # before the work, not after it
    opened: OpenedRun | None = run if isinstance(run, OpenedRun) else None
    if opened is None and checkpoint.steps(folder):
        opened = open_run(folder, device, trust=trust, report=report)
    select = {"data": data, "part": part, "limit": limit}
    write_file(path, utf8(_page(folder, opened, select, count, report)), force=force)
    return path


def _page(
    folder: Path, run: OpenedRun | None, select: dict[str, Any], count: int, report: Callable[[str], None]
) -> str:
    from jinja2 import Environment, StrictUndefined

    config = run.config if run is not None else read_config(folder, trusted=[])
    summary, notices = read_summary(folder)
    sections: list[Section] = []
    if run is not None:
        sections += [figures_section(run, summary), trust_section(run, summary)]
    sections.append(curves(folder, run, catalogue.family(config.model).unit))
    if run is not None:
        sections += item_sections(run, select, count, report)
    else:
        notices.append("There is no checkpoint yet, so nothing can be asked of this run.")
    sections += [settings(config), data_section(run), versions_section(folder), commands(folder, run)]
    names = {"model": config.model, "guide": config.guide, "objective": config.objective}
    facts = [*names.items(), ("data", config.data.name), ("seed", config.seed)]
    kept = f"Shown with the weights of step {run.step}." if run is not None else "It has no weights yet."
    state = f"{'Training is complete.' if summary is not None else 'Training is not complete.'} {kept}"
    numbers = [(key, value) for key, value in (summary or {}).items() if isinstance(value, int | float)]
    # Autoescape is for HTML, which every text of the page is put into.
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return page.from_string(files("hardpp.runs").joinpath("report.html").read_text(encoding="utf-8")).render(
        name=folder.resolve().name,
        facts=facts,
        state=state,
        notices=notices,
        tiles=[(key, shown_number(value)) for key, value in numbers[:_TILES]],
        sections=[section for section in sections if section.filled],
    )
