"""A small package to begin a guide, objective or model family with: code, tests, entry point, README.

It lies in a folder of the name that is given, with one module of that name, and its tests pass at once. Its
files are those of `hardpp/tasks/templates`, with the name put in.
"""

import re
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from string import Template

from hardpp.data.atomic_files import replacing_folder, write_errors
from hardpp.errors import UsageError

KINDS = ("guide", "objective", "model")
_TEMPLATES = Path(__file__).parent / "templates"
_FILES = {
    "module.py.txt": "$name.py",
    "test.py.txt": "tests/test_$name.py",
    "pyproject.toml.txt": "pyproject.toml",
    "README.md.txt": "README.md",
}


def new_package(kind: str, name: str, folder: Path | str = ".") -> list[Path]:
    """Writes the package into a new folder of its name, whole or not at all; the paths of its files.

    Args:
        kind: "guide", "objective" or "model".
        name: of the folder and of the module in it.
        folder: where the new folder is made.

    Raises:
        UsageError: there is no such kind, the name is none for a module or has been taken, or something of
            that name is in the folder.
    """
    if kind not in KINDS:
        raise UsageError(f"{kind!r} is no kind of package: {', '.join(KINDS)}")
    check_is_name(kind, name)
    path = Path(folder) / name
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path} exists already", "give another name, or another folder by --out")
    check_is_free(kind, name)
    words = {"name": name, "class": class_name(name)}
    written = []
    with write_errors(path, otherwise=UsageError):
        Path(folder).mkdir(parents=True, exist_ok=True)
        with replacing_folder(path) as made:
            for template, file in _FILES.items():
                text = (_TEMPLATES / kind / template).read_text(encoding="utf-8")
                relative = Path(Template(file).substitute(words))
                (made / relative).parent.mkdir(exist_ok=True)
                (made / relative).write_text(Template(text).substitute(words), encoding="utf-8")
                written.append(path / relative)
    return written


def check_is_name(kind: str, name: str) -> None:
    """Refuses a name that a module cannot have, and says one that it can."""
    if not (name.isidentifier() and name.isascii() and name == name.lower()) or iskeyword(name):
        what = f"{name!r} is no name for a Python module: small letters, digits and _, and no digit first"
        raise UsageError(what, f"for example {suggested(kind, name)}")


def check_is_free(kind: str, name: str) -> None:
    """Refuses the name of a module that Python knows already."""
    try:
        taken = find_spec(name) is not None
    except ValueError:  # of a module that has been made by hand
        taken = True
    if taken:
        what = f"there is a module {name!r} already, which Python would find in its place"
        raise UsageError(what, f"for example {suggested(kind, f'my_{name}')}")


def suggested(kind: str, name: str) -> str:
    """The nearest name that a module can have."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    near = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    if not near or near[0].isdigit() or iskeyword(near):
        near = f"my_{near or kind}"
    return near


def class_name(name: str) -> str:
    """The name of the class: `monotone_guide` has MonotoneGuide."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))
