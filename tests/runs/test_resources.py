"""Networks that do not fit into memory, and runs that do not fit onto a disk, are refused before."""

from pathlib import Path

import pytest
import torch
from corpora import fail, train_command, write_corpus
from torch import nn

from hardpp.errors import CheckpointError, ResourceError
from hardpp.runs import resources
from hardpp.runs.resources import check_fits, check_room, check_same_size, free_memory
from hardpp.tasks.family import Programs

CPU = torch.device("cpu")


def test_the_memory_that_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = nn.Linear(2, 2, bias=False)

    def build() -> Programs:
        own = nn.Linear(9, 10)  # 100 numbers
        return Programs(nn.ModuleList([own, shared]), own)

    monkeypatch.setattr(resources, "free_memory", lambda device: 5 * 4 * 100)
    check_fits(build, CPU)  # what was there before needs no more memory, and nothing counts twice
    monkeypatch.setattr(resources, "free_memory", lambda device: 5 * 4 * 100 - 1)
    with pytest.raises(ResourceError, match="to train 100 parameters"):
        check_fits(build, CPU)


def test_random_numbers_stay_as_they_are() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    check_fits(lambda: Programs(nn.LSTM(4, 4), nn.Linear(4, 4)), CPU)
    assert torch.equal(torch.get_rng_state(), before)
    assert (free_memory(CPU) or 1) > 0


def test_room_for_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = Programs(nn.Linear(9, 10), nn.Linear(1, 1, bias=False))  # 101 numbers of 4 bytes
    usage = resources.shutil.disk_usage(tmp_path)
    asked = []

    def free(number: int) -> None:
        monkeypatch.setattr(
            resources.shutil, "disk_usage", lambda path: asked.append(path) or usage._replace(free=number)
        )

    free(2 * 4 * 4 * 101)
    check_room(tmp_path / "not" / "there", programs)
    assert asked == [tmp_path]
    free(2 * 4 * 4 * 101 - 1)
    with pytest.raises(ResourceError, match="checkpoints take 0 MiB"):
        check_room(tmp_path / "run", programs)
    data = write_corpus(tmp_path / "words")
    assert "make room there" in fail(6, *train_command(data, tmp_path / "run"))
    assert not (tmp_path / "run" / "config.toml").exists()


def test_a_command(tmp_path: Path) -> None:
    data = write_corpus(tmp_path / "words")
    command = train_command(data, tmp_path / "run", "--set", "network.decoder=65536")
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


def test_a_network_far_larger_than_its_weights_is_refused_before_it_is_made(tmp_path: Path) -> None:
    weights = {"weight": torch.zeros(1000)}
    check_same_size(lambda: Programs(nn.Linear(10, 100), nn.Identity()), weights, tmp_path)
    message = r"does not fit its run's configuration \(its networks would have 40,000,400,000 bytes, and its"
    with pytest.raises(CheckpointError, match=message):
        check_same_size(lambda: Programs(nn.Linear(100_000, 100_000), nn.Identity()), weights, tmp_path)
