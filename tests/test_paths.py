"""Whatever the pages and docstrings name exists: modules, what is in them, files and folders."""

import ast
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hardpp"
ENTRY_POINTS = {"hardpp.guides", "hardpp.objectives", "hardpp.tasks", "hardpp.datasets"}
DOTTED = re.compile(r"(?<![\w/.])hardpp(?:\.[A-Za-z_]\w*)+")
FILE = re.compile(r"(?<![\w./-])[\w.-]+(?:/[\w.-]+)*(?:/|\.(?:py|md|png|toml|yaml))(?![\w/])")


def texts() -> Iterator[tuple[str, str]]:
    """Files with what they say to people: pages, the changelog's unreleased part, docstrings."""
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))):
        yield str(page.relative_to(ROOT)), page.read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    unreleased = re.search(r"^## \[?Unreleased.*?(?=^## |\Z)", changes, re.DOTALL | re.MULTILINE)
    assert unreleased
    yield "CHANGELOG.md", unreleased[0]
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for path in sorted(PACKAGE.rglob("*.py")):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        docstrings = (ast.get_docstring(node) for node in nodes if isinstance(node, documented))
        yield str(path.relative_to(ROOT)), "\n".join(filter(None, docstrings))


TEXTS = dict(texts())


@pytest.fixture(scope="module")
def file_names() -> set[str]:
    """Names of all files of the project, without their folders."""
    rooms = (ROOT / name for name in ("hardpp", "tests", "docs", "benchmarks"))
    return {path.name for room in rooms for path in room.rglob("*.*")} | {
        path.name for path in ROOT.iterdir()
    }


@pytest.mark.parametrize("file", [name for name, text in TEXTS.items() if DOTTED.search(text)])
def test_modules_and_what_is_in_them(file: str) -> None:
    for name in sorted(set(DOTTED.findall(TEXTS[file])) - ENTRY_POINTS):
        pkgutil.resolve_name(name)


def missing(text: str, beside: Path, names: set[str]) -> list[str]:
    """Paths that begin with a folder of the project, and names of Python files, that are not there."""
    places = (ROOT, PACKAGE, ROOT / "docs", beside)
    lost = []
    for path in sorted(set(FILE.findall(text))):
        first, _, rest = path.partition("/")
        ours = not rest and path.endswith(".py")
        if rest or path.endswith("/"):  # `runs/` is also where a user's runs are
            ours = any((place / first).is_dir() for place in places[:3]) and (
                first != "runs" or path[-3:] == ".py"
            )
        if ours and path not in names and not any((place / path).exists() for place in places):
            lost.append(path)
    return lost


def test_files_and_folders(file_names: set[str]) -> None:
    lost = {file: missing(text, (ROOT / file).parent, file_names) for file, text in TEXTS.items()}
    assert {file: paths for file, paths in lost.items() if paths} == {}


def test_what_is_missing_is_noticed(file_names: set[str]) -> None:
    text = (
        "`tasks/catalog.py`, `models/nothing/`, lists.py, tests/test_none.py; hardpp/ops/weights.py, `docs/`"
    )
    assert missing(text, ROOT, file_names) == [
        "lists.py",
        "models/nothing/",
        "tasks/catalog.py",
        "tests/test_none.py",
    ]
    with pytest.raises(AttributeError):
        pkgutil.resolve_name("hardpp.tasks.catalogue.tusk")
