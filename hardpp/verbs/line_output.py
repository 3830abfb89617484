"""Lines that a verb prints, or writes to a file that is whole or absent."""

from collections.abc import Iterable
from pathlib import Path

import click


def write_lines(lines: Iterable[str], out: Path | None, force: bool) -> None:
    """Prints each line as it comes, or writes all to a file, whose name is told on standard error.

    Args:
        lines: without their ends.
        out: the file; None for standard output.
        force: replace the file if it exists.

    Raises:
        UsageError: the file exists and `force` is not given, or it is a folder.
    """
    from hardpp.whole_files import replacing

    if out is None:
        for line in lines:
            click.echo(line)
        return
    with replacing(out, force=force) as part:
        part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    click.echo(out, err=True)
