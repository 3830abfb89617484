"""The number of threads is the quickest one, is kept with the run, and choosing it changes nothing."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from corpora import TINY, fail, hashes, metrics, succeed, train_command

from hardpp.errors import ResourceError
from hardpp.runs import checkpoint, thread_timing, threads
from hardpp.runs.cores import check_threads, cores
from hardpp.runs.folder import create, open_run
from hardpp.runs.recorded_training import train
from hardpp.runs.session import Session
from hardpp.runs.thread_timing import Seconds, put_back, quickest, step_of, take
from hardpp.runs.threads import Threads, as_trained
from hardpp.tasks.configuration import resolve


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch only remembers the number: to compute with two threads takes long where the cores are busy."""
    number = [1]
    monkeypatch.setattr(torch, "get_num_threads", lambda: number[0])
    monkeypatch.setattr(torch, "set_num_threads", lambda wanted: number.__setitem__(0, wanted))
    with put_back():
        yield


def session_of(corpus: Path, **top: Any) -> Session:
    tables = {"objective": "elbo", "network": {**TINY["network"], "dropout": 0.4}}
    return Session(
        resolve([TINY, tables, {"data": {"name": str(corpus)}, "device": "cpu", **top}]), lambda text: None
    )


def machine(*by_number: float) -> Seconds:
    """A step whose seconds depend on torch's number of threads alone; a forward pass takes a third."""
    table = dict(zip((1, 2, 4, 8), by_number, strict=False))
    return lambda whole: table[torch.get_num_threads()] / (1 if whole else 3)


@pytest.mark.parametrize(
    ("seconds", "most", "best", "tried"),
    [
        ((1.0, 0.6), 2, 2, [1, 2]),
        ((1.0, 0.98), 2, 1, [1, 2]),  # hardly quicker: leave the core to others
        ((1.0, 10.0, 0.1), 4, 1, [1, 2]),
        ((1.0, 0.6, 0.4, 0.39), 8, 4, [1, 2, 4, 8]),
        ((1.0, 0.6), 1, 1, [1]),
    ],
)
def test_the_quickest_number_is_taken(
    seconds: tuple[float, ...], most: int, best: int, tried: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_timing, "small_operations", lambda number: take(number) or 1.0)
    timed = quickest(machine(*seconds), most, rounds=2)
    assert (timed.quickest, list(timed.seconds)) == (best, tried)
    assert timed.seconds[1] == pytest.approx(1.0)


def test_no_step_is_timed_with_threads_that_wait_for_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        thread_timing, "small_operations", lambda number: take(number) or (1.0 if number == 1 else 9.0)
    )
    assert quickest(machine(1.0), 2, rounds=1) == (1, {1: 1.0})  # 2 would be a KeyError


def test_timing_a_step_changes_nothing(corpus: Path) -> None:
    def tensors(session: Session, trainer: Any) -> dict[str, Any]:
        saved = trainer.checkpoint()
        return {**saved.model, **saved.optim, **session.objective(*session.programs).state_dict()}

    session = session_of(corpus)
    trainer = session.trainer()
    records = trainer.records()
    for _ in range(2):
        next(records)
    before = {name: value.clone() for name, value in tensors(session, trainer).items()}
    gradients = [parameter.grad.clone() for parameter in trainer.parameters if parameter.grad is not None]
    assert all(step_of(trainer)(whole) > 0 for whole in (True, False))
    after = tensors(session, trainer)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(map(torch.equal, gradients, [p.grad for p in trainer.parameters if p.grad is not None]))


