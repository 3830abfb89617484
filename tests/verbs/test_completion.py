"""What a shell is offered, asked as its script asks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from corpora import fail, succeed
from own_guides import write_package

from hardpp.verbs import completion


def offered(line: str, cache: Path, code: str = "") -> list[str]:
    words = line.split(" ")
    asked = {"_HARDPP_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    program = (
        "import sys\nfrom hardpp.cli import main\ntry:\n    main(prog_name='hardpp')\nfinally:\n    pass"
    )
    program += code
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, **asked, "HARDPP_DATA": str(cache), "OMP_NUM_THREADS": "1"},
        timeout=120,
    )
    assert ended.stderr == ""
    return [reply.partition(",")[2] for reply in ended.stdout.splitlines()]


def test_names_are_offered_by_model_and_the_second_time_without_torch(tmp_path: Path) -> None:
    assert offered("hardpp train --model gl", tmp_path) == ["glimpse"]
    assert (tmp_path / "completion.json").is_file()
    light = "\n    assert 'torch' not in sys.modules, 'heavy'"
    assert offered("hardpp train --model glimpse --guide ", tmp_path, light) == [
        "variational",
        "prior",
        "replay",
    ]
    assert offered("hardpp train --objective vimco", tmp_path, light)[0] == "vimco"
    assert offered("hardpp train --data bible-de", tmp_path, light) == ["bible-de-en"]


def test_names_of_every_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARDPP_DATA", str(tmp_path / "cache"))
    assert completion.known_names("presets") == ["small", "quick", "paper"]
    assert "optimiser.learning_rate=" in completion.known_names("settings")
    assert completion.known_names("guides", "nobody") == []
    stored = tmp_path / "cache" / "completion.json"
    stored.write_text('{"changed": [], "names": {}}')  # of another version
    assert "alignment" in completion.known_names("models")
    stored.write_text("{")
    assert "elbo" in completion.known_names("objectives")


def test_names_that_packages_add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARDPP_DATA", str(tmp_path / "cache"))
    write_package(tmp_path, "theirs", {"hardpp.guides": {"near": "broken:Near"}})
    monkeypatch.syspath_prepend(str(tmp_path))
    assert completion.known_names("guides")[-1] == "near"
    assert "near" not in completion.known_names("objectives")


@pytest.mark.parametrize(("shell", "word"), [("bash", "complete"), ("zsh", "compdef"), ("fish", "complete")])
def test_scripts(shell: str, word: str) -> None:
    script = succeed("completion", shell)
    assert word in script
    assert "_HARDPP_COMPLETE" in script


def test_other_shells() -> None:
    fail(2, "completion", "tcsh")
