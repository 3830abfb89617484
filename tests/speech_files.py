"""Sound files and folders of speech as users hold them, generated: nobody's recordings."""

import sys
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hardpp.data.speech.timit import DEV_SPEAKERS, TEST_SPEAKERS

Samples = NDArray[np.int16]

PHN = [(0, 2000, "h#"), (2000, 4000, "sh"), (4000, 4800, "q"), (4800, 7000, "ix"), (7000, 7900, "h#")]
LABELS = [(0.1, "pau"), (0.25, "k"), (0.31, "ay"), (0.5, "pau")]
LENGTH = 8000  # samples of a TIMIT-like sound


def noise(length: int, seed: int = 0, loud: float = 3000) -> Samples:
    return (np.random.default_rng(seed).standard_normal(length) * loud).clip(-32768, 32767).astype(np.int16)


def write_riff(path: Path, samples: Samples, rate: int = 16_000) -> Path:
    """Samples (N,) or (N, channels)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def write_sphere(path: Path, samples: Samples, order: str = "01", extra: str = "", size: int = 1024) -> Path:
    """NIST SPHERE at 16 kHz; `order` is "01" for little and "10" for big endian, `size` the header's."""
    fields = [
        f"channel_count -i {1 if samples.ndim == 1 else samples.shape[1]}",
        f"sample_count -i {len(samples)}",
        "sample_rate -i 16000",
        "sample_n_bytes -i 2",
        f"sample_byte_format -s2 {order}",
        "sample_sig_bits -i 16",
    ]
    head = "\n".join(["NIST_1A", f"{size:7d}", *fields]) + f"\n{extra}end_head\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        head.encode().ljust(size, b"\n") + samples.astype("<i2" if order == "01" else ">i2").tobytes()
    )
    return path


def write_labels(path: Path, rows: list[tuple[int, int, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{start} {end} {phone}\n" for start, end, phone in rows))
    return path


def write_timit(folder: Path) -> Path:
    """Two speakers of each part and one of neither test, three sentences each, one of them SA."""
    dev, test = sorted(DEV_SPEAKERS), sorted(TEST_SPEAKERS)
    speakers = {"TRAIN": ["fcjf0", "marc0"], "TEST": [dev[0], dev[-1], test[0], test[-1], "mxyz0"]}
    for part, names in speakers.items():
        for number, name in enumerate(names):
            for sentence in ("SA1", "SI648", "SX37"):
                stem = folder / part / f"DR{1 + number}" / name.upper() / sentence
                samples = noise(LENGTH, seed=sum(map(ord, name + sentence)))
                write_sphere(stem.with_suffix(".WAV"), samples, order="10" if name == "marc0" else "01")
                write_labels(stem.with_suffix(".PHN"), PHN)
    return folder


def write_festvox(folder: Path, count: int = 20) -> Path:
    for number in range(count):
        stem = f"ru_{number:04d}"
        write_riff(folder / "wav" / f"{stem}.wav", noise(8000 + number, seed=number))
        (folder / "lab").mkdir(exist_ok=True)
        lines = "".join(f"\t{end:.5f} 125 {phone}\n" for end, phone in LABELS)
        (folder / "lab" / f"{stem}.lab").write_text(f"separator ;\nnfields 1\n#\n{lines}")
    return folder


def write_flite(
    folder: Path, *, voices: str = "kal awb_time kal16 awb rms slt", failing: bool = False
) -> Path:
    """A program that answers as flite does: noise that depends on what it is told, a phone a word."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "flite"
    path.write_text(
        f"""#!{sys.executable}
import random, sys, wave
words = sys.argv[1:]
if words == ["-lv"]:
    print("Voices available: {voices} ")
    sys.exit()
if {failing}:
    sys.exit("out of voice")
said = words[words.index("-t") + 1].split()
draw = random.Random(repr([word for word in words if not word.endswith(".wav")]))
with wave.open(words[words.index("-o") + 1], "wb") as file:
    file.setnchannels(1), file.setsampwidth(2), file.setframerate(16000)
    file.writeframes(draw.randbytes(2 * 1600 * (len(said) + 2)))
phones = ["pau", *("aa" if len(word) % 2 else "zh" for word in said), "pau"]
overrun = 0.1 if "kal16" in words else 0
print(" ".join(f"{{p}}:{{0.1 * n + overrun * (n == len(phones)):.3f}}" for n, p in enumerate(phones, 1)))
"""
    )
    path.chmod(0o755)
    return path


def write_digits(path: Path, each: int = 20, lengths: tuple[int, int] = (6, 12)) -> Path:
    """The recordings of `spoken_digits`: 13 features, of which the second is digit and recording."""
    draw = np.random.default_rng(0)
    y = draw.permutation(np.repeat(np.arange(10), each))
    L = draw.integers(lengths[0], lengths[1], len(y))
    X = draw.standard_normal((L.sum(), 13)).astype(np.float32)
    X[:, 1] = np.repeat(y * 1000 + np.arange(len(y)), L)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, X=X, y=y, lengths=L)
    return path
