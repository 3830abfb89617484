"""The command line as a process of its own."""

import os
import subprocess
import sys


def test_a_locale_without_letters_is_no_obstacle() -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "hardpp", "evaluate", "r\N{LATIN SMALL LETTER U WITH DIAERESIS}n"]
    ended = subprocess.run(command, capture_output=True, env={**os.environ, **plain}, timeout=60)
    assert ended.returncode == 4
    assert b"r\xc3\xbcn is not a run folder" in ended.stderr
