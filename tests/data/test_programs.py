"""Programs that are waited for end with the process that waits."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hardpp.data.programs import run_program
from hardpp.errors import DataError

WAITER = """
import sys
from hardpp.data.programs import run_program
run_program("sleep", ["sh", "-c", "echo $$ > $0; exec sleep 60", sys.argv[1]], "it failed", "")
"""


def runs(number):
    """Is a process there and no mere zombie, which a container's first process may never bury?"""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_output_status_and_folder_are_the_program_s(tmp_path):
    outcome = run_program("sh", ["sh", "-c", "pwd; echo told >&2; exit 3"], "it failed", "", folder=tmp_path)
    assert (outcome.stdout, outcome.stderr, outcome.returncode) == (f"{tmp_path}\n", "told\n", 3)


def test_a_program_that_is_not_there_is_told_in_one_sentence():
    with pytest.raises(DataError, match="it failed: nothing cannot be started") as caught:
        run_program("nothing", ["no-such-program"], "it failed", "hint")
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.skipif(sys.platform != "linux", reason="nobody else can be asked for that")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_it_ends_with_the_process_that_waits_for_it(tmp_path, number):
    told = tmp_path / "pid"
    waiter = subprocess.Popen([sys.executable, "-c", WAITER, str(told)], stderr=subprocess.DEVNULL)
    try:
        while not (told.exists() and told.read_text().strip()):
            time.sleep(0.01)
        program = int(told.read_text())
        waiter.send_signal(number)
        waiter.wait(timeout=10)
        for _ in range(500):
            if not runs(program):
                return
            time.sleep(0.01)
        pytest.fail("it is still running")
    finally:
        waiter.kill()
