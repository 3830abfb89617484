import sys
from pathlib import Path

import numpy as np
import pytest
import speech_files
import torch

from hardpp.data.speech import audio
from hardpp.data.speech.resampling import resample
from hardpp.errors import DataError, UsageError

soundfile = pytest.importorskip("soundfile")


@pytest.mark.parametrize("kind", ["RIFF", "FLAC", "little endian SPHERE", "big endian SPHERE"])
def test_samples_are_those_written_whatever_the_name(tmp_path: Path, kind: str) -> None:
    samples = speech_files.noise(5000)
    path = tmp_path / "SI648.WAV"
    if kind == "RIFF":
        speech_files.write_riff(path, samples)
    elif kind == "FLAC":
        soundfile.write(str(path), samples, 16000, format="FLAC")
    else:
        speech_files.write_sphere(path, samples, order="10" if kind.startswith("big") else "01")
    assert audio.inspect(path) == audio.Sound(
        kind.split()[-1].replace("SPHERE", "NIST SPHERE"), 16000, 1, 5000
    )
    found = audio.read(path)
    assert found.dtype == torch.float32
    assert torch.equal(found, torch.from_numpy(samples / np.float32(32768)))


def test_channels_are_averaged_and_the_rate_becomes_16_khz(tmp_path: Path) -> None:
    times = np.arange(44100) / 44100
    tone = 8000 * np.sin(2 * np.pi * 440 * times)
    both = np.stack([1.5 * tone, 0.5 * tone], 1).round().astype(np.int16)
    path = speech_files.write_riff(tmp_path / "a.wav", both, rate=44100)
    assert audio.inspect(path).seconds == 1
    found = audio.read(path)
    assert found.shape == (16000,)
    expected = 8000 / 32768 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    # Beyond the ends there is silence, which the filter's reach blurs into the tone.
    np.testing.assert_allclose(found[50:-50].numpy(), expected[50:-50], atol=3e-4)


@pytest.mark.parametrize(("rate", "to"), [(8000, 16000), (22050, 16000), (48000, 16000), (16000, 11025)])
def test_resampling_keeps_what_both_rates_can_hold(rate: int, to: int) -> None:
    length = rate // 4
    hertz = 0.3 * min(rate, to)
    wave = torch.cos(2 * torch.pi * hertz * torch.arange(length, dtype=torch.float64) / rate).float()
    found = resample(wave, rate, to)
    assert len(found) == -(-length * to // rate)
    expected = torch.cos(2 * torch.pi * hertz * torch.arange(len(found), dtype=torch.float64) / to).float()
    torch.testing.assert_close(found[100:-100], expected[100:-100], atol=5e-3, rtol=0)


def test_resampling_drops_what_the_lower_rate_cannot_hold() -> None:
    wave = torch.cos(2 * torch.pi * 12000 * torch.arange(8820, dtype=torch.float64) / 44100).float()
    assert resample(wave, 44100, 16000)[100:-100].abs().max() < 1e-2
    assert resample(torch.ones(1), 44100, 16000).shape == (1,)
    assert resample(wave, 16000, 16000) is wave


def test_shorten_is_refused_in_a_sentence(tmp_path: Path) -> None:
    extra = "sample_coding -s26 pcm,embedded-shorten-v2.00\n"
    path = speech_files.write_sphere(tmp_path / "a.wav", speech_files.noise(300), extra=extra)
    for reader in (audio.inspect, audio.read):
        with pytest.raises(DataError, match=r"a\.wav: NIST SPHERE audio compressed with shorten") as error:
            reader(path)
        assert "sph2pipe" in error.value.hint


@pytest.mark.parametrize("size", [2048, 65_536])
def test_sphere_files_with_longer_headers(tmp_path: Path, size: int) -> None:
    samples, path = speech_files.noise(300), tmp_path / "a.wav"
    comments = "".join(f"comment_{n} -s20 {'what nobody asked':<20}\n" for n in range(40))
    speech_files.write_sphere(path, samples, order="10", extra=comments, size=size)
    assert audio.inspect(path) == audio.Sound("NIST SPHERE", 16000, 1, 300)
    assert torch.equal(audio.read(path), torch.from_numpy(samples / np.float32(32768)))
    audio.to_flac(path, tmp_path / "a.flac")
    assert torch.equal(audio.read(path), audio.read(tmp_path / "a.flac"))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"a\.wav: cut short"):
        audio.read(path)
    path.write_bytes(path.read_bytes().replace(f"{size:7d}".encode(), b"9999999"))
    with pytest.raises(DataError, match="header of 9999999 bytes"):
        audio.read(path)
    coding = "sample_coding -s26 pcm,embedded-shorten-v2.00\n"
    speech_files.write_sphere(path, samples, extra=comments + coding, size=size)
    with pytest.raises(DataError, match="compressed with shorten"):
        audio.read(path)


