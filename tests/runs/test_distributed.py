"""Several processes train one run as one process does: torchrun with gloo on the CPU."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from corpora import hardpp, metrics, settings, write_corpus
from safetensors.torch import load_file
from torch import nn

from hardpp.errors import NumericalError, UsageError
from hardpp.runs import checkpoint
from hardpp.runs.distributed import ALONE, Ranks
from hardpp.types import ImageBatch

SMALL = {
    "network": {"embedding": 8, "encoder": 8, "decoder": 8, "guide": 8, "dropout": 0.0},
    "training": {"batch_size": 7, "log_every": 1, "max_epochs": 2},  # 7, 7, 7, 7, 7 and 5 data a step
    "threads": 1,
}
STILL = {f"{which}dropout": 0.0 for which in ("", "embedding_", "symbol_", "guide_")}


def command(data: Path, out: Path, *more: str) -> list[str]:
    words = ["train", "--data", str(data), "--out", str(out), "--device", "cpu", "--evaluate", "none"]
    return [*words, *settings(SMALL), *settings({"network": STILL}), *more]


def torchrun(size: int, *words: str | Path) -> subprocess.Popen[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={size}", "-m", "hardpp"]
    return subprocess.Popen(
        [sys.executable, *launcher, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, out, err


def weights(run: Path) -> dict[str, torch.Tensor]:
    newest = checkpoint.newest_sound(run, pytest.fail)
    assert newest is not None
    return load_file(newest.folder / "model.safetensors")


@pytest.mark.slow
def test_two_processes_train_as_one_and_go_on_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_corpus(tmp_path / "words")
    exact = ["--objective", "enum", "--guide", "variational"]
    assert hardpp(*command(data, tmp_path / "one", *exact)).exit_code == 0
    code, out, err = ended(torchrun(2, *command(data, tmp_path / "two", *exact)))
    assert (code, out) == (0, ""), err
    assert err.count("stopped: all 2 epochs are done") == 1  # one of them says what is going on
    alone, shared = metrics(tmp_path / "one"), metrics(tmp_path / "two")
    assert [record["step"] for record in shared] == [record["step"] for record in alone]
    for one, two in zip(alone, shared, strict=True):
        assert two["bound"] == pytest.approx(one["bound"], abs=1e-5)
    for name, value in weights(tmp_path / "one").items():
        torch.testing.assert_close(weights(tmp_path / "two")[name], value, rtol=0, atol=1e-5)
    more = command(data, tmp_path / "two", *exact, "--max-epochs")
    assert "going on from step 12" in hardpp(*more, "3").stderr
    assert "going on from step 18" in ended(torchrun(2, *more, "4"))[2]
    assert metrics(tmp_path / "two")[-1]["step"] == 24
    for rank, tables in (("0", 1), ("1", 0)):  # what is not shared is done by the first
        with monkeypatch.context() as patch:
            patch.setenv("RANK", rank)
            patch.setenv("WORLD_SIZE", "2")
            result = hardpp("evaluate", tmp_path / "two", "--limit", "3")
        assert (result.exit_code, result.stdout.count("PER")) == (0, tables)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_ends_one_process_ends_all_and_the_run_goes_on(number: signal.Signals, tmp_path: Path) -> None:
    data, run = write_corpus(tmp_path / "words"), tmp_path / "run"
    words = command(data, run, "--checkpoint-every", "2")
    longer = [*words, "--max-epochs", "15", "--set", "training.patience=15"]
    process = torchrun(2, *longer)
    deadline = time.monotonic() + 100
    while not (run / "checkpoints" / "latest").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    (second,) = [pid for pid in children(process.pid) if rank_of(pid) == "1"]
    os.kill(second, number)
    began = time.monotonic()
    code, _, err = ended(process)
    assert code != 0
    assert time.monotonic() - began < 30
    if number == signal.SIGTERM:
        assert err.count("stopped by signal 15") == 2
        assert f"exitcode  : {128 + 15}" in err
    newest = checkpoint.newest_sound(run, pytest.fail)
    assert newest is not None
    step = newest.checkpoint.state["step"]
    went_on = hardpp(*longer)
    assert (went_on.exit_code, f"going on from step {step}" in went_on.stderr) == (0, True)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def rank_of(pid: int) -> str | None:
    pairs = (entry.partition("=") for entry in Path(f"/proc/{pid}/environ").read_text().split("\0"))
    return {name: value for name, _, value in pairs}.get("RANK")


class Remembering(nn.Module):
    """Moves one buffer and leaves another."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([1.0, 2.0]))
        self.register_buffer("table", torch.tensor([0.1, float("-inf")]))


def talk(rank: int, port: int, folder: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=2)
    ranks = Ranks(rank, 2, seed=3)
    module, parameters = Remembering(), [nn.Parameter(torch.zeros(2)) for _ in range(3)]
    parameters[0].grad = torch.full((2,), 1.0 + rank)
    if rank:
        parameters[1].grad = torch.ones(2)
    found: dict[str, Any] = {"taught": ranks.sum_gradients(parameters)}
    found["gradients"] = [None if p.grad is None else p.grad.tolist() for p in parameters]
    with ranks.agreeing_buffers(module, rows=3 - 2 * rank):  # 3 rows and 1
        module.mean += torch.tensor([4.0, 0.0]) if rank else torch.tensor([0.0, 4.0])
    found["mean"], found["table"] = module.mean.tolist(), module.table.tolist()
    found["row"] = [int(ranks.first_row(torch.tensor(row if rank else -1))) for row in (2, -1)]
    found["largest"] = ranks.largest(15 * rank)
    try:
        ranks.none_failing(lambda: 1 / rank)  # which fails in the first
    except (NumericalError, ZeroDivisionError) as error:
        found["failed"] = isinstance(error, NumericalError) == bool(rank)
    draws = []
    for again in (0, 0, 1):
        ranks.seed_step(5, again)
        draws.append(float(torch.rand(())))
    found["noise"], found["drawn anew"] = draws[0], [draw == draws[0] for draw in draws]
    (Path(folder) / f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def test_what_they_agree_upon(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(talk, args=(port, str(tmp_path)), nprocs=2)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first.pop("noise") != second.pop("noise")
    assert first == second
    assert first == {
        "taught": True,
        "gradients": [[3.0, 3.0], [1.0, 1.0], None],
        "mean": [2.0, 5.0],
        "table": [pytest.approx(0.1, abs=1e-8), float("-inf")],
        "row": [5, -1],  # the third row of the second process
        "largest": 15,
        "failed": True,  # in both, in the first by its own error
        "drawn anew": [True, True, False],  # a step that is taken again after going back
    }


def test_rows_of_a_batch() -> None:
    batch = ImageBatch(torch.arange(5)[:, None, None, None], torch.arange(5))
    shares = [Ranks(rank, 3).share(batch) for rank in range(3)]
    assert [share.target.tolist() for share in shares] == [[0, 3], [1, 4], [2]]
    assert [share.source.flatten().tolist() for share in shares] == [[0, 3], [1, 4], [2]]
    assert ALONE.share(batch) is batch
    with pytest.raises(UsageError, match="a list cannot be shared by processes"):
        Ranks(0, 2).share([batch])
