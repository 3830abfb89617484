"""Classes by name: `package.module:Class`, and the entry points of installed packages.

A module is looked for where Python looks, and then in the working folder, which is put at the end of Python's
path for it, so that it shadows nothing. Entry points are imported when they are asked for by name or
listed; one that is broken hurts no other.
"""

import ast
import hashlib
import importlib
import inspect
import pkgutil
import sys
import sysconfig
import textwrap
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardpp.errors import UsageError, nearest, unknown

if TYPE_CHECKING:  # it is slow to import, and most commands need none of it
    from importlib.metadata import EntryPoint

# What a name is of -> the group of entry points that others may add to.
GROUPS = {
    "model": "hardpp.tasks",
    "guide": "hardpp.guides",
    "objective": "hardpp.objectives",
    "data set": "hardpp.datasets",
}
SCRIPT = "__main__"  # the module that a script or a notebook runs as
_LOCAL = "<locals>"  # stands in the name of a class that a function has made


class NotImportable(UsageError):
    """A class that is named and cannot be had: no such module or class, or an error in it."""


def is_foreign(name: str) -> bool:
    """Does a name stand for a class to be imported, `package.module:Class`, that is not one of ours?"""
    return ":" in name and not name.startswith("hardpp.")


def name_of(given: Any) -> str:
    """The name that a class, or the class of an object, is recorded under: `package.module:Class`."""
    kind = given if isinstance(given, type) else type(given)
    return f"{kind.__module__}:{kind.__qualname__}"


def nameless(name: str) -> str:
    """Why no import leads to a class of that name, as it is of a script, a notebook or a function; else "".

    Where the script itself is running, its classes can be had.
    """
    module, _, attribute = name.partition(":")
    if _LOCAL in attribute:
        return f"{name} was made by a function"
    if module == SCRIPT and not hasattr(sys.modules[SCRIPT], attribute.partition(".")[0]):
        return f"{name} is a class of the script or notebook that named it"
    return ""


def lookup_places() -> str:
    """Where modules are looked for, in words."""
    library = Path(sysconfig.get_path("stdlib"))
    theirs = {"", str(Path.cwd()), str(library), str(library / "lib-dynload")}
    path = ", ".join(place for place in sys.path if place not in theirs and not place.endswith(".zip"))
    return f"looked for in the working folder {Path.cwd()} and on Python's path ({path})"


def is_there(name: str) -> bool:
    """Is the package of `package.module:Class` to be found? Nothing is imported."""
    _search_working_folder()
    try:
        return find_spec(name.partition(":")[0].partition(".")[0]) is not None
    except (ImportError, ValueError):  # of a name that is none, or a module that is half-made
        return False


def import_class(kind: str, name: str, whose: str = "") -> Any:
    """What `package.module:Class` names; `kind` says what it is to be, and `whose` who said the name.

    Raises:
        NotImportable: there is no such module, nothing of that name in it, or importing it fails.
    """
    module, _, attribute = name.partition(":")
    told = f"{kind} {whose} ({name})" if whose else f"{kind} {name!r}"
    if not (module and attribute):
        raise NotImportable(f"{told} cannot be imported: it is not of the form package.module:Class")
    if why := nameless(name):
        hint = "a class that can be imported stands at the top of a module of its own"
        raise NotImportable(f"{told} cannot be imported: {why}", hint)
    if is_foreign(name):
        _search_working_folder()
    try:
        found: Any = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever somebody else's module does when it is imported
        what = f"{told} cannot be imported ({type(error).__name__}: {error}{_place(error)})"
        missing = isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}.")
        near = nearest(module.partition(".")[0], _modules_here()) if missing else ""
        raise NotImportable(what + near, lookup_places() if missing else "") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            names = [each for each in vars(found) if not each.startswith("_")]
            there = getattr(sys.modules[module], "__file__", None) or "no file"
            there = f"module {module} ({there}) has no {attribute!r}"
            raise NotImportable(f"{told} cannot be imported: {there}{nearest(part, names)}")
        found = getattr(found, part)
    return found