def chosen_by(numbers: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Timing finds these numbers, one after the other."""
    found = iter(numbers)

    def timed(step: Seconds, most: int, *, rounds: int) -> thread_timing.Timed:
        number = next(found)
        return thread_timing.Timed(number, {1: 1.0, 2: 1.0})

    monkeypatch.setattr(threads, "quickest", timed)
    monkeypatch.setattr(threads, "cores", lambda: 2)


def test_it_is_said_and_looked_at_again_once_steps_are_slow(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen_by([2, 1, 1], monkeypatch)
    said: list[str] = []
    chosen = Threads("auto", session_of(corpus).trainer(), said.append, 2)
    chosen.begin(None)
    assert (torch.get_num_threads(), said) == (2, ["2 CPU threads: a step takes 1 s, 1 s with 1"])
    assert not any(chosen.step(1.0) for _ in range(40))
    assert not any(chosen.step(2.5) for _ in range(20))  # not much slower
    changed = [chosen.step(10.0) for _ in range(20)]
    assert changed.count(True) == 1
    assert torch.get_num_threads() == 1
    assert "times as long as before; 1 CPU thread" in said[-1]
    assert "it was 2" in said[-1]
    # As slow as that, but not slower: not again and again.
    assert not any(chosen.step(10.0) for _ in range(100))
    assert len(said) == 2


def test_a_number_that_was_given_is_kept(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen_by([], monkeypatch)
    chosen = Threads(2, session_of(corpus).trainer(), pytest.fail, 1)
    chosen.begin(1)
    assert torch.get_num_threads() == 2
    assert not any(chosen.step(seconds) for seconds in [1.0] * 30 + [100.0] * 30)


def test_steps_that_fail_are_left_for_training_to_explain(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(step: Seconds, most: int, *, rounds: int) -> thread_timing.Timed:
        take(2)
        raise RuntimeError("probability tensor contains nan")

    chosen_by([], monkeypatch)
    monkeypatch.setattr(threads, "quickest", failing)
    Threads("auto", session_of(corpus).trainer(), pytest.fail, 2).begin(None)
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(("there", "taken"), [(2, 2), (1, 1), (64, 1), (None, 1)])
def test_a_run_goes_on_with_the_number_of_its_checkpoint(
    there: int | None, taken: int, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen_by([1], monkeypatch)
    Threads("auto", session_of(corpus).trainer(), lambda text: None, 2).begin(there)
    assert torch.get_num_threads() == taken


def test_a_change_is_saved_at_once_and_the_run_goes_on_bit_for_bit(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Changing(Threads):
        def step(self, seconds: float) -> bool:
            assert seconds > 0
            if self.trainer.step == 3:
                torch.set_num_threads(2)
            return self.trainer.step == 3

    def leg(folder: Path, kind: Callable[..., Threads], stop: Callable[[], bool]) -> None:
        session = session_of(corpus)
        trainer, newest = session.trainer(), checkpoint.newest_sound(folder, print)
        if newest is None:
            create(folder, session.config, session.description)
        else:
            assert newest.checkpoint.state["threads"] == 2
            trainer.restore(newest.checkpoint)
        chosen = kind("auto", trainer, print, 2)
        if newest is not None:
            chosen.begin(threads.stated(newest.checkpoint.state))
        train(session, trainer, folder, stop=stop, watch=lambda r: None, report=print, threads=chosen)

    monkeypatch.setattr(threads, "cores", lambda: 2)
    leg(tmp_path / "whole", Changing, lambda: False)

    def kill() -> bool:
        if (tmp_path / "run" / "checkpoints" / "step-00000003").is_dir():
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        leg(tmp_path / "run", Changing, kill)
    assert metrics(tmp_path / "run")[-1]["step"] == 4
    assert hashes(tmp_path / "run")["step"] == "step-00000003"
    torch.set_num_threads(1)
    leg(tmp_path / "run", Threads, lambda: False)
    assert hashes(tmp_path / "run") == hashes(tmp_path / "whole")


def test_more_than_one_thread_is_deterministic_and_what_was_set_is_put_back() -> None:
    before = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    with put_back():
        take(2)
        assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (2, True)
        take(1)
        assert not torch.are_deterministic_algorithms_enabled()
        take(2)
    assert (torch.get_num_threads(), torch.get_deterministic_debug_mode()) == before


def test_verbs_compute_with_the_threads_of_the_training(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = json.loads(next(trained.glob("checkpoints/step-*/state.json")).read_text())
    assert state["threads"] == 1
    monkeypatch.setattr(threads, "best_state", lambda run: {"threads": 2})
    for there, taken in ((4, 2), (1, 1)):
        monkeypatch.setattr(threads, "cores", lambda there=there: there)
        as_trained(open_run(trained, "cpu"))
        assert torch.get_num_threads() == taken


def test_words_that_are_no_number_are_refused(corpus: Path, tmp_path: Path) -> None:
    for word in ("0", "many", "-1"):
        assert "threads: auto or a whole number" in fail(
            2, *train_command(corpus, tmp_path / "run", "--threads", word)
        )
    succeed(*train_command(corpus, tmp_path / "run", "--threads", "1", "--max-steps", "1"))
    assert "threads = 1" in (tmp_path / "run" / "config.toml").read_text()


@pytest.mark.parametrize(
    ("line", "files", "number"),
    [
        ("0::/job", {"job/cpu.max": "200000 100000\n"}, 2),
        ("0::/job/inner", {"job/cpu.max": "150000 100000", "job/inner/cpu.max": "max 100000"}, 1),
        ("0::/job", {"cpu.max": "300000 100000"}, 3),  # a container's own group is mounted at the top
        ("4:cpu,cpuacct:/", {"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4),
        ("4:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 5),
        ("4:cpuset:/", {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 5),
        ("0::/job", {"job/cpu.max": "10000 100000"}, 1),  # a tenth of a core is one thread
        ("nonsense", {}, 5),
    ],
)
def test_cores_of_control_groups(
    line: str, files: dict[str, str], number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(5)), raising=False)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "ours").write_text(f"{line}\n")
    assert cores(tmp_path, tmp_path / "ours") == number
    assert cores(tmp_path, tmp_path / "missing") == 5


def test_more_threads_than_can_be_started_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_threads(cores() + 3)
    begun = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if threading.active_count() > before + 2:
            raise RuntimeError("can't start new thread")
        begun(thread)

    before = threading.active_count()
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(ResourceError, match="1,000,000 threads cannot be started, but 3"):
        check_threads(1_000_000)
    assert threading.active_count() == before
