"""Sound files of many kinds, whole and cut, whatever they are called."""

import struct
from pathlib import Path

import numpy as np
import pytest
from speech_files import noise, write_riff

from hardpp.data.speech import audio
from hardpp.errors import DataError

soundfile = pytest.importorskip("soundfile")

KINDS = {
    "RIFF": {"format": "WAV"},
    "RIFF, extensible": {"format": "WAVEX"},
    "RIFF, ADPCM": {"format": "WAV", "subtype": "MS_ADPCM"},
    "RIFF, big endian": {"format": "WAV", "endian": "BIG"},
    "RF64": {"format": "RF64"},
    "AIFF": {"format": "AIFF"},
    "AIFF, compressed": {"format": "AIFF", "subtype": "ULAW"},
    "AU": {"format": "AU"},
    "CAF": {"format": "CAF"},
    "MP3": {"format": "MP3"},
    "Ogg": {"format": "OGG", "subtype": "VORBIS"},
    "Ogg, Opus": {"format": "OGG", "subtype": "OPUS"},
    "FLAC": {"format": "FLAC"},
}


@pytest.mark.parametrize("name", ["a.wav", "a.raw", "a"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_libsndfile_reads_is_read_by_what_is_in_it(tmp_path: Path, kind: str, name: str) -> None:
    path = tmp_path / name
    soundfile.write(str(path), noise(16000), 16000, **KINDS[kind])
    head = audio.inspect(path)
    assert (head.kind, head.rate) == (kind.partition(",")[0], 16000)
    assert 16000 <= head.samples < 16300  # ADPCM fills its last block
    assert len(audio.read(path)) == head.samples


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_a_file_that_was_cut_is_named(tmp_path: Path, kind: str) -> None:
    whole, path = tmp_path / "whole", tmp_path / "cut.wav"
    soundfile.write(str(whole), noise(16000), 16000, **KINDS[kind])
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    for reader in (audio.inspect, audio.read):
        with pytest.raises(DataError, match=r"cut\.wav: (cut short|damaged)"):
            reader(path)


@pytest.mark.parametrize("stated", [0, 0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF])
def test_lengths_that_a_pipe_left_open_are_no_promise(tmp_path: Path, stated: int) -> None:
    path = write_riff(tmp_path / "a.wav", noise(3000))
    content = bytearray(path.read_bytes())
    content[40:44] = struct.pack("<I", stated)
    for whole in (struct.pack("<I", min(36 + stated, 0xFFFFFFFF)), struct.pack("<I", stated)):
        content[4:8] = whole
        path.write_bytes(content)
        assert audio.inspect(path).samples == 3000
        assert audio.read(path).shape == (3000,)


def test_other_chunks_before_and_after_the_sound_are_none_of_it(tmp_path: Path) -> None:
    path = write_riff(tmp_path / "a.wav", noise(3000))
    content = path.read_bytes()
    odd = b"LIST" + struct.pack("<I", 5) + b"INFO?" + b"\0"
    content = content[:12] + odd + content[12:] + odd
    path.write_bytes(b"RIFF" + struct.pack("<I", len(content) - 8) + content[8:])
    assert audio.inspect(path).samples == 3000
    path.write_bytes(path.read_bytes()[: -len(odd)])  # what is missing is no sound
    assert audio.inspect(path).samples == 3000
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(DataError, match=r"cut short, has 5,998 of 6,000 bytes of sound"):
        audio.inspect(path)


def test_an_mp3_file_with_a_tag(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    soundfile.write(str(path), noise(16_000), 16_000, format="MP3")
    tagged = b"ID3\x03\0\0" + bytes((0, 0, 2, 16)) + bytes(2 * 128 + 16) + path.read_bytes()
    path.write_bytes(tagged)
    assert audio.inspect(path).samples == 16_000
    path.write_bytes(tagged[:-1500])
    with pytest.raises(DataError, match="cut short"):
        audio.inspect(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_found_before_anything_is_computed(
    tmp_path: Path, value: float
) -> None:
    samples = np.zeros(1 << 21, np.float32)
    samples[-7] = value
    soundfile.write(str(tmp_path / "a.wav"), samples, 16000, subtype="FLOAT")
    with pytest.raises(DataError, match="not finite"):
        audio.inspect(tmp_path / "a.wav")


def test_a_stretch_of_a_sound(tmp_path: Path) -> None:
    path = write_riff(tmp_path / "a.wav", noise(16000))
    whole = audio.read(path)
    assert (audio.read(path, 0.25, 0.5) == whole[4000:8000]).all()
    assert audio.inspect(path).part(0.25, None).seconds == 0.75