def code_of(kind: type) -> str:
    """SHA-256 of a class's code without comments and layout; "" where its source cannot be had.

    What it inherits from classes of the same package is its code, too.
    """
    package = kind.__module__.partition(".")[0]
    own = [each for each in kind.__mro__ if each.__module__.partition(".")[0] == package]
    trees = [_tree(each) for each in own]
    return hashlib.sha256("".join(trees).encode()).hexdigest() if trees[0] else ""


def _tree(kind: type) -> str:
    try:
        return ast.dump(ast.parse(textwrap.dedent(inspect.getsource(kind))))
    except (OSError, TypeError, SyntaxError):
        return ""


def plugins(kind: str) -> dict[str, "EntryPoint"]:
    """The entry points of installed packages by name; of two with one name the first that is found."""
    found: dict[str, EntryPoint] = {}
    for entry in _entry_points(kind):
        found.setdefault(entry.name, entry)
    return found


def load_plugin(kind: str, entry: "EntryPoint") -> Any:
    """What an entry point stands for; a NotImportable that names its package if it cannot be had."""
    return import_class(kind, entry.value.partition("[")[0].strip(), whose=package_of(entry))


def package_of(entry: "EntryPoint") -> str:
    """Which package an entry point is of, in words."""
    package = f"package {entry.dist.name} {entry.dist.version}" if entry.dist else "a package"
    return f"{entry.name!r} of {package}"


def named(kind: str, name: str, names: Iterable[str]) -> Any:
    """What a name that is not ours stands for: an entry point, or `package.module:Class`.

    Args:
        kind: what it is to be, a key of `GROUPS`.
        name: as the user gave it.
        names: ours, one of which may have been meant.

    Raises:
        UsageError: there is no such name, or what it names cannot be imported.
    """
    if ":" in name:
        return import_class(kind, name)
    offered = plugins(kind)
    several = {package_of(entry): entry.value for entry in _entry_points(kind) if entry.name == name}
    if len(set(several.values())) > 1:
        hint = f"give {' or '.join(several.values())}"
        raise UsageError(f"there is more than one {kind} {name!r}: {', '.join(several)}", hint)
    if name not in offered:
        hint = "a class of your own is given as package.module:Class" if "." in name else ""
        raise UsageError(unknown(kind, name, [*names, *offered]), hint)
    return load_plugin(kind, offered[name])


def offered_alone(
    kind: str, ours: Collection[str], made: Callable[["EntryPoint"], Any], report: Callable[[str], None]
) -> Iterator[Any]:
    """What `made` makes of each entry point; `report` is told of those that fail, or have a name of ours."""
    for name, entry in plugins(kind).items():
        try:
            if name in ours:
                raise UsageError(f"hardpp has a {kind} of that name")
            yield made(entry)
        except UsageError as error:
            package = "" if package_of(entry) in str(error) else f"{kind} {package_of(entry)}: "
            report(f"left out: {package}{error}")
        except Exception as error:  # whatever somebody else's class does when it is looked at
            report(f"left out: {kind} {package_of(entry)}: {type(error).__name__}: {error}")


def _entry_points(kind: str) -> Iterable["EntryPoint"]:
    from importlib.metadata import entry_points

    return entry_points(group=GROUPS[kind])


def _search_working_folder() -> None:
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    importlib.invalidate_caches()  # the file may have been written a moment ago


def _modules_here() -> list[str]:
    return [module.name for module in pkgutil.iter_modules([str(Path.cwd())])]


# The file and line that an error comes from, in the module or in what it imports; nothing of importlib's own.
def _place(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return ""  # it says so itself
    frames = traceback.extract_tb(error.__traceback__)
    last = next((frame for frame in reversed(frames) if "importlib" not in frame.filename), None)
    ours = last is None or last.filename == __file__
    return "" if last is None or ours else f", {last.filename}:{last.lineno}"
