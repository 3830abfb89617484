"""Several processes train one run as one process does: torchrun with gloo on the CPU."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from typing import Any

import click
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from click.testing import CliRunner
from corpora import fail, hardpp, metrics, settings, succeed, write_corpus
from safetensors.torch import load_file
from torch import nn

from hardpp.errors import DataError, NumericalError, ResourceError, UsageError
from hardpp.runs import checkpoint
from hardpp.runs.processes.ranks import ALONE, Ranks
from hardpp.runs.processes.shared_answers import SharedAnswers
from hardpp.types import ImageBatch
from hardpp.verbs.exit_codes import OrderedGroup
from hardpp.verbs.output import write_lines

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
def test_two_processes_train_as_one_and_go_on_as_one(tmp_path: Path) -> None:
    data = write_corpus(tmp_path / "words")
    exact = ["--objective", "enum", "--guide", "variational"]
    assert hardpp(*command(data, tmp_path / "one", *exact)).exit_code == 0
    code, out, err = ended(torchrun(2, *command(data, tmp_path / "two", *exact, "--evaluate", "full")))
    assert (code, out.count("PER")) == (0, 1), err
    (figures,) = json.loads(succeed("evaluate", tmp_path / "two", "--format", "json"))
    assert json.loads((tmp_path / "two" / "summary.json").read_text()) == pytest.approx(
        figures | {"evaluation": "full"}, abs=1e-6
    )
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
    shared = SharedAnswers(ranks)

    def half(number: int) -> tuple[int, bool]:
        if number == 12:
            raise DataError("what 12 is", "is odd")
        if number == 13:
            raise LookupError("a fault")
        return number // 2, number % 4 // 2 == rank

    def each(*numbers: int, **how: bool) -> list[Any]:
        return list(shared.each(((number,) for number in numbers), half, torch.device("cpu"), **how))

    for numbers in ((), (0,), (0, 2, 4, 6, 8)):  # each of its own, and all know all
        found[f"halves of {len(numbers)}"] = each(*numbers)
    found["for the first alone"] = [len(each(0, 2, 4, first_alone=True)), 3 - 3 * rank]
    for faulty in ((0, 12), (12, 2), (0, 13), (13, 0)):
        try:
            each(*faulty)
        except (DataError, ResourceError, LookupError) as error:
            found[f"failed at {faulty}"] = [str(error), getattr(error, "everywhere", False)]
    found["noise of batches"] = [
        value
        for _, value in shared.each(
            ((n,) for n in range(3)), lambda n: float(torch.rand(())), torch.device("cpu")
        )
    ]
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
    for found in (first, second):
        number, expected = found.pop("for the first alone")
        assert number == expected
    fault = "another process has failed (LookupError: a fault)"
    for faulty, at in (((0, 13), 1), ((13, 0), 0)):
        told = [found.pop(f"failed at {faulty}") for found in (first, second)]
        assert told[at] == ["a fault", False]  # where it is seen with its traceback
        assert told[1 - at] == [fault, True]
    noise = first.pop("noise of batches")
    assert len({*noise}) == 3
    assert second.pop("noise of batches") == noise
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
        "halves of 0": [],
        "halves of 1": [[0, [0, True]]],
        "halves of 5": [[number, [number // 2, True]] for number in (0, 2, 4, 6, 8)],
        "failed at (0, 12)": ["what 12 is", True],
        "failed at (12, 2)": ["what 12 is", True],
    }


def test_rows_of_a_batch() -> None:
    batch = ImageBatch(torch.arange(5)[:, None, None, None], torch.arange(5))
    shares = [Ranks(rank, 3).share(batch) for rank in range(3)]
    assert [share.target.tolist() for share in shares] == [[0, 3], [1, 4], [2]]
    assert [share.source.flatten().tolist() for share in shares] == [[0, 3], [1, 4], [2]]
    assert ALONE.share(batch) is batch
    with pytest.raises(UsageError, match="a list cannot be shared by processes"):
        Ranks(0, 2).share([batch])


def test_what_is_not_shared_is_done_by_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, lists = tmp_path / "run", []
    succeed(*command(write_corpus(tmp_path / "words"), run, "--max-steps", "2"))
    for rank in ("0", "1"):
        with monkeypatch.context() as patch:
            patch.setenv("RANK", rank)
            patch.setenv("WORLD_SIZE", "2")
            lists.append(succeed("runs", tmp_path))
            pipe = tmp_path / f"pipe-{rank}"  # which can be read by one alone
            os.mkfifo(pipe)
            Thread(target=pipe.write_text, args=("abc\n",), daemon=True).start()
            assert succeed("decode", run, "--input", pipe).count("\n") == 1 - int(rank)
            assert "can be read by one process" in fail(2, "train", "--data", pipe, "--out", tmp_path / "new")
            write_lines(lambda: ["line"], tmp_path / f"written-{rank}", force=False)
    assert ("run" in lists[0], lists[1]) == (True, "")
    assert [(tmp_path / f"written-{rank}").exists() for rank in range(2)] == [True, False]


def test_what_all_fail_with_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    error = DataError("there is none")
    error.everywhere = True

    @click.command()
    def failing() -> None:
        raise error

    group, told = OrderedGroup(commands={"failing": failing}), []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("WORLD_SIZE", "2")
        result = CliRunner().invoke(group, ["failing"])
        assert result.exit_code == 3
        told.append(result.stderr)
    assert told == ["hardpp: there is none\n", ""]
