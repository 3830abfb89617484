"""`python -m benchmarks`: its scripts are there, tables are read, and the page is that of the results."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def command() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmarks_command", ROOT / "benchmarks" / "__main__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_script_is_there_and_has_a_quick_way(command: ModuleType) -> None:
    for script in command.SCRIPTS.values():
        assert '"--quick"' in (ROOT / "benchmarks" / script).read_text(encoding="utf-8"), script
        assert command.about(script).endswith((".", ":")), script


def test_the_page_is_that_of_the_results(command: ModuleType) -> None:
    assert command.PAGE.read_text(encoding="utf-8") == command.page()


def test_tables_are_read(command: ModuleType) -> None:
    lines = ["ten rounds", "", "| a | b |", "|---|---|", "| 1 | two words |", "", "| c |", "|---|"]
    assert command.tables(lines) == [
        {"title": "ten rounds", "columns": ["a", "b"], "rows": [["1", "two words"]]},
        {"title": "ten rounds", "columns": ["c"], "rows": []},
    ]


def test_a_result_is_a_section(command: ModuleType, tmp_path: Path) -> None:
    result = {
        "about": "What it measures.",
        "command": "python -m benchmarks startup",
        "commit": "abcdef1",
        "date": "2026-11-30",
        "machine": {"cores": 2, "processor": "AMD EPYC", "memory_gib": 24, "gpu": "one"},
        "versions": {"torch": "2.13.0"},
        "output": "| a |\n|---|\n| 1 |",
    }
    (tmp_path / "startup.json").write_text(json.dumps(result), encoding="utf-8")
    page = command.page(tmp_path)
    assert "## startup\n\nWhat it measures.\n\n| a |" in page
    assert "commit abcdef1, 2026-11-30: 2 cores of AMD EPYC, 24 GiB, one; torch 2.13.0." in page


def test_an_unknown_name_is_refused(command: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks", "nothing"])
    with pytest.raises(SystemExit):
        command.main()
