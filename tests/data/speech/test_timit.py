import shutil
from pathlib import Path

import pytest
import speech_files
from speech_files import LENGTH, PHN

from hardpp.data.speech import timit
from hardpp.data.speech.utterances import Segment
from hardpp.errors import DataError, UsageError

pytest.importorskip("soundfile")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return speech_files.write_timit(tmp_path / "TIMIT")


def one(folder: Path, ending: str) -> Path:
    return folder / "TRAIN" / "DR1" / "FCJF0" / f"SI648{ending}"


def lower(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), key=lambda path: -len(path.parts)):
        path.rename(path.with_name(path.name.lower()))


def test_the_lists_of_speakers() -> None:
    assert len(timit.TEST_SPEAKERS) == 24
    assert len(timit.DEV_SPEAKERS) == 50
    assert not timit.TEST_SPEAKERS & timit.DEV_SPEAKERS
    assert sum(name.startswith("f") for name in timit.TEST_SPEAKERS) == 8  # a woman and two men a region


def test_parts_are_the_usual_ones_without_sa(folder: Path) -> None:
    told: list[str] = []
    parts = timit.recordings(folder, told.append)
    assert [len(parts[part]) for part in ("train", "dev", "test")] == [4, 4, 4]
    assert told == ["left out: 2 utterances of TEST that are neither in the core test nor in dev"]
    first = parts["train"][0]
    assert (first.name, first.speaker, first.sex) == ("train/dr1/fcjf0/si648", "fcjf0", "f")
    assert first.tokens == tuple(phone for _, _, phone in PHN)
    assert first.segments[1] == Segment(0.125, 0.25, "sh")
    assert first.segments[-1].end == LENGTH / 16_000  # the tail is silence too
    assert {recording.sex for recording in parts["train"]} == {"f", "m"}


@pytest.mark.parametrize("above", ["", "data", "corpora/timit"])
def test_names_in_lower_case_and_folders_around_it(folder: Path, tmp_path: Path, above: str) -> None:
    expected = {
        part: [(*one[:3], one.segments, one.sound.digest()) for one in recordings]
        for part, recordings in timit.recordings(folder).items()
    }
    lower(folder)
    outer = tmp_path / "outer"
    (outer / above).parent.mkdir(parents=True, exist_ok=True)
    folder.rename(outer / above)
    assert timit.is_timit(outer)
    for part, recordings in timit.recordings(outer).items():
        assert [(*one[:3], one.segments, one.sound.digest()) for one in recordings] == expected[part]


def test_a_riff_file_beside_a_sphere_file_is_listed_once(folder: Path) -> None:
    samples = speech_files.noise(LENGTH, seed=9)
    twin = speech_files.write_riff(one(folder, ".WAV.wav"), samples)
    # The other twin may well be compressed.
    speech_files.write_sphere(
        one(folder, ".WAV"), samples, extra="sample_coding -s26 pcm,embedded-shorten-v2.00\n"
    )
    parts = timit.recordings(folder)
    assert len(parts["train"]) == 4
    assert parts["train"][0].sound == (twin,)


def test_sphere_of_both_byte_orders_is_read(folder: Path) -> None:
    for recording in timit.recordings(folder)["train"]:
        assert len(recording.sound.read()) == LENGTH
        assert 0.05 < recording.sound.read().std() < 0.15  # as written; swapped bytes would be 0.58


def test_folding_before_training(folder: Path) -> None:
    recording = timit.recordings(folder, phones=39)["train"][0]
    assert recording.tokens == ("sil", "sh", "ih", "sil")
    assert recording.segments[2] == Segment(0.3, 0.4375, "ih")
    assert timit.recordings(folder, phones=48)["train"][0].tokens == ("sil", "sh", "ix", "sil")
    speech_files.write_labels(one(folder, ".PHN"), [(0, 100, "h#"), (100, 200, "pau"), (200, 300, "aa")])
    merged = timit.recordings(folder, phones=39, merged=("sil",))["train"][0]
    assert merged.tokens == ("sil", "aa")


