"""Runs of the model `alignment` on a few words, trained once a file of tests."""

from pathlib import Path

import pytest
from corpora import succeed, train_command, write_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "run"
    succeed(*train_command(corpus, out))
    return out
