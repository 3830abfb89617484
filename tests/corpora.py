"""A tiny corpus with a rule, a tiny network, and a command line that is called in-process."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from hardpp.cli import main

RULE = {"a": "AH", "b": "B", "c": "K", "d": "D", "e": "EH"}
SIZES = {"train": 40, "dev": 10, "test": 10}
TINY = {
    "network": {"embedding": 8, "encoder": 8, "decoder": 8, "guide": 8},
    "training": {"batch_size": 8, "log_every": 2, "max_epochs": 2},
    "optimiser": {"warmup_steps": 2},
}


def write_corpus(folder: Path, seed: int = 0) -> Path:
    """train, dev and test.tsv of words that turn into phones letter by letter."""
    draw = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for part, size in SIZES.items():
        words = ["".join(draw.choice("abcde") for _ in range(draw.randint(1, 5))) for _ in range(size)]
        lines = [f"{word}\t{' '.join(RULE[letter] for letter in word)}\n" for word in words]
        (folder / f"{part}.tsv").write_text("".join(lines), encoding="utf-8")
    return folder


def settings(tables: dict[str, Any] | None = None, prefix: str = "") -> list[str]:
    """`--set` options of nested tables, by default those of the tiny network."""
    found: list[str] = []
    for key, value in (TINY if tables is None else tables).items():
        if isinstance(value, dict):
            found += settings(value, f"{prefix}{key}.")
        else:
            found += ["--set", f"{prefix}{key}={json.dumps(value)}"]
    return found


def train_command(data: Path, out: Path, *more: str) -> list[str]:
    return ["train", "--data", str(data), "--out", str(out), "--device", "cpu", *settings(), *more]


def hardpp(*words: str | Path) -> Result:
    """Runs a command line in this process; standard output and error are kept apart."""
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


def succeed(*words: str | Path) -> str:
    """The standard output of a command that must end well."""
    result = hardpp(*words)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def fail(code: int, *words: str | Path) -> str:
    """The standard error of a command that must end in this code, in a sentence and not a traceback."""
    result = hardpp(*words)
    assert result.exit_code == code, (result.exit_code, result.stdout, result.stderr)
    assert "Traceback" not in result.stderr
    return result.stderr


def metrics(run: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without the times."""
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [{key: value for key, value in json.loads(line).items() if key != "time"} for line in lines]


def hashes(run: Path, marker: str = "latest") -> dict[str, str]:
    """SHA-256 of the tensors of a marked checkpoint, with its step."""
    folder = run / "checkpoints" / (run / "checkpoints" / marker).read_text().strip()
    files: dict[str, dict[str, str]] = json.loads((folder / "MANIFEST.json").read_text())["files"]
    return {"step": folder.name, **{name: entry["sha256"] for name, entry in files.items()}}


def flat(tables: Sequence[dict[str, Any]], key: str) -> list[Any]:
    return [row[key] for row in tables if key in row]
