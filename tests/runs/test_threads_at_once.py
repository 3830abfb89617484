"""Programs of two threads never run at once: each has what it would have alone."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from corpora import write_corpus
from tiny_families import tiny_settings

import hardpp


def together(*calls: Callable[[], Any]) -> list[Any]:
    """What each call gives, in threads that begin at once."""
    found: dict[int, Any] = {}
    begin = threading.Barrier(len(calls))

    def call(number: int) -> None:
        begin.wait(60)
        found[number] = calls[number]()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found.get(number) for number in range(len(calls))]


def test_threads_train_and_answer_in_turn(tmp_path: Path) -> None:
    write_corpus(tmp_path / "words")
    told: list[str] = []

    def figures(seed: int, out: str) -> dict[str, Any]:
        run = hardpp.train(
            model="alignment",
            guide="variational",
            data=tmp_path / "words",
            seed=seed,
            max_steps=12,
            settings=tiny_settings("alignment"),
            out=tmp_path / out,
            report=told.append,
        )
        return run.evaluate()

    alone = [figures(0, "a"), figures(1, "b")]
    assert not any("waiting" in line for line in told)
    assert together(lambda: figures(0, "c"), lambda: figures(1, "d")) == alone
    assert sum("waiting for another thread" in line for line in told) >= 1
    run = hardpp.open_run(tmp_path / "a")
    answers = run.decode_each()
    first = next(answers)  # what is not asked for the rest holds nobody up
    assert [answer.text for answer in together(lambda: next(run.decode_each()))] == [first.text]
    assert len([*answers]) == len(run.select()) - 1
