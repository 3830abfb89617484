"""Who may import whom, and what no source file may hold, read from the sources themselves."""

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import median

import pytest

import hardpp

LEAVES = {"types", "errors"}
PROGRAMS = {"nn", "distributions", "ops", "sites"} | LEAVES
METHODS = {"inference", "ops"} | LEAVES

# Room -> the rooms it may import; its own and the root package (for the version) always.
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": {
        "data",
        "diagnostics",
        "runs",
        "tasks",
    },  # for types alone: what it hands out is imported when asked for
    "__main__": {"cli", "verbs"},
    "errors": set(),
    "types": set(),
    "sites": set(),
    "ops": set(),
    "nn": {"ops"},
    "distributions": {"ops"},
    "models": PROGRAMS,
    "guides": PROGRAMS,
    "inference": {"distributions", "ops"} | LEAVES,
    "decoding": METHODS,
    "design": METHODS,
    "diagnostics": METHODS,
    "data": LEAVES,
    "config": LEAVES,
    "tasks": set(),
    "runs": set(),
    "verbs": set(),
    "cli": set(),
}
MAY_IMPORT["tasks"] = set(MAY_IMPORT) - {"cli", "verbs", "runs", "__main__"}
MAY_IMPORT["runs"] = set(MAY_IMPORT) - {"cli", "verbs", "__main__"}
MAY_IMPORT["verbs"] = set(MAY_IMPORT) - {"cli", "__main__"}
MAY_IMPORT["cli"] = set(MAY_IMPORT) - {"__main__"}

# Room -> the third parties it may import; rooms not listed may import any.
THIRD_PARTIES: dict[str, set[str]] = {
    "errors": set(),
    "ops": {"torch"},
    "sites": {"pyro", "torch"},
}

EMPTY_NAMES = {"util", "utils", "helper", "helpers", "base", "manager", "managers"}
CODE_RUNNERS = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve"}
FORBIDDEN_CALLS = {"torch.load", "yaml.load", "eval"}
LONGEST, MEDIAN = 250, 100  # lines of a file
ENTRIES, FLOORS = 21, 5  # what one sees first: of hardpp, and of the floors of imports in hardpp/tasks


def faults(package: Path) -> list[str]:
    """Every broken rule in a tree laid out like hardpp, as "file:line: sentence"."""
    found = []
    for path in sorted(package.rglob("*.py")):
        file = path.relative_to(package)
        room = file.parts[0].removesuffix(".py")
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source)
        if room not in MAY_IMPORT:
            found.append(
                f"{file}:1: unknown room {room!r}: add it to MAY_IMPORT in tests/test_architecture.py"
            )
        if EMPTY_NAMES & {part.removesuffix(".py") for part in file.parts}:
            found.append(f"{file}:1: a name that says nothing: name it by what it holds")
        if (lines := len(source.splitlines())) > LONGEST:
            found.append(f"{file}:{lines}: longer than {LONGEST} lines: look for a second concept")
        for line, module in imports(tree, (package.name, *file.parts[:-1])):
            found.extend(f"{file}:{line}: {fault}" for fault in import_faults(package.name, room, module))
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            found.extend(f"{file}:{call.lineno}: {fault}" for fault in call_faults(room, call))
    return found


