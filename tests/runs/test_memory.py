"""Networks that do not fit are refused before they are made."""

from pathlib import Path

import pytest
import torch
from corpora import fail, train_command, write_corpus
from torch import nn

from hardpp.errors import ResourceError
from hardpp.runs import memory
from hardpp.runs.memory import check_fits, free_memory
from hardpp.tasks.family import Programs

CPU = torch.device("cpu")


def test_the_memory_that_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = nn.Linear(2, 2, bias=False)

    def build() -> Programs:
        own = nn.Linear(9, 10)  # 100 numbers
        return Programs(nn.ModuleList([own, shared]), own)

    monkeypatch.setattr(memory, "free_memory", lambda device: 5 * 4 * 100)
    check_fits(build, CPU)  # what was there before needs no more memory, and nothing counts twice
    monkeypatch.setattr(memory, "free_memory", lambda device: 5 * 4 * 100 - 1)
    with pytest.raises(ResourceError, match="to train 100 parameters"):
        check_fits(build, CPU)


def test_random_numbers_stay_as_they_are() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    check_fits(lambda: Programs(nn.LSTM(4, 4), nn.Linear(4, 4)), CPU)
    assert torch.equal(torch.get_rng_state(), before)
    assert (free_memory(CPU) or 1) > 0


def test_a_command(tmp_path: Path) -> None:
    data = write_corpus(tmp_path / "words")
    command = train_command(data, tmp_path / "run", "--set", "network.decoder=1000000")
    assert "GiB" in fail(6, *command)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("training.weight_noise=1e300", "training.weight_noise"),
        ("inference.particles=100000", "inference.particles"),
        ('init_from=""', "init_from"),
    ],
)
def test_numbers_have_a_range(tmp_path: Path, setting: str, told: str) -> None:
    data = write_corpus(tmp_path / "words")
    assert told in fail(2, *train_command(data, tmp_path / "run", "--set", setting))
