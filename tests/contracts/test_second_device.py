"""Runs `second_device.py` in processes of their own, since torch keeps a device that it once knows."""

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).with_name("second_device.py")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("some", ["test_a_training_step", "not test_a_training_step"])
def test_on_a_second_device(some: str) -> None:
    words = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-n", "0", str(TESTS), "-k", some]
    ended = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-4000:]
