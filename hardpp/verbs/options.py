"""Options that several verbs have."""

from collections.abc import Callable
from typing import Any

import click


def style_option(*styles: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--format`; the first style is the default."""
    return click.option(
        "--format", "style", type=click.Choice(styles), default=styles[0], show_default=True, help="Style."
    )
