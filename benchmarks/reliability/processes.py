"""Two processes against one: gradients, particles, weights, answers, and a process that is killed.

    python benchmarks/reliability/processes.py [--json FILE] [--only PART]

Two gloo processes on the CPU, a thread each, some five minutes on one core. Gradients are those that `hardpp
train` sums over processes and those of DistributedDataParallel, of batches that divide evenly and of one that
does not: of objectives that draw nothing the largest difference to one process's, relative to its largest
entry, wanted below 1e-5 in float32 and 1e-10 in float64; of others the largest difference of means in
standard errors, wanted below 5. Answers of a run of every family are wanted equal; figures of draws for whole
batches are drawn anew, and named. A process that is killed must end the others within 30 s, the same command
then goes on, and a run may be gone on with by one process and by two. Prints a table for each part; ends with
1 if anything is not as wanted.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import pairs_of_processes as pairs
import pyro
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from corpora import settings, write_corpus
from measured import commit
from pairs_of_processes import Row

from hardpp.runs.processes.ranks import Ranks

TOGETHER: dict[str, Callable[[Ranks, Path], Iterable[Row]]] = {
    "gradients": lambda ranks, work: pairs.gradients(ranks),
    "particles": lambda ranks, work: [pairs.particles(ranks)],
    "weights": lambda ranks, work: [pairs.weights(ranks)],
    "answers": pairs.answers,
}
STILL = {f"{which}dropout": 0.0 for which in ("", "embedding_", "symbol_", "guide_")}
SMALL = {
    "network": {"embedding": 8, "encoder": 8, "decoder": 8, "guide": 8, **STILL},
    "training": {"batch_size": 7, "log_every": 1, "patience": 1000},
    "threads": 1,
}


def together(rank: int, port: int, parts: list[str], work: str) -> None:
    """What both processes do; the first writes the rows."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    pyro.settings.set(module_local_params=True)
    dist.init_process_group("gloo", rank=rank, world_size=2)
    for part in parts:
        began = time.monotonic()
        rows = list(TOGETHER[part](Ranks(rank, 2, seed=3), Path(work)))
        if rank == 0:
            found = {"seconds": time.monotonic() - began, "rows": rows}
            (Path(work) / f"{part}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def spawned(parts: list[str], work: Path) -> dict[str, list[Row]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(together, args=(port, parts, str(work)), nprocs=2)
    return {part: json.loads((work / f"{part}.json").read_text())["rows"] for part in parts}


def command(work: Path, run: Path, epochs: int) -> list[str]:
    words = [
        "train",
        "--data",
        str(work / "words"),
        "--out",
        str(run),
        "--device",
        "cpu",
        "--evaluate",
        "none",
    ]
    words += [*settings(SMALL), "--max-epochs", str(epochs), "--checkpoint-every", "2"]
    return ["-m", "hardpp", *words, "--objective", "enum", "--guide", "variational"]


def started(size: int, words: list[str], log: Path) -> subprocess.Popen[bytes]:
    several = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={size}"]
    whole = [sys.executable, *(several if size > 1 else []), *words]
    with log.open("wb") as file:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(whole, stdout=file, stderr=file, env=environment, start_new_session=True)


def second_of(launcher: int) -> int | None:
    """The process of rank 1, once it is there."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    for child in children:
        if b"\0RANK=1\0" in b"\0" + Path(f"/proc/{child}/environ").read_bytes():
            return int(child)
    return None


def killed(work: Path, number: signal.Signals) -> Row:
    """One of two processes is sent a signal in the midst of training; the same command goes on."""
    run, log = work / f"run-{number.name}", work / "log"
    words = command(work, run, 30)
    process = started(2, words, log)
    deadline = time.monotonic() + 120
    while not (run / "checkpoints" / "latest").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    second = second_of(process.pid)
    assert second is not None
    os.kill(second, number)
    began = time.monotonic()
    code = process.wait(timeout=120)
    row: Row = {"signal": number.name, "seconds until all ended": time.monotonic() - began, "code": code}
    step = int((run / "checkpoints" / "latest").read_text().strip().removeprefix("step-"))
    row["checkpoint"], row["restarted"] = step, started(2, words, log).wait(timeout=240)
    row["went on from it"] = f"going on from step {step}" in log.read_text()
    row["ok"] = (
        row["seconds until all ended"] < 30 and code != 0 and row["went on from it"] and not row["restarted"]
    )
    return row


def changing(work: Path) -> Row:
    """A run of one process is gone on with by two and by one again, held against one that never changed."""
    run, log, codes = work / "changing", work / "log", []
    for epochs, size in ((2, 1), (4, 2), (6, 1)):
        codes.append(started(size, command(work, run, epochs), log).wait(timeout=240))
    alone, step = work / "alone", 0
    codes += [started(1, command(work, alone, epochs), log).wait(timeout=240) for epochs in (2, 4, 6)]
    bounds = []
    for folder in (run, alone):
        records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        step = records[-1]["step"]
        bounds.append([record["bound"] for record in records])
    apart = max(abs(two - one) for two, one in zip(*bounds, strict=True))
    row: Row = {"processes": "1, 2, 1", "steps": step, "codes": str(codes), "largest difference": apart}
    return row | {"ok": not any(codes) and apart < 1e-4}


def table(rows: list[Row]) -> str:
    """Rows as Markdown, with the columns of all of them."""
    columns = list(dict.fromkeys(key for row in rows for key in row))

    def cell(value: object) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        return f"{value:.2g}" if isinstance(value, float) else "" if value is None else str(value)

    lines = [" | ".join(columns), "|".join(["---"] * len(columns))]
    return "\n".join(
        f"| {line} |" for line in lines + [" | ".join(cell(row.get(c)) for c in columns) for row in rows]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [*TOGETHER, "killed", "changing"]
    parser.add_argument("--only", action="append", choices=names, help="parts of it; repeatable [all]")
    parser.add_argument("--json", type=Path, help="a file for the same rows")
    options = parser.parse_args()
    wanted = options.only or names
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        work = Path(folder)
        write_corpus(work / "words")
        found = spawned([name for name in TOGETHER if name in wanted], work)
        if "killed" in wanted:
            found["killed"] = [killed(work, number) for number in (signal.SIGKILL, signal.SIGTERM)]
        if "changing" in wanted:
            found["changing"] = [changing(work)]
        shutil.rmtree(work / "words")
    print(f"commit {commit()}, {time.monotonic() - began:.0f} s")
    for name, rows in found.items():
        print(f"\n{name}\n\n{table(rows)}")
    if options.json is not None:
        options.json.write_text(json.dumps({"commit": commit(), **found}, indent=2))
    sys.exit(not all(row["ok"] for rows in found.values() for row in rows))


if __name__ == "__main__":
    main()
