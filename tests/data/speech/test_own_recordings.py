"""A user's own recordings in the forms of well-known corpora, and what is said of them."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from speech_files import noise, write_riff

from hardpp.data.speech.corpora import SpeechOptions, own
from hardpp.data.speech.recordings import Recording
from hardpp.errors import DataError

soundfile = pytest.importorskip("soundfile")


def sound(path: Path, seconds: float = 1.0, rate: int = 16_000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = noise(int(seconds * rate), seed=len(str(path)))
    if path.suffix in (".wav", ".WAV"):
        return write_riff(path, samples, rate)
    soundfile.write(str(path), samples, rate)
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path, **options: Any) -> tuple[Any, list[str]]:
    told: list[str] = []
    return own(path, SpeechOptions(**options), told.append), told


def one_list(path: Path, **options: Any) -> list[Recording]:
    found, _ = read(path, **options)
    assert isinstance(found, list)
    return found


@pytest.fixture
def kaldi(tmp_path: Path) -> Path:
    folder = tmp_path / "kaldi"
    sound(folder / "wav" / "r.flac", 4)
    write(folder / "wav.scp", "r wav/r.flac\n")
    write(folder / "text", "u1 a b\nu2 c\n")
    write(folder / "segments", "u1 r 0.0 1.5\nu2 r 1.5 3.9\n")
    write(folder / "utt2spk", "u1 anna\nu2 bert\n")
    return folder


def test_folders_of_kaldi(kaldi: Path) -> None:
    found, told = read(kaldi)
    assert [(one.name, one.tokens, one.speaker) for one in found] == [
        ("u1", ("a", "b"), "anna"),
        ("u2", ("c",), "bert"),
    ]
    whole = soundfile.read(str(kaldi / "wav" / "r.flac"), dtype="float32")[0]
    assert (found[1].sound.read().numpy() == whole[24_000:62_400]).all()
    assert found[0].head.seconds == 1.5
    assert found[0].sound.digest() != found[1].sound.digest()
    assert told == [f"{kaldi}: read as a data folder of Kaldi, 2 recordings; tokens: a b; c"]


def test_commands_of_kaldi_are_never_run(kaldi: Path, tmp_path: Path) -> None:
    write(kaldi / "wav.scp", f"r touch {tmp_path / 'run'} |\n")
    with pytest.raises(DataError, match=r"text:1: wav\.scp has a command .* commands are not run"):
        read(kaldi)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("file", "text", "why"),
    [
        ("text", "u1 a\nu3 b\n", r"text:2: u3 is not in segments"),
        ("segments", "u1 r 0 1\nu2 s 1 2\n", r"text:2: s is not in wav\.scp"),
        ("segments", "u1 r 0 1\nu2 r 3 9\n", r"text:2: .* lasts 4\.000 s, and the end is at 9\.0 s"),
        ("segments", "u1 r 0 1\nu2 r 5 6\n", r"text:2: .* there is nothing at 5\.0 s"),
        ("text", "u1 a\nu2\n", r"text:2: no tokens"),
    ],
)
def test_bad_lines_of_kaldi_are_named_or_left_out(kaldi: Path, file: str, text: str, why: str) -> None:
    write(kaldi / file, text)
    with pytest.raises(DataError, match=why):
        read(kaldi)
    found, told = read(kaldi, on_bad="skip")
    assert [one.name for one in found] == ["u1"]
    assert told[0].startswith("left out: ")


def test_common_voice(tmp_path: Path) -> None:
    for name in "abc":
        sound(tmp_path / "clips" / f"{name}.mp3")
    for part, name in zip(("train", "dev", "test"), "abc", strict=True):
        text = f'client_id\tpath\tsentence\tup_votes\nanna\t{name}.mp3\t"Hello", World {name}\t2\n'
        write(tmp_path / f"{part}.tsv", text)
    write(tmp_path / "invalidated.tsv", "client_id\tpath\tsentence\nanna\tz.mp3\tno\n")
    found, told = read(tmp_path)
    assert {part: [one.tokens for one in of_part] for part, of_part in found.items()} == {
        "train": [('"Hello",', "World", "a")],
        "dev": [('"Hello",', "World", "b")],
        "test": [('"Hello",', "World", "c")],
    }
    assert all("read as Common Voice, 1 recordings" in sentence for sentence in told)
    (one,) = one_list(tmp_path / "train.tsv", units="characters", case="lower")
    assert one.tokens[-3:] == ("d", "\u2581", "a")
    write(tmp_path / "train.tsv", "client_id\tpath\tsentence\nanna\tz.mp3\tno\n")
    with pytest.raises(DataError, match=r"train\.tsv:2: .*z\.mp3: there is no such sound file"):
        read(tmp_path)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_tokens_are_of_one_form_of_unicode(tmp_path: Path, form: Any) -> None:
    sound(tmp_path / "a.wav")
    sound(tmp_path / "b.wav")
    path = write(tmp_path / "l.tsv", "a.wav\tb\u00e9\nb.wav\tbe\u0301\n")
    one, other = one_list(path, normalise=form)
    assert one.tokens == other.tokens == (unicodedata.normalize(form, "b\u00e9"),)
    kept = one_list(path)
    assert kept[0].tokens != kept[1].tokens


def test_json_lines(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav", 3)
    rows: list[dict[str, Any]] = [
        {"audio_filepath": "a.wav", "text": "x y", "offset": 0.5, "duration": 1.0},
        {"audio_filepath": str(tmp_path / "a.wav"), "text": "z", "duration": 3.0},
        {"audio_filepath": "a.wav"},
    ]
    path = write(tmp_path / "m.json", "".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=r"m\.json:3: no text"):
        read(path)
    first, second = one_list(path, on_bad="skip")
    assert (first.name, first.tokens, len(first.sound.read())) == ("a.wav#0.5-1.5", ("x", "y"), 16_000)
    assert (second.tokens, len(second.sound.read())) == (("z",), 48_000)


def test_libri_speech_and_lj_speech(tmp_path: Path) -> None:
    libri, lj = tmp_path / "LibriSpeech", tmp_path / "lj"
    for part in ("train-clean-5", "dev-clean", "test-clean"):
        sound(libri / part / "84" / "121" / "84-121-0000.flac")
        write(libri / part / "84" / "121" / "84-121.trans.txt", f"84-121-0000 GO {part.upper()}\n")
    found, _ = read(tmp_path / "LibriSpeech")
    assert {part: of_part[0].tokens[1] for part, of_part in found.items()} == {
        "train": "TRAIN-CLEAN-5",
        "dev": "DEV-CLEAN",
        "test": "TEST-CLEAN",
    }
    assert one_list(libri / "dev-clean")[0].speaker == "84"
    sound(lj / "wavs" / "LJ1.wav", rate=22_050)
    write(lj / "metadata.csv", "LJ1|In 1465|In fourteen\nLJ2|x|y\n")
    with pytest.raises(DataError, match=r"metadata\.csv:2: .*LJ2: there is no such sound file"):
        read(lj)
    assert one_list(lj, on_bad="skip")[0].tokens == ("In", "fourteen")


def test_ctm(tmp_path: Path) -> None:
    sound(tmp_path / "r.wav")
    path = write(tmp_path / "x.ctm", ";; all\nr 1 0.1 0.2 a 0.9\nr 1 0.3 0.2 <eps>\nr 1 0.5 0.25 b\n")
    (one,) = one_list(path)
    assert [segment.label for segment in one.segments] == ["a", "b"]
    assert one.segments[1][:2] == (0.5, 0.75)
    write(path, "r 1 0.1 0.2 a\nr 1 0.3 x b\n")
    with pytest.raises(DataError, match=r"x\.ctm:2: 'x' is no time in seconds"):
        read(path)
    write(path, "r 1 0.1 0.2 a\nr 1 0.9 0.5 b\n")
    with pytest.raises(DataError, match=r"the labels end at 1\.400 s, and the sound at 1\.000 s"):
        read(path)


def test_a_plain_list_of_digits_is_no_ctm(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    for name in ("l.tsv", "l.txt"):
        (one,) = one_list(write(tmp_path / name, "a.wav\t1 2 3 4\n"))
        assert (one.tokens, one.segments) == (("1", "2", "3", "4"), ())


def test_labels_beside_sounds_with_parts_by_their_folders(tmp_path: Path) -> None:
    for part in ("Train", "valid", "TEST"):
        sound(tmp_path / part / "x.WAV")
        write(tmp_path / part / "x.phn", "0 4000 AH1\n4000 16000 zz\n")
    found, told = read(tmp_path)
    assert set(found) == {"train", "dev", "test"}
    assert all([one.tokens for one in of_part] == [("AH1", "zz")] for of_part in found.values())
    assert "labels are START END LABEL, samples at 16,000 Hz" in told[0]
    assert "times known of 1" in told[1]
    names = [one.name for of_part in found.values() for one in of_part]
    assert len(set(names)) == 3


def test_bad_labels_are_left_out_and_sounds_without_labels_counted(tmp_path: Path) -> None:
    for name in "abcd":
        sound(tmp_path / f"{name}.wav")
    write(tmp_path / "a.lab", "0 2500000 x\n2500000 9900000 y\n")
    write(tmp_path / "b.lab", "0 2500000 x\nwhat\n")
    write(tmp_path / "c.lab", "0 2500000 x\n2500000 19900000 y\n")
    with pytest.raises(DataError, match=r"b\.lab:2: expected START END LABEL"):
        read(tmp_path)
    found, told = read(tmp_path, on_bad="skip")
    assert [one.name for one in found] == ["a.wav"]
    assert told[0] == f"left out: 1 sounds in {tmp_path} that have no labels beside them"
    assert "b.lab:2" in told[1]
    assert "and 1 more bad recording" in told[1]


def test_a_part_that_is_not_there_is_taken_from_train(tmp_path: Path) -> None:
    for number in range(60):
        sound(tmp_path / "train" / f"{number}.wav", 0.1)
        write(tmp_path / "train" / f"{number}.txt", "a b\n")
    sound(tmp_path / "test" / "t.wav", 0.1)
    write(tmp_path / "test" / "t.txt", "a\n")
    found, told = read(tmp_path)
    assert len(found["train"]) + len(found["dev"]) == 60
    assert found["dev"]
    assert f"has no dev part: {len(found['dev'])} recordings of train are taken for it" in told[-1]


def test_a_list_beside_that_of_a_part_is_none_of_it(tmp_path: Path) -> None:
    for name in "abcd":
        sound(tmp_path / f"{name}.wav")
    for part, name in {"train": "a", "dev": "b", "test": "c", "train-small": "d"}.items():
        write(tmp_path / f"{part}.tsv", f"{name}.wav\tone\n")
    found, _ = read(tmp_path)
    assert {part: [one.name for one in of_part] for part, of_part in found.items()} == {
        "train": ["a.wav"],
        "dev": ["b.wav"],
        "test": ["c.wav"],
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.csv", 'file_name,transcription\nwavs/a.wav,"one, two"\nb,three\n'),
        ("train.csv", 'wav_filename,wav_filesize,transcript\nwavs/a.wav,1,"one, two"\nwavs/b.wav,1,three\n'),
        ("list.tsv", "path\ttext\nwavs/a.wav\tone, two\nwavs/b.wav\tthree\n"),
        (
            "metadata.jsonl",
            '{"file_name": "wavs/a.wav", "text": "one, two"}\n{"file_name": "wavs/b.wav", "text": "three"}\n',
        ),
        ("filelist.txt", "wavs/a.wav|one, two\nb|three\n"),
    ],
)
def test_tables_that_name_their_columns(name: str, content: str, tmp_path: Path) -> None:
    sound(tmp_path / "wavs" / "a.wav"), sound(tmp_path / "wavs" / "b.wav")
    found = one_list(write(tmp_path / name, content))
    assert [one.tokens for one in found] == [("one,", "two"), ("three",)]
    assert [one.place.number for one in found if one.place] in ([1, 2], [2, 3])


def test_a_folder_with_such_a_table(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    write(tmp_path / "recordings.csv", "audio,sentence\na.wav,one\n")
    assert [one.name for one in one_list(tmp_path)] == ["a.wav"]
    write(tmp_path / "recordings.csv", "audio,sentence\na.wav,one\na.wav\n")
    with pytest.raises(DataError, match=r"recordings\.csv:3: 1 columns found where the heading has 2"):
        read(tmp_path)


def test_a_sound_alone_is_no_list(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.wav: a sound, of which nothing is said"):
        read(sound(tmp_path / "a.wav"))


def test_a_recording_with_two_channels_in_a_ctm_is_named(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav", 2), sound(tmp_path / "b.wav", 2)
    lines = "a 1 0.1 0.2 one\na 2 0.5 0.2 two\nb 1 0.1 0.2 one\n"
    path = write(tmp_path / "x.ctm", lines)
    with pytest.raises(DataError, match=r"x\.ctm:1: a has channels 1 and 2, which are averaged"):
        read(path)
    assert [one.name for one in one_list(path, on_bad="skip")] == ["b"]
