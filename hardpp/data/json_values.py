"""Values of JSON texts of somebody's, whatever is in them."""

import json
from typing import Any


def json_value(text: str) -> Any:
    """The value that a text says; a ValueError tells what is wrong with it, too deep nesting as well."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