def test_what_is_no_sound_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with pytest.raises(DataError, match=r"a\.wav: there is no such sound file"):
        audio.read(path)
    with pytest.raises(DataError, match="cannot be read"):
        audio.read(tmp_path)
    for content in (b"", b"what", b"\xff\xf1 of AAC"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.wav: not RIFF \(WAV\), RF64, FLAC, NIST SPHERE, MP3, Ogg"):
            audio.read(path)
    for content in (b"RIFF" + bytes(40), b"fLaC" + bytes(40), b"ID3 of an MP3", b"OggS"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.wav: damaged (RIFF|FLAC|MP3|Ogg) audio"):
            audio.read(path)
    speech_files.write_riff(path, speech_files.noise(0))
    with pytest.raises(DataError, match=r"a\.wav: holds no sound"):
        audio.read(path)
    soundfile.write(str(path), np.array([0.0, np.nan], np.float32), 16000, subtype="FLOAT", format="WAV")
    with pytest.raises(DataError, match=r"a\.wav: holds samples that are not finite"):
        audio.read(path)


def test_a_sphere_file_that_was_cut_is_refused(tmp_path: Path) -> None:
    path = speech_files.write_sphere(tmp_path / "a.wav", speech_files.noise(3000))
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(DataError, match=r"a\.wav: cut short, has 6324 of 7024 bytes"):
        audio.read(path)
    path.write_bytes(b"NIST_1A\n   what\nsample_count -i 10\nend_head\n".ljust(1024))
    with pytest.raises(DataError, match=r"a\.wav: damaged NIST SPHERE audio"):
        audio.read(path)


def test_flac_keeps_every_sample(tmp_path: Path) -> None:
    path = speech_files.write_riff(tmp_path / "a.wav", speech_files.noise(4000), rate=8000)
    audio.to_flac(path, tmp_path / "b.flac")
    assert audio.inspect(tmp_path / "b.flac") == audio.Sound("FLAC", 8000, 1, 4000)
    assert torch.equal(audio.read(path), audio.read(tmp_path / "b.flac"))


@pytest.mark.parametrize("lost", [1, 3000])
def test_a_flac_file_that_was_cut_is_refused_unread(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "a.flac"
    audio.to_flac(speech_files.write_riff(tmp_path / "a.wav", speech_files.noise(4000)), path)
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(DataError, match=r"a\.flac: damaged FLAC audio"):
        audio.inspect(path)


def test_a_flac_file_of_unknown_length_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    audio.to_flac(speech_files.write_riff(tmp_path / "a.wav", speech_files.noise(4000)), path)
    content = bytearray(path.read_bytes())
    content[22:26] = bytes(4)  # what a program leaves there that writes to a pipe
    path.write_bytes(content)
    for reader in (audio.inspect, audio.read):
        with pytest.raises(DataError, match=r"a\.flac: does not say how long it is"):
            reader(path)


def test_soundfile_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = speech_files.write_riff(tmp_path / "a.wav", speech_files.noise(300))
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(UsageError, match="needs soundfile") as error:
        audio.read(path)
    assert error.value.hint == "pip install 'hardpp[audio]'"


def test_a_rate_that_no_sound_has_is_refused(tmp_path: Path) -> None:
    path = speech_files.write_riff(tmp_path / "a.wav", speech_files.noise(100), rate=1)
    with pytest.raises(DataError, match=r"a\.wav: has 1 samples a second, and sound has 1,000 at least"):
        audio.inspect(path)


def test_hours_of_silence_in_a_small_file_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile = pytest.importorskip("soundfile")
    monkeypatch.setattr(audio, "_LARGE", 1000)
    path = tmp_path / "a.flac"
    soundfile.write(path, np.zeros((2**21, 8), np.int16), 8000)
    with pytest.raises(
        DataError, match=r"a\.flac: has [\d,]+ bytes, and 0\.1 hours in 8 channels, which take 67,"
    ):
        audio.read(path)
    assert len(audio.read(path, 1.0, 1.01)) == 160
