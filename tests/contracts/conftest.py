"""A tiny run of every model family, trained once for all promises that are asked of it."""

from collections.abc import Iterator

import pyro
import pytest
from corpora import succeed
from tiny_families import FAMILIES, TinyRun, available


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Features of sounds are kept in a folder of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARDPP_DATA", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", params=FAMILIES)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    name = request.param
    root = tmp_path_factory.mktemp(name)
    available(name).write(root / "data")
    run = TinyRun(name, root / "data", root / "run")
    succeed(*run.command(run.folder))
    return run


@pytest.fixture
def no_validation() -> Iterator[None]:
    """Takes programs at their word: a new objective would run them several times more to check them."""
    with pyro.validation_enabled(False):
        yield
