import json
import shutil
from pathlib import Path

from corpora import fail, hashes, succeed, train_command, write_corpus


def test_another_runs_weights_begin_a_run_on_more_data(trained: Path, tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "data")
    with (folder / "train.tsv").open("a") as file:
        file.write("abcdeabcde\tAH B K D EH AH B K D EH\n" + "bad\tB AH D AH D AH D AH D AH D AH D AH D\n")
    command = train_command(folder, tmp_path / "run", "--init-from", str(trained))
    succeed(*command)
    stored, grown = (json.loads((run / "data.json").read_text()) for run in (trained, tmp_path / "run"))
    lengths = {"longest_source", "longest_target", "target_per_source"}
    figures = {"target_counts", *lengths, "fingerprint", "sha256"}
    assert {key for key in grown if grown[key] != stored[key]} == figures
    with (folder / "train.tsv").open("a") as file:
        file.write("f\tF\n")
    message = fail(2, *command, "--force")
    assert f"{trained}: that run has other symbols (source_vocabulary, target_vocabulary)" in message


def test_another_runs_weights_that_do_not_fit(trained: Path, corpus: Path, tmp_path: Path) -> None:
    sizes = ("--set", "network.decoder=9", "--set", "network.guide=9")
    message = fail(2, *train_command(corpus, tmp_path / "run", "--init-from", str(trained), *sizes))
    sentence = f"--init-from {trained}: that run has another network (network.decoder is 8 there, 9 here)"
    assert message.splitlines()[-1] == f"hardpp: {sentence}"


def test_a_run_goes_on_without_the_one_whose_weights_it_began_with(
    trained: Path, corpus: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    command = train_command(corpus, tmp_path / "more", "--init-from", str(run))
    stopped = train_command(corpus, tmp_path / "stopped", "--init-from", str(run))
    succeed(*command)
    succeed(*stopped)
    for path in (tmp_path / "stopped" / "checkpoints").iterdir():
        if path.name != "step-00000005":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    run.rename(tmp_path / "gone")
    succeed(*stopped)
    assert hashes(tmp_path / "stopped") == hashes(tmp_path / "more")
    assert "is not a run folder" in fail(4, *stopped, "--force")
