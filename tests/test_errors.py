from pathlib import Path

import pytest
from corpora import TINY, write_corpus

import hardpp
from hardpp.errors import ResourceError, UsageError, mended, out_of_memory


def test_memory_that_ran_out() -> None:
    assert out_of_memory(MemoryError())
    assert out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"))
    assert out_of_memory(RuntimeError("Storage size calculation overflowed with sizes=[7, 2]"))
    assert not out_of_memory(RuntimeError("shapes differ"))


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied", "x"), MemoryError()])
def test_what_the_user_can_mend_is_one_of_ours(error: Exception) -> None:
    with pytest.raises(ResourceError, match=r"x: Permission denied|out of memory") as caught, mended():
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [ValueError("x"), RuntimeError("x"), UsageError("x")])
def test_other_errors_stay_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, mended():
        raise error
    assert caught.value is error


def test_a_run_that_cannot_be_written_is_refused_in_python_too(tmp_path: Path) -> None:
    data = write_corpus(tmp_path / "data")
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="file/run: Not a directory"):
        hardpp.train(data=data, settings=TINY, device="cpu", out=tmp_path / "file" / "run")
