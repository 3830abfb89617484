"""Everything that hardpp imports is declared, as a dependency or as an extra for users."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
            yield node.module


@cache
def third_party_packages() -> dict[str, Path]:
    """Top-level package -> a file that imports it."""
    packages = {
        module.partition(".")[0]: path.relative_to(ROOT)
        for path in sorted((ROOT / "hardpp").rglob("*.py"))
        for module in imported_modules(path)
    }
    return {name: path for name, path in packages.items() if name not in {"hardpp", *sys.stdlib_module_names}}


def distribution(requirement: str) -> str:
    """The normalised name of what a requirement asks for."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]).lower()


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [project["optional-dependencies"][name] for name in ("text", "audio")]
    requirements = [requirement for group in [project["dependencies"], *extras] for requirement in group]
    return {distribution(requirement) for requirement in requirements}


@pytest.mark.parametrize("package", sorted(third_party_packages()))
def test_every_imported_package_is_declared(package: str) -> None:
    names = {distribution(name) for name in packages_distributions().get(package, [package])}
    where = third_party_packages()[package]
    assert names & declared(), f"{where} imports {package}, which pyproject.toml does not declare"
