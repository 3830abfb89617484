"""Names of files for what has a name or text of its own, no two alike."""

from collections import Counter
from collections.abc import Sequence


def file_names(titles: Sequence[str], longest: int = 60) -> list[str]:
    """The letters and digits of each title, with hyphens for all else; what is alike once cut is numbered."""
    plain = ("".join(c if c.isalnum() else "-" for c in title) for title in titles)
    return distinct([name[:longest].strip("-") or "-" for name in plain])


def distinct(names: Sequence[str]) -> list[str]:
    """The names as they are, but the second "word" is called "word (2)"."""
    seen: Counter[str] = Counter()
    out = []
    for name in names:
        seen[name] += 1
        out.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return out
