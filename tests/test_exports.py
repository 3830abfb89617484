"""What `from hardpp.models import ...` offers: complete, documented, and lazy."""

import inspect
import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest
from pyro.nn import PyroModule

# Package -> the classes of it that are public: every program; every class about distributions.
OFFERED = {"hardpp.models": PyroModule, "hardpp.guides": PyroModule, "hardpp.distributions": object}


def defined(package: str, kind: type) -> set[str]:
    modules = [
        import_module(f"{package}.{info.name}")
        for info in pkgutil.iter_modules(import_module(package).__path__)
    ]
    return {
        name
        for module in modules
        for name, member in vars(module).items()
        if inspect.isclass(member) and issubclass(member, kind)
        if member.__module__ == module.__name__ and not name.startswith("_")
    }


@pytest.mark.parametrize("package", OFFERED)
def test_all_that_is_public_is_offered_and_nothing_else(package: str) -> None:
    names = import_module(package).__all__
    assert names == sorted(names)
    assert set(names) == defined(package, OFFERED[package])


@pytest.mark.parametrize("package", OFFERED)
def test_every_name_can_be_imported_and_is_documented(package: str) -> None:
    module = import_module(package)
    for name in module.__all__:
        assert getattr(module, name).__name__ == name
        assert inspect.getdoc(getattr(module, name)), f"{package}.{name} has no docstring"


@pytest.mark.parametrize("package", OFFERED)
def test_other_names_are_refused_by_name(package: str) -> None:
    with pytest.raises(AttributeError, match=f"{package} attribute Nothing"):
        _ = import_module(package).Nothing


def test_the_packages_alone_import_no_torch() -> None:
    code = f"import sys, {', '.join(OFFERED)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
