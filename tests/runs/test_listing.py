"""What `hardpp runs` lists, and that it trusts nothing that it reads."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from corpora import fail, succeed

from hardpp.errors import CheckpointError
from hardpp.runs.listing import list_runs


@pytest.fixture(scope="module")
def folder(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that are whole, damaged in several ways, or not complete, and folders that are no runs."""
    root = tmp_path_factory.mktemp("several") / "runs"
    for name in ("whole", "seeds/seed-0", "cut", "altered", "toml", "unconfigured", "unfinished", "foreign"):
        shutil.copytree(trained, root / name)
    (best,) = {(root / "cut" / "checkpoints" / "best").read_text().strip()}
    optim = root / "cut" / "checkpoints" / best / "optim.safetensors"
    optim.write_bytes(optim.read_bytes()[:-1])
    state = root / "altered" / "checkpoints" / best / "state.json"
    state.write_text(state.read_text().replace('"step": 10', '"step": 99'))
    (root / "toml" / "config.toml").write_text("model = [")
    (root / "unconfigured" / "config.toml").unlink()
    (root / "unfinished" / "summary.json").unlink()
    config = root / "foreign" / "config.toml"
    text = config.read_text().replace('objective = "elbo"', 'objective = "no.such_module:Objective"')
    config.write_text(text.replace('guide = "variational"', 'guide = "\\u001b[31mred"'))
    (root / "notes").mkdir()
    (root / "notes" / "config.toml").write_text("")  # somebody else's
    return root


@pytest.fixture(scope="module")
def rows(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["run"]: row for row in list_runs(folder)}


def test_a_row_for_every_run_and_none_for_other_folders(rows: dict[str, dict[str, Any]]) -> None:
    assert list(rows) == [
        *("altered", "cut", "foreign", "seeds/seed-0", "toml", "unconfigured", "unfinished", "whole"),
    ]


def test_a_whole_run_says_what_it_came_to(rows: dict[str, dict[str, Any]], trained: Path) -> None:
    row, summary = rows["whole"], json.loads((trained / "summary.json").read_text())
    assert row == rows["seeds/seed-0"] | {"run": "whole"}
    assert (row["model"], row["guide"], row["objective"], row["seed"]) == (
        *("alignment", "variational", "elbo", 0),
    )
    assert (row["figure"], row["value"], row["step"]) == ("PER", summary["PER"], summary["step"])
    lines = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert row["bound"] == max(line["bound"] for line in lines if line["split"] == "dev")
    assert (row["evaluation"], row["state"]) == ("full", "complete")


@pytest.mark.parametrize(
    ("run", "says"),
    [
        ("cut", "optim.safetensors is missing or truncated"),
        ("altered", "state.json was altered"),
        ("toml", "not a readable TOML file"),
        ("unconfigured", "config.toml"),
    ],
)
def test_a_damaged_run_says_so_with_what_is_left(
    run: str, says: str, rows: dict[str, dict[str, Any]]
) -> None:
    assert rows[run]["state"].startswith("damaged: ")
    assert says in rows[run]["state"]
    assert rows[run]["figure"] == "PER"
    assert (rows[run]["step"] is None) == (run in ("cut", "altered"))


def test_runs_that_are_not_complete_or_name_code(rows: dict[str, dict[str, Any]]) -> None:
    assert (rows["unfinished"]["state"], rows["unfinished"]["figure"]) == ("not complete", None)
    foreign = rows["foreign"]
    assert (foreign["objective"], foreign["state"]) == ("no.such_module:Objective", "complete")
    assert foreign["guide"] == "\N{REPLACEMENT CHARACTER}[31mred"  # nothing that a terminal would obey


def test_on_the_command_line(folder: Path, rows: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    assert json.loads(succeed("runs", folder, "--format", "json")) == list(rows.values())
    (alone,) = json.loads(succeed("runs", folder / "whole", "--format", "json"))
    assert alone == rows["whole"] | {"run": str(folder / "whole")}
    assert succeed("runs", tmp_path).strip() == ""
    assert "is no folder" in fail(4, "runs", tmp_path / "nothing")
    with pytest.raises(CheckpointError, match="is no folder"):
        list_runs(tmp_path / "nothing")
