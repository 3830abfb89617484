import os
import shutil
from pathlib import Path

import pytest
import speech_files
import torch

from hardpp.data.fetch.sources import cache_folder
from hardpp.data.parts import bucket
from hardpp.data.speech import flite, log_mel, synthetic_speech
from hardpp.data.speech.phone_folding import TO_39
from hardpp.data.speech.synthetic_speech import SIZES, Order
from hardpp.data.speech.utterances import Segment
from hardpp.data.transduction.ding import bitext
from hardpp.data.transduction.pairs import Bitext
from hardpp.data.transduction.text_pairs import TextPair
from hardpp.errors import DataError, UsageError

pytest.importorskip("soundfile")

OWN = os.environ.get("HARDPP_DATA")  # before the tests set it


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HARDPP_DATA", str(tmp_path / "cache"))
    monkeypatch.setitem(SIZES, "small", {"train": 8, "dev": 4, "test": 4})
    monkeypatch.setitem(SIZES, "full", {"train": 20, "dev": 5, "test": 4})


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = speech_files.write_flite(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(path.parent))
    return path


def texts() -> Bitext:
    sentences = [f"Sentence {number} isn\u2019t one of the long ones." for number in range(400)]
    others = [f"Number {number} is short." for number in range(400)]
    others += [f"Satz {number} ist keiner der \u00fcberlangen." for number in range(400)]
    others += [f"{number} {'very ' * 13}long." for number in range(400)]
    pairs = [TextPair(f"Satz {number}", text) for number, text in enumerate(sentences * 2 + others)]
    return Bitext("texts", pairs[:300], pairs[300:500], pairs[500:])


def no_texts() -> Bitext:
    pytest.fail("the sentences are not needed again")


def test_no_sentence_is_in_two_parts_and_voices_take_turns() -> None:
    ordered = synthetic_speech.orders(texts(), "full")
    assert {part: len(found) for part, found in ordered.items()} == SIZES["full"]
    said = [order.text for found in ordered.values() for order in found]
    assert len(set(said)) == len(said)
    for part, found in ordered.items():
        assert {bucket(order.text) for order in found} <= {
            "train": set(range(2, 20)),
            "dev": {1},
            "test": {0},
        }[part]
        assert [order.voice.name for order in found[:4]] == ["kal16", "awb", "rms", "slt"]
    every = [order for found in ordered.values() for order in found]
    assert all(0.8 <= order.stretch <= 1.25 for order in every)
    assert all(order.voice.pitch[0] <= order.pitch < order.voice.pitch[1] for order in every)
    assert all("isn't one of the long ones." in order.text for order in every)


def test_small_parts_begin_the_full_ones_and_an_order_is_the_same_everywhere() -> None:
    some, every = synthetic_speech.orders(texts(), "small"), synthetic_speech.orders(texts(), "full")
    assert all(every[part][: len(found)] == found for part, found in some.items())
    first = some["dev"][0]
    assert (first.name, first.voice.name) == ("0000-kal16", "kal16")
    assert (first.text, first.stretch, first.pitch) == ("Sentence 75 isn't one of the long ones.", 1.12, 105)


def test_too_few_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIZES, "small", {"train": 8, "dev": 99, "test": 4})
    with pytest.raises(DataError, match=r"texts: 99 sentences are needed for the dev part, it has \d+"):
        synthetic_speech.orders(texts(), "small")


def test_speech_is_made_once(fake: Path) -> None:
    told: list[str] = []
    parts = synthetic_speech.recordings(texts, "small", told.append)
    assert told == ["making 16 utterances with flite"]
    assert {part: len(found) for part, found in parts.items()} == SIZES["small"]
    first = parts["train"][0]
    assert (first.name, first.speaker, first.sex) == ("train/0000-kal16", "kal16", "m")
    assert [one.sex for one in parts["dev"]] == ["m", "m", "m", "f"]
    words = len(synthetic_speech.orders(texts(), "small")["train"][0].text.split())
    assert first.segments[0] == Segment(0.0, 0.1, "pau")
    assert len(first.tokens) == words + 2
    # The fake voice kal16 has labels that run past its sound, as the real one has.
    assert (
        first.segments[-1].end == len(first.sound.read()) / log_mel.RATE == pytest.approx(0.1 * (words + 2))
    )
    fake.unlink()
    assert synthetic_speech.recordings(no_texts, "small", pytest.fail) == parts
    assert not list(cache_folder().rglob("*.wav"))


