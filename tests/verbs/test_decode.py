"""What `hardpp decode` prints, and what it warns of."""

from pathlib import Path

import pytest
from corpora import fail, hardpp, succeed, train_command, write_corpus

from hardpp.runs.folder import open_run
from hardpp.tasks.answers.decoded import Hypothesis
from hardpp.tasks.answers.decoding import DecodingRun


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("decode")
    succeed(*train_command(write_corpus(folder / "data"), folder / "run", "--max-steps", "2"))
    return folder / "run"


def test_symbols_that_training_never_saw_are_named(run: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("abc\n\nZaQaZ\n", encoding="utf-8")
    result = hardpp("decode", run, "--input", own)
    told = f"{own}:3: 'ZaQaZ' has symbols never seen in training: Z Q\n"
    assert result.stderr == f"warning: {told}"
    assert result.stdout.split("\n")[1] == ""
    assert len(result.stdout.splitlines()) == 3
    assert hardpp("--quiet", "decode", run, "--input", own).stderr == result.stderr
    message = fail(3, "decode", run, "--input", own, "--unknown", "stop")
    assert message.startswith(f"hardpp: {told}")
    own.write_text("a b\tZ\n", encoding="utf-8")
    result = hardpp("decode", run, "--input", own)
    assert "lines have 2 columns, of which the first is read\n" in result.stderr
    assert "'a b' has symbols never seen in training: ' '\n" in result.stderr
    own.write_text("z\n" * 9, encoding="utf-8")
    lines = hardpp("decode", run, "--input", own).stderr.splitlines()
    assert len(lines) == 6
    assert lines[-1] == "warning: 4 more have such symbols"


def test_symbols_that_training_never_saw_are_named_in_python(run: Path) -> None:
    opened = open_run(run, "cpu")
    with pytest.warns(UserWarning, match="text 2: 'Za' has symbols never seen in training: Z"):
        opened.decode(["a", "Za"])
    assert [(each.place, each.symbols) for each in opened.unseen(opened.select())] == []


def test_columns_of_every_style(run: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("abc\n\n", encoding="utf-8")
    words = ["decode", run, "--input", own]
    (best, second) = open_run(run, "cpu").decode(["abc"], nbest=2)[0].hypotheses
    assert best.exact
    cells = [f"{best.log_prob:.6f}", f"{best.probability:.6g}", "exact"]
    assert succeed(*words, "--scores").split("\n")[:2] == ["\t".join([best.text, *cells]), "\t\t\t"]
    rows = [line.split("\t") for line in succeed(*words, "--nbest", "2", "--format", "tsv").splitlines()]
    assert rows[0] == ["abc", "1", best.text, *cells]
    assert rows[1][:3] == ["abc", "2", second.text]
    assert rows[2] == [""] * 6
    shown = succeed(*words, "--nbest", "2").splitlines()
    assert [shown[0], shown[3]] == ["abc", ""]
    assert shown[1].endswith(f" {best.text}")
    assert "leave --scores out" in fail(2, *words, "--nbest", "2", "--scores")
    fail(2, *words, "--nbest", "0")
    approximate = succeed(*words, "--scores", "--keep", "1").split("\n")[0]
    assert approximate.endswith("\tapproximate")


def test_the_first_lines_are_printed_before_the_last_are_known(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: DecodingRun, items: object, options: object) -> object:
        yield from original(self, items, options)
        raise MemoryError

    from hardpp.tasks.alignment.run import AlignmentRun

    original = AlignmentRun._decode
    monkeypatch.setattr(AlignmentRun, "_decode", broken)
    own = tmp_path / "own.txt"
    own.write_text("a\nb\n", encoding="utf-8")
    result = hardpp("decode", run, "--input", own)
    assert (result.exit_code, len(result.stdout.splitlines())) == (6, 2)


def test_a_probability_is_one_at_most() -> None:
    assert Hypothesis("a", 1e-7, True).probability == 1.0
