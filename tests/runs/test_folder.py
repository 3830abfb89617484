import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from corpora import fail, hardpp, hashes, metrics, settings, succeed, train_command, write_corpus

from hardpp.data.atomic_files import PARTIAL
from hardpp.errors import CheckpointError, UsageError
from hardpp.runs import checkpoint
from hardpp.runs.folder import choose_device, open_run
from hardpp.runs.trainer import Trainer


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_a_run_folder_holds(trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    assert names == {
        *("config.toml", "versions.json", "data.json", "metrics.jsonl", "checkpoints", "summary.json")
    }
    versions = json.loads((trained / "versions.json").read_text())
    assert {"hardpp", "torch", "pyro-ppl", "python"} <= set(versions)
    assert {record["split"] for record in metrics(trained)} == {"train", "dev"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"ab\t", "empty target"),
        (b"\tAH", "empty source"),
        (b"  \tAH", "source holds only blanks"),
        (b"ab\t ", "target holds only blanks"),
        (b"a\xff\tAH", "not UTF-8 (byte 0xff at byte 2)"),
        (b"ab", "missing target column"),
        (b"a\tb\tc", "3 columns found"),
        (b"", "empty line"),
        (b"a\0\tb", "NUL"),
    ],
)
@pytest.mark.parametrize("part", ["train", "test"])
def test_a_bad_line_ends_in_3_with_file_and_line(
    line: bytes, reason: str, part: str, trained: Path, tmp_path: Path
) -> None:
    folder = write_corpus(tmp_path / "data")
    file = folder / f"{part}.tsv"
    lines = file.read_bytes().split(b"\n")
    file.write_bytes(b"\n".join([*lines[:2], line, *lines[2:]]))
    for message in (
        fail(3, *train_command(folder, tmp_path / "run")),
        fail(3, "evaluate", trained, "--data", folder),
    ):
        assert f"{file}:3: " in message
        assert reason in message
    assert not (tmp_path / "run").exists()


def test_data_that_is_not_there(tmp_path: Path) -> None:
    assert "there is no file or folder" in fail(2, *train_command(tmp_path / "none.tsv", tmp_path / "run"))
    assert "like train.tsv, or like train.de" in fail(3, *train_command(tmp_path, tmp_path / "run"))
    (tmp_path / "empty.tsv").touch()
    assert "the folder lacks train.tsv" in fail(3, *train_command(tmp_path, tmp_path / "run"))
    assert "the file is empty" in fail(3, *train_command(tmp_path / "empty.tsv", tmp_path / "run"))
    (tmp_path / "two.tsv").write_text("a\tb\nc\td\n")
    assert "empty after splitting 2 lines" in fail(3, *train_command(tmp_path / "two.tsv", tmp_path / "run"))


