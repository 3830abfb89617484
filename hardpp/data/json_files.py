"""A user's own JSON file. A byte order mark is dropped, as in `hardpp.data.lines`."""

import json
from pathlib import Path
from typing import Any

from hardpp.errors import DataError


def read(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        DataError: The file cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except RecursionError as error:
        raise DataError(f"{path}: not JSON (nested too deeply)") from error
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error})") from error