def imports(tree: ast.Module, here: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of each thing imported, at the top, in functions or by import_module."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, name.name) for name in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                start = here[: len(here) - level + 1] if level else ()
                stem = ".".join((*start, *([module] if module else [])))
                yield from ((node.lineno, f"{stem}.{name.name}") for name in names)
            case ast.Call(args=[ast.Constant(value=str(module)), *_]) if called(node).endswith(
                "import_module"
            ):
                yield node.lineno, module


def import_faults(package: str, room: str, module: str) -> Iterator[str]:
    top, *rest = module.split(".")
    if top == package:
        target = rest[0] if rest else "__init__"
        known = target in MAY_IMPORT or len(rest) > 1
        # `from hardpp import __version__` is the root package's, not a room's.
        if known and target not in MAY_IMPORT.get(room, set()) | {room, "__init__"}:
            yield f"{room} may not import {target}"
    elif top in CODE_RUNNERS or module in FORBIDDEN_CALLS:
        yield f"{module} runs code that it reads"
    elif top not in sys.stdlib_module_names | THIRD_PARTIES.get(room, {top}):
        yield f"{room} may not import {top}"


def call_faults(room: str, call: ast.Call) -> Iterator[str]:
    name = called(call)
    if name in FORBIDDEN_CALLS:
        yield f"{name} runs code that it reads"
    if name.endswith(".cuda"):
        yield "the device is the caller's choice: no .cuda()"
    if room in ("models", "guides"):
        for keyword in call.keywords:
            if keyword.arg in ("infer", "mode"):
                yield f"{keyword.arg}= in a call: programs are silent about inference"


def called(call: ast.Call) -> str:
    """The dotted name that is called; what comes before an attribute of an expression is left empty."""
    parts = []
    function = call.func
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    parts.append(function.id if isinstance(function, ast.Name) else "")
    return ".".join(reversed(parts))


PACKAGE = Path(hardpp.__file__).parent


def module_graph(package: Path) -> dict[str, set[str]]:
    """Dotted name of each module -> the modules of the same package that it imports, wherever in its file."""
    paths = {}
    for path in package.rglob("*.py"):
        parts = path.relative_to(package.parent).with_suffix("").parts
        paths[".".join(parts).removesuffix(".__init__")] = path
    graph = {}
    for name, path in paths.items():
        here = path.relative_to(package.parent).parts[:-1]
        imported = {module for _, module in imports(ast.parse(path.read_text(encoding="utf-8")), here)}
        known = {module if module in paths else module.rpartition(".")[0] for module in imported}
        graph[name] = (known & paths.keys()) - {name, package.name}
    return graph


def circle(graph: dict[str, set[str]]) -> tuple[str, ...]:
    """Modules that import one another in a circle; none if there is no such circle."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return tuple(error.args[1])
    return ()


def floors(graph: dict[str, set[str]]) -> list[list[str]]:
    """Nodes over those that they need: the first floor needs none."""
    sorter, storeys = TopologicalSorter(graph), []
    sorter.prepare()
    while sorter.is_active():
        storeys.append(sorted(sorter.get_ready()))
        sorter.done(*storeys[-1])
    return storeys


def folder_graph(graph: dict[str, set[str]], folder: str) -> dict[str, set[str]]:
    """The same of the files and folders in a folder, each with all that is in it."""

    def room(module: str) -> str:
        return module.removeprefix(f"{folder}.").partition(".")[0]

    rooms: dict[str, set[str]] = {}
    for module, imported in graph.items():
        if module.startswith(f"{folder}."):
            inside = {room(other) for other in imported if other.startswith(f"{folder}.")}
            rooms.setdefault(room(module), set()).update(inside - {room(module)})
    return rooms


def test_the_rules_hold() -> None:
    assert (PACKAGE / "errors.py").is_file()
    assert faults(PACKAGE) == []


def test_files_are_short() -> None:
    lines = [len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")]
    assert median(lines) < MEDIAN


def test_little_is_seen_first() -> None:
    names = {path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    assert len(names) <= ENTRIES, sorted(names)


def test_no_modules_import_one_another_in_a_circle() -> None:
    graph = module_graph(PACKAGE)
    assert "hardpp.ops.weights" in graph["hardpp.inference.importance_weighted"]
    assert circle(graph) == ()
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) != ()


def test_tasks_have_few_floors() -> None:
    rooms = folder_graph(module_graph(PACKAGE), "hardpp.tasks")
    assert {"alignment", "catalogue", "opened_run"} <= rooms.keys()
    assert len(floors(rooms)) <= FLOORS, floors(rooms)
    assert floors({"a": {"b"}, "b": set(), "c": {"b"}, "d": {"a", "b"}}) == [["b"], ["a", "c"], ["d"]]


@pytest.mark.parametrize(
    ("file", "source", "fault"),
    [
        ("models/a.py", "from hardpp.guides.prior import Prior", "models may not import guides"),
        ("models/a.py", "from hardpp import inference", "models may not import inference"),
        ("models/a.py", "from ..guides import prior", "models may not import guides"),
        ("models/a.py", "def f():\n    import hardpp.runs", "models may not import runs"),
        (
            "models/a.py",
            "from importlib import import_module as import_module\nimport_module('hardpp.cli')",
            "cli",
        ),
        ("guides/a.py", "from .. import inference", "guides may not import inference"),
        ("guides/deep/a.py", "from ...models.x import y", "guides may not import models"),
        ("inference/a.py", "import hardpp.models.x as y", "inference may not import models"),
        ("inference/a.py", "if 0:\n    from hardpp.guides import x", "inference may not import guides"),
        ("data/a.py", "from ..inference import x", "data may not import inference"),
        ("tasks/a.py", "from hardpp.cli import main", "tasks may not import cli"),
        ("cli.py", "import hardpp.__main__", "cli may not import __main__"),
        ("tasks/a.py", "from hardpp.runs import folder", "tasks may not import runs"),
        ("data/a.py", "import hardpp.unheard.of", "data may not import unheard"),
        ("ops/a.py", "from hardpp.types import Estimate", "ops may not import types"),
        ("ops/a.py", "import pyro.distributions", "ops may not import pyro"),
        ("sites.py", "import numpy as np", "sites may not import numpy"),
        ("errors.py", "from rich import print", "errors may not import rich"),
        ("runs/a.py", "from hardpp.verbs import tables", "runs may not import verbs"),
        ("__init__.py", "from hardpp.models import x", "__init__ may not import models"),
        ("novel.py", "", "unknown room 'novel': add it to MAY_IMPORT"),
        ("novel/a.py", "", "unknown room 'novel'"),
        ("nn/utils.py", "", "a name that says nothing"),
        ("data/helpers/a.py", "", "a name that says nothing"),
        ("runs/a.py", "x = 1\n" * 251, "longer than 250 lines"),
        ("data/a.py", "import pickle", "pickle runs code"),
        ("data/a.py", "from pickle import loads", "pickle.loads runs code"),
        ("data/a.py", "import torch\ntorch.load('x')", "torch.load runs code"),
        ("data/a.py", "from torch import load", "torch.load runs code"),
        ("config.py", "eval('1')", "eval runs code"),
        ("config.py", "yaml.load(file)", "yaml.load runs code"),
        ("nn/a.py", "f(x).cuda()", "no .cuda()"),
        ("models/a.py", "sample('z', d, infer={})", "infer= in a call"),
        ("guides/a.py", "f(mode='sample')", "mode= in a call"),
    ],
)
def test_each_rule_can_be_broken(tmp_path: Path, file: str, source: str, fault: str) -> None:
    path = tmp_path / "hardpp" / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    found = faults(tmp_path / "hardpp")
    assert any(fault in line for line in found), found


@pytest.mark.parametrize(
    ("file", "source"),
    [
        (
            "models/a.py",
            "import hardpp.nn.x\nfrom hardpp import sites, types\nfrom .b import c\nfrom . import b",
        ),
        ("cli.py", "from hardpp import __version__, runs, tasks\nimport hardpp"),
        ("tasks/a.py", "from hardpp.models import x\nfrom hardpp.guides import y\nfrom ..inference import z"),
        ("ops/a.py", "import math\nimport torch.nn.functional as F\nfrom hardpp.ops.b import c"),
        ("runs/a.py", "model.eval()\nsafetensors.torch.load(data)\ntorch.cuda.is_available()"),
        ("inference/a.py", "sample('z', d, infer={'enumerate': 'parallel'})"),
        ("__main__.py", "from hardpp.cli import main"),
        ("__init__.py", "__version__ = '0'"),
    ],
)
def test_what_is_allowed(tmp_path: Path, file: str, source: str) -> None:
    path = tmp_path / "hardpp" / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert faults(tmp_path / "hardpp") == []
