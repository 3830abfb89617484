"""Options of the whole command line, help of one family, and data of the wrong kind."""

from pathlib import Path

import pytest
from corpora import fail, hardpp, succeed, train_command, write_corpus
from image_files import write_idx

from hardpp import __version__
from hardpp.verbs.tables import figures_table, table


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "data")


@pytest.fixture(scope="module")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    result = hardpp("--quiet", *train_command(corpus, folder, "--max-steps", "2"))
    assert (result.exit_code, result.stderr) == (0, "")
    return folder


def test_version() -> None:
    assert succeed("-V") == succeed("--version") == f"hardpp, version {__version__}\n"


def test_quiet_and_verbose(run: Path) -> None:
    words = ["decode", run, "--limit", "1"]
    assert hardpp(*words).stderr == ""
    for verbose in (hardpp("--verbose", *words), hardpp(*words, "--verbose")):
        opened, read, took = verbose.stderr.splitlines()
        assert opened.startswith(f"<run {run}: alignment, variational guide, elbo>: step 2")
        assert read.startswith("read ")
        assert took.startswith("decode: ")
    assert "give one of them" in fail(2, "--quiet", *words, "--verbose")
    assert hardpp("--quiet", "evaluate", run.parent).stderr.startswith("hardpp: ")  # errors are told


def test_help_is_that_of_one_family(run: Path) -> None:
    brief, own = succeed("evaluate", "--help"), succeed("evaluate", run, "--help")
    assert len(brief.splitlines()) < 48
    assert "--draws" in brief
    assert "--draws" not in own
    assert "hypotheses kept; 1 is greedy [the run's]" in " ".join(own.split())
    assert "Figures (alignment):" in own
    glimpse = succeed("train", "--model", "glimpse", "--help")
    assert "Data (glimpse):" in glimpse
    assert "network.glimpses" in glimpse
    assert "alignment)" not in glimpse
    assert "Data (alignment):" in succeed("train", "--help")
    assert "did you mean 'glimpse'" in fail(2, "train", "--model=glimps", "--help")


def test_data_of_another_kind_are_refused_with_who_reads_them(
    run: Path, corpus: Path, tmp_path: Path
) -> None:
    images = write_idx(tmp_path / "images", side=12)
    for words in (["train", "--data", images], ["evaluate", run, "--data", images]):
        message = fail(2, *words)
        assert f"{images} seems to hold pictures, and model alignment reads TSV lists" in message
        assert "--model glimpse, saccader, masked-image and image-vae" in message
    message = fail(2, "train", "--model", "glimpse", "--data", corpus)
    assert "seems to hold TSV lists, and model glimpse reads pictures" in message
    assert "--model alignment and online-alignment" in message
    (tmp_path / "words.csv").write_text("a,A\n")
    speech = ("train", "--model", "online-alignment")
    message = fail(2, *speech, "--data", tmp_path / "words.csv")
    assert "is a .csv file with commas between its fields" in message
    assert f"> {tmp_path / 'words.tsv'}" in message
    (tmp_path / "words.csv").write_text("a;A\n")
    message = fail(2, *speech, "--data", tmp_path / "words.csv")
    assert "with semicolons between its fields" in message
    assert "if no field has a semicolon in it: tr ';' '\\t' <" in message
    (tmp_path / "words.csv").write_text("a\tA\n")
    message = fail(2, *speech, "--data", tmp_path / "words.csv")
    assert "with TABs between its fields" in message
    assert f"mv {tmp_path / 'words.csv'} {tmp_path / 'words.tsv'}" in message


def test_a_misspelt_file_is_told_from_one_that_is_nowhere(tmp_path: Path) -> None:
    (tmp_path / "words.tsv").write_text("a\tA\n")
    message = fail(2, "train", "--data", tmp_path / "wrods.tsv")
    assert message == (
        f"hardpp: there is no file or folder '{tmp_path}/wrods.tsv'; did you mean '{tmp_path}/words.tsv'?\n"
    )
    assert "did you mean" not in fail(2, "train", "--data", tmp_path / "pairs.tsv")
    assert "did you mean" not in fail(2, "train", "--data", tmp_path / "none" / "words.tsv")


def test_headings_and_few_lines(tmp_path: Path) -> None:
    own = tmp_path / "own.tsv"
    own.write_text("Word\tphones\n" + "".join(f"{n}\tN\n" for n in range(200)))
    result = hardpp("train", "--data", own, "--dry-run")
    assert f"{own}:1: a heading, comment or blank line, which is no pair" in result.stderr
    own.write_text("a\tA\nb\tB\nc\tC\n")
    assert "bring 100 lines or more" in fail(3, "train", "--data", own)


def test_figures_are_rows_and_tables_fit_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"error": 0.5, "kl": None, "step": 3}
    assert figures_table(row, "table") == "error  0.5000\nkl\nstep   3"
    assert figures_table(row, "csv") == table([row], "csv") == "error,kl,step\n0.5,,3"
    wide = [{"name": "a", "what": "words " * 40, "size": "9"}]
    assert len(table(wide, "table").splitlines()) == 2
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    lines = table(wide, "table").splitlines()
    assert max(map(len, lines)) <= 60
    assert " ".join(" ".join(lines[1:]).split()).count("words") == 40
    assert lines[1].split()[0] == "a"
    assert lines[1].split()[-1] == "9"


@pytest.mark.parametrize(
    ("setting", "meant"),
    [
        ("optimiser.lr", "optimiser.learning_rate"),
        ("lr", "optimiser.learning_rate"),
        ("optimiser.wd", "optimiser.weight_decay"),
        ("training.batch", "training.batch_size"),
        ("epochs", "training.max_epochs"),
        ("optimiser.l2", "optimiser.weight_decay"),
        ("dropout", "network.dropout"),
    ],
)
def test_settings_by_other_names(setting: str, meant: str, corpus: Path) -> None:
    message = fail(2, "train", "--data", corpus, "--set", f"{setting}=1")
    assert f"did you mean {meant!r}?" in message


def test_a_number_may_begin_with_its_point(corpus: Path) -> None:
    succeed("train", "--data", corpus, "--dry-run", "--set", "network.dropout=.25")
