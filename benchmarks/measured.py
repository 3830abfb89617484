"""What tables of several seeds share: the commit that was measured, and means with their standard errors."""

import subprocess
from collections.abc import Sequence
from statistics import mean, stdev


def commit() -> str:
    """The short name of the commit that is checked out; nothing outside of a checkout."""
    head = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(head, capture_output=True, text=True, check=False).stdout.strip()


def over_seeds(values: Sequence[float], decimals: int | None = None) -> str:
    """The mean, with its standard error where there are two values or more; nothing of none.

    Args:
        values: one a seed.
        decimals: of both; left out, four digits of the mean and two of the error.
    """
    if not values:
        return ""
    first, second = (".4g", ".2g") if decimals is None else (f".{decimals}f",) * 2
    error = f" ± {stdev(values) / len(values) ** 0.5:{second}}" if len(values) > 1 else ""
    return f"{mean(values):{first}}{error}"