@pytest.mark.parametrize(("phones", "label"), [(61, "sil"), (48, "h#"), (39, "zh"), (39, "foo")])
def test_only_phones_of_the_set_are_merged(folder: Path, phones: timit.PhoneSet, label: str) -> None:
    with pytest.raises(UsageError, match=f"data.merged: '{label}' is none of the {phones} phones"):
        timit.recordings(folder, phones=phones, merged=["s", label])
    assert timit.recordings(folder, phones=48, merged=["zh", "sil"])["train"]


@pytest.mark.parametrize("kind", ["a broken link", "a folder"])
def test_a_sound_that_cannot_be_opened_is_named(folder: Path, kind: str) -> None:
    path = one(folder, ".WAV")
    path.unlink()
    if kind == "a folder":
        path.mkdir()
    else:
        path.symlink_to(folder / "nowhere")
    with pytest.raises(DataError, match=r"SI648\.WAV: cannot be read"):
        timit.recordings(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0 2000 h#\n2000 4000 xx\n", r":2: unknown phone 'xx'"),
        ("0 2000 h#\n1999 4000 sh\n", r":2: the times of the phones run backwards"),
        ("0 2000 h#\n3000 2500 sh\n", r":2: the times of the phones run backwards"),
        ("0 2000\n", r":1: expected START END PHONE, got '0 2000'"),
        ("0 -5 h#\n", r":1: expected START END PHONE"),
        ("\n", r": holds no labels"),
        ("0 2000 h\u00e9\n", r": not a file of labels"),
        ("0 2000 h#\n2000 8401 sh\n", r": the labels end at 0\.525 s, and the sound at 0\.500 s"),
        ("0 8000 h#\n8001 8100 sh\n", r": the labels end at 0\.506 s"),
    ],
)
def test_bad_labels_are_refused_by_name(folder: Path, content: str, message: str) -> None:
    path = one(folder, ".PHN")
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message) as error:
        timit.recordings(folder)
    assert str(error.value).startswith(str(path))


def test_a_label_that_runs_past_the_sound_by_a_window_is_cut(folder: Path) -> None:
    speech_files.write_labels(one(folder, ".PHN"), [(0, 2000, "h#"), (2000, 8400, "sh")])
    assert timit.recordings(folder)["train"][0].segments[-1] == Segment(0.125, 0.5, "sh")
    speech_files.write_labels(one(folder, ".PHN"), [(0, 2000, "h#"), (2000, 7000, "sh")])
    assert timit.recordings(folder)["train"][0].segments[-1] == Segment(0.125, 0.4375, "sh")


def test_missing_halves_and_parts_are_named(folder: Path) -> None:
    labels = one(folder, ".PHN")
    labels.rename(labels.with_suffix(".old"))
    with pytest.raises(DataError, match=r"SI648\.WAV: there is no \.PHN file beside it"):
        timit.recordings(folder)
    labels.with_suffix(".old").rename(labels)
    one(folder, ".WAV").unlink()
    with pytest.raises(DataError, match=r"SI648\.PHN: there is no sound file beside it"):
        timit.recordings(folder)
    shutil.rmtree(labels.parent)
    for name in timit.DEV_SPEAKERS:
        for path in folder.glob(f"TEST/*/{name.upper()}"):
            shutil.rmtree(path)
    with pytest.raises(DataError, match="has no recordings for the dev part"):
        timit.recordings(folder)
    assert not timit.is_timit(folder / "TRAIN")
    with pytest.raises(DataError, match="not a TIMIT folder"):
        timit.recordings(folder / "TRAIN")


def test_shorten_is_refused_by_name(folder: Path) -> None:
    extra = "sample_coding -s26 pcm,embedded-shorten-v2.00\n"
    speech_files.write_sphere(one(folder, ".WAV"), speech_files.noise(LENGTH), extra=extra)
    with pytest.raises(DataError, match=r"SI648\.WAV: NIST SPHERE audio compressed with shorten"):
        timit.recordings(folder)
