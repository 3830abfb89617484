"""`hardpp.inference` hands out every objective by its name, and imports none of them before it is asked."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import hardpp.inference
from hardpp.inference.objective import SurrogateObjective


def defined() -> dict[str, type]:
    """Every objective that a module of the first level defines."""
    modules = [m.name for m in pkgutil.iter_modules(hardpp.inference.__path__) if not m.ispkg]
    return {
        name: value
        for module in modules
        for name, value in vars(importlib.import_module(f"hardpp.inference.{module}")).items()
        if isinstance(value, type) and issubclass(value, SurrogateObjective)
    }


def test_every_objective_is_handed_out() -> None:
    objectives = defined()
    assert len(objectives) > 15
    for name, kind in objectives.items():
        if name != "ProposalObjective":  # what two objectives have in common
            assert getattr(hardpp.inference, name) is kind
            assert name in dir(hardpp.inference)


def test_every_name_is_there() -> None:
    for name in hardpp.inference.__all__:
        assert getattr(hardpp.inference, name).__name__ == name
    with pytest.raises(AttributeError, match="VIMCOO"):
        getattr(hardpp.inference, "VIMCOO")  # noqa: B009


def test_the_package_alone_imports_no_torch() -> None:
    told = "import sys, hardpp.inference; print(len(hardpp.inference.__all__), 'torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert run.stdout.split() == [str(len(hardpp.inference.__all__)), "False"]
