"""What the methods of an opened run are given, checked first: a UsageError names what is wrong."""

from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from textwrap import shorten
from typing import Any

from hardpp.config.problems import problems
from hardpp.errors import UsageError, nearest


def check_word(name: str, word: Any, words: Sequence[str | None]) -> None:
    """Refuses what is none of the words."""
    if word not in words:
        raise UsageError(f"{name} is one of {', '.join(filter(None, words))}, not {word!r}")


def check_number(
    name: str, number: Any, least: int, most: int = 2**63 - 1, *, optional: bool = False
) -> None:
    """Refuses what is no whole number in a range, both ends included; None passes where it is `optional`."""
    if number is None and optional:
        return
    if not isinstance(number, Integral) or isinstance(number, bool) or not least <= int(number) <= most:
        end = "" if most == 2**63 - 1 else f" to {most}"
        raise UsageError(f"{name} is a whole number from {least}{end}, not {number!r}")


def check_on_bad(family: Any, on_bad: Any) -> None:
    """Refuses what `on_bad` cannot be, or any for a family whose data are never left out."""
    check_word("on_bad", on_bad, ("stop", "skip"))
    if "on_bad" not in family.data.model_fields:
        raise UsageError(f"--on-bad is not for model {family.name}, which leaves none of its data out")


def data_name(data: Any) -> str | None:
    """The name, file or folder of data, if there is any, as a string."""
    if data is None or (isinstance(data, str | Path) and str(data)):
        return data if data is None else str(data)
    raise UsageError(f"data is a name, file or folder, not {data!r}")


def are_texts(items: Any) -> bool:
    """Are they some texts? One string is none."""
    several = isinstance(items, Sequence) and not isinstance(items, str) and len(items) > 0
    return several and all(isinstance(item, str) for item in items)


def check_items(items: Any, selection: type, item: type) -> Any:
    """The items; refused if they are no `selection`, or, where that is a list, no sequence of `item`."""
    if selection is list:
        is_sequence = isinstance(items, Sequence) and not isinstance(items, str)
        fit = is_sequence and all(isinstance(part, item) for part in items)
    else:
        fit = isinstance(items, selection)
    if not fit:
        raise UsageError(f"items are what select() gives, not {shorten(repr(items), 60, placeholder=' ...')}")
    return items


def check_options(family: Any, stored: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    """A run's options of decoding with those given now on top, of a family's schema.

    Raises:
        UsageError: an option that the family does not have, or a wrong value.
    """
    schema, name = family.decoding, family.name
    if foreign := [key for key in given if key not in schema.model_fields]:
        sentence = "; ".join(f"--{key.replace('_', '-')} is not for model {name}" for key in foreign)
        raise UsageError(sentence, f"hardpp models {name} lists the options of its decoding")
    plain = {key: str(value) if isinstance(value, Path) else value for key, value in given.items()}
    options = {**stored, **plain}
    if wrong := problems(schema, options):
        raise UsageError("; ".join(wrong))
    return schema(**options)


def named_items(names: Sequence[str], wanted: Sequence[str], what: str) -> list[int]:
    """Indices of the items with the wanted names, each once.

    Raises:
        UsageError: there is no such name; `what` says what the items are.
    """
    for name in wanted:
        if name not in names:
            raise UsageError(f"{name!r} is not among these {len(names)} {what}{nearest(name, names)}")
    return [list(names).index(name) for name in dict.fromkeys(wanted)]
