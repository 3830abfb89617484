"""Files by names that stand in somebody's data, which may be names that no file can have."""

import os
from pathlib import Path


def is_file(path: Path) -> bool:
    """Whether there is a file of that name; not if it is too long for one, or holds a NUL character."""
    return os.path.isfile(path)  # `Path.is_file` raises an error at names that are too long
