"""What is unlike training is said of recordings that a run is asked about, and times end with the sound."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from corpora import fail, hardpp, settings, succeed
from speech_files import noise, write_labels, write_riff
from tone_speech import MODEL, TINY, write_tones

from hardpp.data.speech.recordings import SoundFile
from hardpp.data.speech.timit import recordings

soundfile = pytest.importorskip("soundfile")

EXACT = ["--objective", "exact", "--set", "network.form=transducer", "--device", "cpu"]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARDPP_DATA", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lists of tones, h# as SIL, whose sounds lie in wav/."""
    folder = tmp_path_factory.mktemp("lists")
    (folder / "wav").mkdir()
    for part, found in recordings(write_tones(folder / "tones")).items():
        lines = []
        for number, one in enumerate(found):
            assert isinstance(one.sound, SoundFile)
            samples = np.frombuffer(one.sound.path.read_bytes()[1024:], "<i2")
            name = f"wav/{part}{number}.wav"
            write_riff(folder / name, samples[: len(samples) - 37])  # of no whole frames
            lines.append(f"{name}\t{' '.join(one.tokens)}\n")
        (folder / f"{part}.tsv").write_text("".join(lines))
    shutil.rmtree(folder / "tones")
    return folder


@pytest.fixture(scope="module")
def run(lists: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "run"
    succeed("train", "--model", MODEL, "--data", lists, *settings(TINY), *EXACT, "--out", out)
    return out


def said(lists: Path, tmp_path: Path, text: str) -> Path:
    path = lists / f"{tmp_path.name}.tsv"
    path.write_text(text)
    return path


def first(lists: Path) -> tuple[str, str]:
    name, tokens = (lists / "test.tsv").read_text().splitlines()[0].split("\t")
    return name, tokens


@pytest.mark.parametrize("verb", ["align", "evaluate"])
def test_tokens_that_the_run_does_not_know_are_named_with_their_lines(
    run: Path, lists: Path, tmp_path: Path, verb: str
) -> None:
    name, tokens = first(lists)
    other = (lists / "test.tsv").read_text().splitlines()[1]
    path = said(lists, tmp_path, f"{other}\n{name}\t{tokens.upper()} zz\n")
    told = hardpp(verb, run, "--data", path).stderr
    unseen = " ".join(dict.fromkeys([*tokens.upper().split(), "zz"])).replace("H# ", "H# ")
    assert f"{path}:2: target {name!r} has symbols never seen in training: {unseen}; it knows h#" in told
    assert f"{path}:1" not in told
    assert "never seen" not in hardpp(verb, run, "--data", lists / "test.tsv").stderr


def test_a_textgrid_lasts_as_long_as_its_sound_and_nothing_ends_after_it(
    run: Path, lists: Path, tmp_path: Path
) -> None:
    out = tmp_path / "grids"
    succeed("align", run, "--format", "textgrid", "--out", out)
    lasts = {}
    for line in (lists / "test.tsv").read_text().splitlines():
        name = line.split("\t")[0]
        lasts[name] = soundfile.info(str(lists / name)).duration
        grid = (out / Path(name).with_suffix(".TextGrid").name).read_text()
        times = [float(each.split(" = ")[1]) for each in grid.splitlines() if "xmax = " in each]
        points = [float(each.split(" = ")[1]) for each in grid.splitlines() if "number = " in each]
        assert times[0] == pytest.approx(lasts[name], abs=1e-6)
        assert max(times + points) <= times[0]
    for row in succeed("align", run, "--format", "ctm").splitlines():
        name, _, start, duration, *_ = row.split()
        assert float(start) + float(duration) <= lasts[name] + 1e-3
    succeed("align", run, "--format", "textgrid", "--out", lists)
    assert (lists / "wav" / "test0.TextGrid").is_file()  # beside its sound
    for grid_file in (lists / "wav").glob("*.TextGrid"):
        grid_file.unlink()


def test_a_first_token_may_start_at_any_time_before_its_end(run: Path, lists: Path, tmp_path: Path) -> None:
    name, tokens = first(lists)
    samples, _ = soundfile.read(str(lists / name), dtype="int16")
    write_riff(lists / "wav" / "padded.wav", np.concatenate([np.zeros(8000, np.int16), samples]))
    path = said(lists, tmp_path, f"wav/padded.wav\t{tokens}\n")
    _, row, *_ = succeed("align", run, "--data", path).splitlines()
    _, _, start, low, high, _, _, end_high, _ = row.split("\t")
    assert (start, low, high) == ("0.000", "0.000", end_high)
    assert float(high) > 0


def test_sounds_unlike_those_of_training_are_said(run: Path, lists: Path, tmp_path: Path) -> None:
    name, tokens = first(lists)
    samples, _ = soundfile.read(str(lists / name), dtype="float64")
    made = {
        "slow": (samples[::2], 8000),
        "both": (np.stack([samples, samples], 1), 16_000),
        "silent": (samples * 0, 16_000),
        "clipped": (np.clip(samples * 50, -1, 1), 16_000),
        "tiny": (samples[:600], 16_000),
    }
    for each, (wave, rate) in made.items():
        soundfile.write(str(lists / "wav" / f"{each}.wav"), wave, rate)
    path = said(lists, tmp_path, "".join(f"wav/{each}.wav\t{tokens}\n" for each in made))
    told = hardpp("evaluate", run, "--data", path).stderr
    assert "8,000 samples a second: nothing is in them above 4,000 Hz (wav/slow.wav)" in told
    assert "1 of 5 recordings have 2 channels, which are averaged (wav/both.wav)" in told
    assert "1 of 5 recordings are silent throughout (wav/silent.wav)" in told
    assert "are clipped: samples stand at the ends of their range (wav/clipped.wav)" in told
    assert "last less than 50 ms (wav/tiny.wav)" in told
    known = hardpp("evaluate", run, "--data", lists / "test.tsv").stderr
    assert "warning" not in known


def test_a_foreign_level_is_said_or_made_up_for(run: Path, lists: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    how = [*settings(TINY), *EXACT, "--set", "data.level=kept"]
    succeed("train", "--model", MODEL, "--data", lists, *how, "--out", kept)
    name, tokens = first(lists)
    samples, _ = soundfile.read(str(lists / name), dtype="float64")
    soundfile.write(str(lists / "wav" / "quiet.wav"), samples / 30, 16_000, subtype="FLOAT")
    path = said(lists, tmp_path, f"wav/quiet.wav\t{tokens}\n")
    assert "are much quieter than any of training" in hardpp("evaluate", kept, "--data", path).stderr
    assert "quieter" not in hardpp("evaluate", run, "--data", path).stderr
    asked = ["align", run, "--limit", "1", "--data"]
    loud, quiet = (succeed(*asked, each).split("\n", 1)[1] for each in (lists / "test.tsv", path))
    ends = [[float(row.split("\t")[5]) for row in text.splitlines()] for text in (loud, quiet)]
    assert ends[0] == pytest.approx(ends[1], abs=0.031)


def test_utterances_with_too_many_tokens_are_left_out_of_training(lists: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(lists, folder)
    short = write_riff(folder / "wav" / "short.wav", noise(3200))
    with (folder / "train.tsv").open("a") as file:
        file.write(f"wav/{short.name}\t{' '.join(['aa'] * 9)}\n")
    number = len((folder / "train.tsv").read_text().splitlines())
    how = ["--objective", "exact", "--set", "network.form=ctc", "--device", "cpu", *settings(TINY)]
    train = ["train", "--model", MODEL, "--data", folder, *how, "--out", tmp_path / "run"]
    refused = fail(3, *train)
    assert (
        f"{folder}/train.tsv:{number}: 7 frames and 9 tokens, for which network.form=ctc needs 17" in refused
    )
    assert "data.stacked=1" in refused
    told = hardpp(*train, "--on-bad", "skip")
    assert told.exit_code == 0
    assert f"left out: {folder}/train.tsv:{number}: 7 frames" in told.stderr


def test_sentences_of_timit_are_left_out(tmp_path: Path) -> None:
    folder = write_tones(tmp_path / "TIMIT", train=3)
    bad = folder / "TRAIN" / "DR1" / "FCJF0" / "SX1.PHN"
    write_labels(bad, [(0, 4000, "h#"), (4000, 99_000, "sh")])
    train = ["train", "--model", MODEL, "--data", folder, *settings(TINY), *EXACT, "--out", tmp_path / "run"]
    assert f"{bad}: the labels end at 6.188 s" in fail(3, *train)
    (bad.parent / "SX2.PHN").unlink()
    told = hardpp(*train, "--on-bad", "skip")
    assert told.exit_code == 0
    assert f"left out: {bad}: the labels end at" in told.stderr
    assert "and 1 more bad recording" in told.stderr


def test_a_sound_a_folder_and_a_list_are_recognised(
    run: Path, lists: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, _ = first(lists)
    folder = tmp_path / "sounds"
    folder.mkdir()
    shutil.copy(lists / name, folder / "a.bin.wav")
    shutil.copy(lists / name, folder / "b.wav")
    one = succeed("decode", run, "--input", lists / name)
    rows = succeed("decode", run, "--input", folder, "--format", "tsv").splitlines()
    assert [row.split("\t") for row in rows] == [["a.bin.wav", one.strip()], ["b.wav", one.strip()]]
    listed = folder / "list.txt"
    listed.write_text("a.bin.wav\t\n\nb.wav\n")  # from the list's own folder; a transcript that is blank
    monkeypatch.chdir(tmp_path)
    assert succeed("decode", run, "--input", listed).splitlines() == [one.strip(), "", one.strip()]
    listed.write_text("a.bin.wav\nc.wav\n")
    assert f"{listed}:2: c.wav: there is no such sound file" in fail(3, "decode", run, "--input", listed)
    (folder / "b.wav").write_bytes((folder / "b.wav").read_bytes()[:3000])
    assert "b.wav: cut short" in fail(3, "decode", run, "--input", folder)
    for no_sound in ("c.m4a", "c.wav"):
        (folder / no_sound).write_bytes(b"what\0" if no_sound == "c.m4a" else b"what")
        assert f"{no_sound}: not RIFF (WAV)" in fail(3, "decode", run, "--input", folder / no_sound)


def test_recordings_far_longer_than_any_of_training_are_told_of(
    lists: Path, run: Path, tmp_path: Path
) -> None:
    path = write_riff(tmp_path / "long.wav", noise(16_000 * 20))
    result = hardpp("decode", run, "--input", path)
    assert result.exit_code == 0, result.stderr
    assert f"warning: {path}:1: the recording lasts 20.0 s, and none lasted more than" in result.stderr
    assert "tokens may be missing" in result.stderr
    name, _ = first(lists)
    assert "tokens may be missing" not in hardpp("decode", run, "--input", lists / name).stderr