def test_one_symbol_words_and_a_very_long_one(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for part, text in {"train": "a\tA\nb\tB\n", "dev": "q\tQ\n", "test": f"{'ab' * 150}\tA B\n"}.items():
        (folder / f"{part}.tsv").write_text(text)
    run = tmp_path / "run"
    assert "test.tsv:1: source of 300 symbols" in fail(3, *train_command(folder, run))
    words = ("--set", "data.target_tokens=words")  # most targets have no blank
    succeed(*train_command(folder, run, "--set", "data.max_length=300", *words))
    assert len(succeed("align", run, "--format", "pharaoh").split()) == 2
    succeed("evaluate", run, "--part", "dev")  # symbols that training never saw


def test_data_that_moved_is_named(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "data")
    succeed(*train_command(folder, tmp_path / "run"))
    folder.rename(tmp_path / "moved")
    assert str(folder) in fail(3, "evaluate", tmp_path / "run")
    succeed("evaluate", tmp_path / "run", "--data", tmp_path / "moved")


def test_nothing_is_overwritten_without_being_asked(run: Path, corpus: Path) -> None:
    before = contents(run)
    command = train_command(corpus, run)
    assert "holds a run already" in fail(2, *command, "--resume", "never")
    assert "training.max_epochs is 2 there, 1 here" in fail(2, *command, "--max-epochs", "1")
    assert "network.decoder is 8 there, 9 here" in fail(2, *command, "--set", "network.decoder=9")
    assert "objective is 'elbo' there, 'enum' here" in fail(2, *command, "--objective", "enum")
    assert contents(run) == before


def test_data_that_changed_are_refused(tmp_path: Path) -> None:
    folder, run = write_corpus(tmp_path / "data"), tmp_path / "run"
    command = train_command(folder, run)
    succeed(*command)
    before = contents(run)
    with (folder / "dev.tsv").open("a") as file:
        file.write("ab\tAH B\n")
    assert "the data have changed" in fail(3, *command)
    assert contents(run) == before
    succeed(*command, "--force")


@pytest.mark.parametrize("more", [[], ["--resume", "never"]])
def test_force_starts_anew_and_leaves_what_is_not_ours(more: list[str], run: Path, corpus: Path) -> None:
    (run / "notes.txt").write_text("mine")
    (run / "plots").mkdir()
    (run / "plots" / "old.png").touch()
    succeed(*train_command(corpus, run, "--force", "--max-steps", "2", *more))
    assert (run / "notes.txt").read_text() == "mine"
    assert not (run / "plots").exists()
    assert [path.name for path in checkpoint.complete(run)] == ["step-00000002"]
    assert [record["step"] for record in metrics(run)] == [2, 2]


def test_force_with_bad_data_or_settings_destroys_nothing(run: Path, tmp_path: Path) -> None:
    before = contents(run)
    (tmp_path / "bad.tsv").write_bytes(b"\xff\n")
    fail(3, *train_command(tmp_path / "bad.tsv", run, "--force"))
    fail(2, *train_command(tmp_path / "bad.tsv", run, "--force", "--objective", "elb"))
    assert contents(run) == before


FOREIGN: list[dict[str, str]] = [
    {"thesis.tex": "years of work"},
    {"config.toml": "[site]\n"},
    {"config.toml": "[site]\n", "versions.json": '{"app": 3}', "checkpoints/mine": ""},
    {"config.toml": "[site]\n", "versions.json": "no json", "data.json": "{}"},
    {"data.json": "{}", "other": ""},
]


@pytest.mark.parametrize("files", FOREIGN, ids=lambda files: " ".join(files))
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_folder_of_other_things_is_never_touched(
    files: dict[str, str], force: list[str], corpus: Path, tmp_path: Path
) -> None:
    for name, text in files.items():
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    before = contents(tmp_path / "out")
    assert "is no run folder" in fail(2, *train_command(corpus, tmp_path / "out", *force))
    assert contents(tmp_path / "out") == before


def test_a_file_where_the_folder_should_be(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "is no run folder" in fail(2, *train_command(corpus, tmp_path / "file", "--force"))
    assert str(tmp_path / "file") in fail(6, *train_command(corpus, tmp_path / "file" / "run"))
    assert (tmp_path / "file").read_text() == "x"


def test_a_place_that_cannot_be_written(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *options: Any, **more: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert f"{tmp_path / 'run'}: Permission denied" in fail(6, *train_command(corpus, tmp_path / "run"))


def test_a_run_that_was_killed_while_its_folder_was_made(corpus: Path, run: Path) -> None:
    for name in ("config.toml", "metrics.jsonl", "summary.json"):
        (run / name).unlink()
    shutil.rmtree(run / "checkpoints")
    (run / f"{PARTIAL}0123").write_text("seed =")
    succeed(*train_command(corpus, run))
    assert not (run / f"{PARTIAL}0123").exists()


def test_a_run_that_was_killed_before_its_first_checkpoint(corpus: Path, trained: Path, run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    assert "has no checkpoint" in fail(4, "evaluate", run)
    succeed(*train_command(corpus, run))
    assert hashes(run) == hashes(trained)
    assert metrics(run) == metrics(trained)


def test_a_command_that_was_refused_at_its_first_step_does_not_block_the_mended_one(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: Any) -> None:
        raise UsageError("that takes 2 particles")

    command = train_command(corpus, tmp_path / "run", "--particles")
    monkeypatch.setattr(Trainer, "_update", refuse)
    assert "that takes 2 particles" in fail(2, *command, "1")
    monkeypatch.undo()
    succeed(*command, "2")
    assert "inference.particles is 2 there, 3 here" in fail(2, *command, "3")


@pytest.mark.parametrize("more", [[], ["--resume", "never"]])
def test_a_run_without_a_checkpoint_is_begun_anew(more: list[str], run: Path, tmp_path: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints" / f"{PARTIAL}0123").mkdir(parents=True)
    (run / "summary.json").unlink()
    (run / "notes.txt").write_text("mine")
    command = train_command(write_corpus(tmp_path / "mended", seed=1), run, "--seed", "1")
    succeed(*command, *more)
    assert json.loads((run / "summary.json").read_text())["step"] == 10
    assert [record["step"] for record in metrics(run)] == [2, 4, 5, 6, 8, 10, 10]
    assert (run / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("left", ["summary.json", "checkpoints"])
def test_what_is_left_of_a_run_is_not_begun_anew(left: str, run: Path, corpus: Path) -> None:
    for folder in checkpoint.complete(run):
        (folder / "MANIFEST.json").unlink()
    if left == "summary.json":
        shutil.rmtree(run / "checkpoints")
    else:
        (run / "summary.json").unlink()
    before = contents(run)
    assert "seed is 0 there, 1 here" in fail(2, *train_command(corpus, run, "--seed", "1"))
    assert contents(run) == before


def test_what_a_killed_process_left_is_removed_when_training_goes_on(run: Path, corpus: Path) -> None:
    (run / f"{PARTIAL}0123").write_text("{")
    before = contents(run)
    succeed(*train_command(corpus, run))
    assert contents(run).keys() == before.keys() - {f"{PARTIAL}0123"}


def test_an_unfinished_run_can_be_used(run: Path) -> None:
    (run / "checkpoints" / "best").unlink()
    assert json.loads(succeed("evaluate", run, "--format", "json"))[0]["step"] == 10


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("change", [cut, flip])
@pytest.mark.parametrize("name", ["model.safetensors", "optim.safetensors", "state.json"])
def test_a_damaged_checkpoint_ends_in_4_and_names_the_file(name: str, change: Any, run: Path) -> None:
    for folder in checkpoint.complete(run):
        (folder / name).write_bytes(change((folder / name).read_bytes()))
    message = fail(4, "evaluate", run)
    assert name in message


def test_a_damaged_best_checkpoint_is_named_though_a_newer_one_is_whole(run: Path) -> None:
    first = checkpoint.complete(run)[0]
    checkpoint.mark(run, "best", first)
    (first / "model.safetensors").write_bytes(cut((first / "model.safetensors").read_bytes()))
    message = fail(4, "evaluate", run)
    assert str(first / "model.safetensors") in message
    newest = checkpoint.complete(run)[-1]
    assert f"hint: {newest.name} is sound: --checkpoint {newest.name} takes it" in message
    for name in (newest.name, "latest"):
        (figures,) = json.loads(succeed("evaluate", run, "--checkpoint", name, "--format", "json"))
        assert figures["step"] == int(newest.name.removeprefix("step-"))
    assert "there is no checkpoint 'step-1'" in fail(2, "evaluate", run, "--checkpoint", "step-1")


def test_a_damaged_best_checkpoint_is_replaced_when_training_goes_on(run: Path, corpus: Path) -> None:
    first, newest = checkpoint.complete(run)
    checkpoint.mark(run, "best", first)
    (first / "model.safetensors").write_bytes(cut((first / "model.safetensors").read_bytes()))
    result = hardpp(*train_command(corpus, run))
    assert result.exit_code == 0
    (told,) = [line for line in result.stderr.splitlines() if "the best checkpoint is lost" in line]
    assert told.startswith(
        f"warning: the best checkpoint is lost, and {newest.name} takes its place ({first}"
    )
    assert checkpoint.marked(run, "best") == newest


def test_damaged_and_half_written_checkpoints_beside_the_best_one_are_told(run: Path, corpus: Path) -> None:
    first, newest = checkpoint.complete(run)
    checkpoint.mark(run, "best", newest)
    (first / "model.safetensors").write_bytes(cut((first / "model.safetensors").read_bytes()))
    (run / "checkpoints" / f"{PARTIAL}step-00000099.0123456789abcdef").mkdir()
    half = "step-00000099 is passed over (its files were not written to the end)"
    told = hardpp("evaluate", run).stderr.splitlines()
    assert f"warning: {half}" in told
    assert any(line.startswith(f"warning: {first.name} is passed over ({first}") for line in told)
    assert half in hardpp(*train_command(corpus, run, "--max-epochs", "3")).stderr.splitlines()
    assert not list((run / "checkpoints").glob(f"{PARTIAL}*"))


def test_an_unfinished_run_is_used_with_its_newest_sound_checkpoint(run: Path) -> None:
    older, newest = checkpoint.complete(run)
    (run / "checkpoints" / "best").unlink()
    (newest / "model.safetensors").write_bytes(flip((newest / "model.safetensors").read_bytes()))
    result = hardpp("evaluate", run, "--format", "json")
    assert json.loads(result.stdout)[0]["step"] == int(older.name.removeprefix("step-"))
    assert f"{newest.name} is passed over" in result.stderr


def test_going_on_where_all_checkpoints_are_damaged_is_refused(run: Path, corpus: Path) -> None:
    damaged = [folder / "optim.safetensors" for folder in checkpoint.complete(run)]
    for file in damaged:
        file.write_bytes(flip(file.read_bytes()))
    before = contents(run)
    message = fail(4, *train_command(corpus, run))
    assert "has no sound checkpoint" in message
    assert all(str(file) in message for file in damaged)
    assert contents(run) == before


def test_a_run_goes_on_from_the_newest_sound_checkpoint(run: Path, corpus: Path, trained: Path) -> None:
    older, newest = checkpoint.complete(run)
    (newest / "optim.safetensors").write_bytes(flip((newest / "optim.safetensors").read_bytes()))
    result = hardpp(*train_command(corpus, run))
    assert result.exit_code == 0
    (told,) = [line for line in result.stderr.splitlines() if "passed over" in line]
    assert told.startswith(f"{newest.name} is passed over ({newest / 'optim.safetensors'} was altered")
    assert f"going on from step {int(older.name.removeprefix('step-'))}\n" in result.stderr
    assert hashes(run) == hashes(trained)
    assert metrics(run) == metrics(trained)


def test_checkpoints_that_cannot_be_listed_are_not_taken_for_none(
    run: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listdir = os.listdir

    def failing(folder: Any) -> Any:
        if Path(folder).name == "checkpoints":
            raise OSError(errno.EIO, "Input/output error")
        return listdir(folder)

    before = contents(run)
    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", failing)
        for more in ([], ["--resume", "never"]):
            assert "checkpoints cannot be read: Input/output" in fail(4, *train_command(corpus, run, *more))
    assert contents(run) == before


@pytest.mark.parametrize("more", [[], ["--force"]], ids=str)
@pytest.mark.parametrize("name", ["summary.json", "metrics.jsonl", "checkpoints/latest", "checkpoints/best"])
@pytest.mark.parametrize("dangling", [False, True])
def test_nothing_is_written_through_a_link(
    more: list[str], name: str, dangling: bool, run: Path, corpus: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    if not dangling:
        other.write_text("precious")
    (run / name).unlink()
    (run / name).symlink_to(other)
    (run / "checkpoints" / "step-00000010" / "MANIFEST.json").unlink()  # so that training has work to do
    succeed(*train_command(corpus, run, *more))
    assert not (run / name).is_symlink()
    assert other.exists() != dangling
    assert dangling or other.read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("config.toml", "decoder = 8", "decoder = 9"),
        ("config.toml", "decoder = 8", "decodr = 8"),
        ("config.toml", "decoder = 8", 'decoder = "8"'),
        ("config.toml", 'model = "alignment"', 'model = "captions"'),
        ("config.toml", 'guide = "variational"', 'guide = "x:y"'),
        ("config.toml", 'objective = "elbo"', 'objective = "elbow"'),
        ("config.toml", 'objective = "elbo"', 'objective = "exact"'),
        ("config.toml", "seed = 0", "seed = "),
        ("config.toml", "seed = 0", "sed = 0"),
        ("config.toml", "seed = 0", f"seed = {2**32}"),
        ("config.toml", 'objective = "elbo"\n', ""),
        ("config.toml", "[data]\nname = ", "[data]\nname = 3 #"),
        ("config.toml", "[data]\nname = ", "[data]\n#"),
        ("config.toml", None, "data = 3\n"),
        ("config.toml", None, "a = " + "[" * 5000),
        ("data.json", '"AH"', '"AH", "NEW"'),
        ("data.json", '"source_vocabulary"', '"vocabulary"'),
        ("data.json", '"longest_target": ', '"longest_target": 9'),
        ("data.json", "{", ""),
        ("data.json", None, "[]"),
        ("data.json", None, "[" * 100_000),
        ("data.json", None, None),
    ],
)
def test_an_altered_run_ends_in_4_and_names_the_file(
    name: str, old: str | None, new: str | None, run: Path, corpus: Path
) -> None:
    text = (run / name).read_text()
    if new is None:
        (run / name).unlink()
    else:
        assert old is None or old in text
        (run / name).write_text(new if old is None else text.replace(old, new, 1))
    named = "step-000000" if new == "decoder = 9" else str(run / name)
    assert named in fail(4, "evaluate", run)
    if new != "decoder = 9":  # what goes on with a run says so too; a sound configuration is only another one
        assert str(run / name) in fail(4, *train_command(corpus, run))


def test_a_data_file_cannot_lose_its_keys_unnoticed(run: Path) -> None:
    (run / "data.json").write_text('{"fingerprint": "x"}')
    with pytest.raises(CheckpointError, match=r"data\.json"):
        open_run(run, "cpu")


def test_devices() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda")
    with pytest.raises(UsageError, match="device is one of auto, cpu, cuda, not 'gpu'"):
        choose_device("gpu")


def test_a_gpu_that_is_not_there(corpus: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    words = ["train", "--data", corpus, *settings(), "--device", "cuda", "--dry-run"]
    assert "there is no CUDA device here" in fail(2, *words)
    assert "there is no CUDA device here" in fail(2, "evaluate", trained, "--device", "cuda")
    assert hardpp("evaluate", trained, "--device", "auto").exit_code == 0
