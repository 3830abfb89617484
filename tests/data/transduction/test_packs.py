"""One process packs pairs, and others wait for it."""

import time
from pathlib import Path
from threading import Event, Thread

import pytest

from hardpp.data.transduction.packs import built, kept


def test_others_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARDPP_DATA", str(tmp_path / "cache"))
    begun, made, told = Event(), list[str](), list[str]()

    def slowly(folder: Path) -> None:
        begun.set()
        time.sleep(0.2)
        (folder / "pack.json").write_text("{}")
        made.append("slowly")

    first = Thread(target=built, args=("pairs-1", slowly, told.append))
    first.start()
    begun.wait(10)
    folder = built("pairs-1", lambda folder: made.append("again"), told.append)
    first.join()
    assert (made, told) == (["slowly"], ["waiting for another process, which reads the same pairs"])
    assert (kept("pairs-1"), kept("pairs-2")) == (folder, None)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["pairs-1"]


def test_what_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARDPP_DATA", str(tmp_path / "cache"))

    def fail(folder: Path) -> None:
        (folder / "half").write_text("")
        raise LookupError("there is none")

    with pytest.raises(LookupError):
        built("pairs-1", fail, pytest.fail)
    assert list((tmp_path / "cache").iterdir()) == []
