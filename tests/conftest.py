"""What every test starts from: one thread, one seed, an empty Pyro, no window."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

os.environ["MPLBACKEND"] = "Agg"  # before anything imports matplotlib

import pyro
import pytest
import torch

from hardpp.inference.objective import SurrogateObjective

torch.set_num_threads(1)

TESTS = Path(__file__).parent
# Tests that are about the checks of programs, or about what checks might get wrong: every kind of program,
# every family with every objective, what the documentation runs.
CHECKED = {"contracts", "programs", "weights", "sums", "doctor"}
CHECKED |= {path.name for pattern in ("test_docs_*.py", "test_readme.py") for path in TESTS.glob(pattern)}
UNCHECKED = {"test_families.py"}  # a run is asked many things there: see `test_checks_of_answers.py`


@pytest.fixture(autouse=True)
def fresh_pyro() -> Iterator[None]:
    pyro.set_rng_seed(0)
    pyro.clear_param_store()
    with pyro.settings.context(module_local_params=True):
        yield


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.param)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[object]:
    """Elsewhere estimates go without the checks that they are due for, which run programs many times more."""
    with pytest.MonkeyPatch.context() as patch:
        parts = item.path.relative_to(TESTS).parts
        if CHECKED.isdisjoint(parts) or not UNCHECKED.isdisjoint(parts):
            patch.setattr(SurrogateObjective, "check_is_due", lambda objective: False)
        return (yield)


def pytest_collection_finish() -> None:
    """Torch, Pyro and 16,000 tests stay until the end: the garbage collector need not look at them again."""
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda") and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
