"""Names that installed packages add: their entry points, told without importing them."""

from importlib.metadata import EntryPoint, entry_points

# What a name is of -> the group of entry points that others may add to.
GROUPS = {
    "model": "hardpp.tasks",
    "guide": "hardpp.guides",
    "objective": "hardpp.objectives",
    "data set": "hardpp.datasets",
}


def plugins(kind: str) -> dict[str, EntryPoint]:
    """The entry points of installed packages by name; of two with one name the first that is found."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUPS[kind]):
        found.setdefault(entry.name, entry)
    return found
