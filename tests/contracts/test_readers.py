"""Whatever is in a file, its reader gives a value or one sentence; HARDPP_FUZZED=5000 tries more copies."""

import os
from pathlib import Path

import pytest
from fuzzed.catalogue import READERS
from fuzzed.reader import Case
from hypothesis import given, settings
from hypothesis import strategies as st

COPIES = int(os.environ.get("HARDPP_FUZZED", "10"))  # of each reader's file


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_read_or_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    if reader.extra:
        pytest.importorskip(reader.extra)
    case = Case(reader, tmp_path)

    @settings(max_examples=COPIES, derandomize=True, deadline=None, database=None)
    @given(st.integers(0, 2**32 - 1))
    def damaged(number: int) -> None:
        outcome = case.outcome(number)
        assert outcome.kind != "fault", outcome.told

    damaged()
