"""Data do not command a terminal, and are not altered on a pipe."""

import os
import pty
import subprocess
import sys
import warnings
from pathlib import Path

import click
import pytest
from corpora import hardpp, train_command, write_corpus

from hardpp.errors import UsageError
from hardpp.verbs.exit_codes import OrderedGroup
from hardpp.verbs.terminal import legible

TAB = "\t"
NASTY = "\x1b[31mred\x1b]0;title\x07\x9b2J"


def test_control_characters_are_written_out() -> None:
    assert legible(NASTY) == "\\x1b[31mred\\x1b]0;title\\x07\\x9b2J"
    assert legible("txt.\u202egnp") == "txt.\\u202egnp"
    assert legible("kuća\t日本\n") == "kuća\t日本\n"


def shown(command: list[str], folder: Path) -> bytes:
    """What a command writes to a terminal."""
    own, theirs = pty.openpty()
    process = subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, cwd=folder)
    os.close(theirs)
    text = b""
    while True:
        try:
            part = os.read(own, 4096)
        except OSError:  # Linux's way to say that nobody writes any more
            break
        if not part:
            break
        text += part
    assert process.wait(60) == 0
    return text


def test_what_is_decoded(tmp_path: Path) -> None:
    data, run = write_corpus(tmp_path / "words"), tmp_path / "run"
    for part in data.iterdir():
        lines = part.read_text().splitlines()
        sources = dict.fromkeys(line.partition(TAB)[0] for line in lines)
        part.write_text("".join(f"{source}{TAB}{NASTY} b\n" for source in sources))
    assert hardpp(*train_command(data, run, "--objective", "exact", "--max-epochs", "40")).exit_code == 0
    command = [sys.executable, "-m", "hardpp", "decode", str(run), "--limit", "3"]
    piped = subprocess.run(command, capture_output=True, check=True).stdout
    terminal = shown(command, tmp_path)
    assert NASTY.encode() in piped
    assert b"\x1b" not in terminal
    assert legible(NASTY).encode() in terminal


@pytest.mark.parametrize("words", [("train", "--model", NASTY), ("evaluate", NASTY)])
def test_messages(words: tuple[str, ...]) -> None:
    result = hardpp(*words)
    assert result.exit_code in (2, 4)
    assert "\x1b" not in result.stderr
    assert "\\x1b[31mred" in result.stderr


def test_a_message_has_the_length_of_a_sentence() -> None:
    assert len(str(UsageError("x" * 10**6))) < 1000
    assert len(str(UsageError("word " * 10**6))) < 2000
    path = "/".join(["folder"] * 60)
    assert path in str(UsageError(f"{path}: no such file"))
    for name in ("9" * 5000, "a\0b", "[" * 500):
        assert hardpp("train", "--data", name).exit_code == 2


def test_warnings_of_libraries_do_not_command_it_either() -> None:
    @click.group(cls=OrderedGroup)
    def group() -> None:
        pass

    @group.command()
    def warn() -> str:
        return warnings.formatwarning(NASTY, UserWarning, "plot.py", 1)

    assert legible(NASTY) in group(["warn"], standalone_mode=False)
    assert NASTY in warnings.formatwarning(NASTY, UserWarning, "plot.py", 1)