def test_the_same_speech_is_made_again(fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = []
    for cache in ("one", "two"):
        monkeypatch.setenv("HARDPP_DATA", str(tmp_path / cache))
        parts = synthetic_speech.recordings(texts, "small", lambda text: None)
        digests.append([one.sound.digest() for found in parts.values() for one in found])
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == 16


def test_without_flite_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="needs the program flite, which is not installed") as error:
        synthetic_speech.recordings(texts, "small", lambda text: None)
    assert error.value.hint == "apt install flite"
    speech_files.write_flite(tmp_path, voices="kal kal16 rms slt")
    with pytest.raises(UsageError, match="lacks the voices awb"):
        synthetic_speech.recordings(texts, "small", lambda text: None)
    speech_files.write_flite(tmp_path, failing=True)
    with pytest.raises(DataError, match=r'flite on "Sentence .*" failed \(out of voice\)'):
        synthetic_speech.recordings(texts, "small", lambda text: None)
    assert list(cache_folder().iterdir()) == []


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("", "gave no phones"),
        ("pau:0.1 aa", "gave 'aa' for a phone and its end"),
        ("pau:0.1 :0.2", "gave ':0.2' for a phone"),
        ("pau:0.1 aa:0.05", "gave 'aa:0.05' for a phone"),
        ("pau:0.1 aa:9.0", "the labels end at 9.000 s"),
    ],
)
def test_odd_answers_of_flite_are_refused(tmp_path: Path, said: str, message: str) -> None:
    path = tmp_path / "flite"
    speech_files.write_riff(tmp_path / "sound", speech_files.noise(4800))
    path.write_text(f"#!/bin/sh\n/bin/cp {tmp_path}/sound {tmp_path}/a.wav\necho '{said}'\n")
    path.chmod(0o755)
    with pytest.raises(DataError, match=message):
        flite.say(str(path), "One two.", flite.VOICES[0], 1.0, 100, tmp_path / "a.flac")


def test_a_damaged_list_is_refused(fake: Path) -> None:
    synthetic_speech.recordings(texts, "small", lambda text: None)
    (path,) = cache_folder().glob("*/utterances.json")
    path.write_text(path.read_text()[:-20])
    with pytest.raises(DataError, match=r"utterances\.json: damaged list"):
        synthetic_speech.recordings(texts, "small", lambda text: None)


@pytest.mark.skipif(shutil.which("flite") is None, reason="needs flite")
def test_real_speech_has_phones_where_it_says(tmp_path: Path) -> None:
    program = flite.find_flite()
    pauses, speech = [], []
    for voice in flite.VOICES:
        path = tmp_path / f"{voice.name}.flac"
        segments = flite.say(program, "A dog isn't a cat, but close.", voice, 1.1, 120, path)
        order = Order("a", voice, "A dog isn't a cat, but close.", 1.1, 120)
        again = flite.say(program, order.text, voice, order.stretch, order.pitch, tmp_path / "again.flac")
        assert again == segments
        assert (tmp_path / "again.flac").read_bytes() == path.read_bytes()
        assert {segment.label for segment in segments} <= set(TO_39)
        wave = synthetic_speech.SoundFile(path).read()
        assert segments[-1].end == len(wave) / log_mel.RATE
        energies = log_mel.static(wave)[:, 40]
        for segment in segments:
            place = min(int((segment.start + segment.end) * 50), len(energies) - 1)
            (pauses if segment.label == "pau" else speech).append(energies[place])
    assert torch.stack(speech).median() > torch.stack(pauses).median() + 4  # nats


@pytest.mark.skipif(not (cache_folder() / "ding-1.9").is_dir(), reason="needs the data fetched")
def test_ding_has_sentences_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARDPP_DATA")
    if OWN is not None:
        monkeypatch.setenv("HARDPP_DATA", OWN)
    monkeypatch.setitem(SIZES, "full", {"train": 3696, "dev": 400, "test": 192})
    assert len(synthetic_speech.orders(bitext(cache_folder() / "ding-1.9"), "full")["train"]) == 3696
