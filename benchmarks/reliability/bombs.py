"""Small files that unpack to gigabytes, in every form that is read."""

import gzip
import io
import json
import shutil
import struct
import wave
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import soundfile
from caption_files import NAMES, write_table
from image_files import write_idx
from PIL import Image
from question_corpora import write_vqa

GIGABYTES = 3
CHUNK = bytes(2**24)


def _packed(head: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    first = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    chunk = packer.compress(CHUNK) + packer.flush(zlib.Z_FULL_FLUSH)  # each is packed alike
    return first + chunk * (GIGABYTES * 64)


def text(folder: Path) -> list[str]:
    """A list of pairs, packed by gzip."""
    (folder / "words.tsv.gz").write_bytes(_packed(b"a\tb\n"))
    return ["train", "--data", str(folder / "words.tsv.gz")]


def idx(folder: Path) -> list[str]:
    """Images in an IDX file, packed by gzip."""
    data = write_idx(folder / "idx")
    (data / "train-images-idx3-ubyte").write_bytes(_packed(struct.pack(">BBBBIII", 0, 0, 8, 3, 40, 28, 28)))
    return ["train", "--model", "glimpse", "--data", str(data)]


def npz(folder: Path) -> list[str]:
    """Features of regions in a ZIP archive."""
    data = write_vqa(folder / "vqa")
    (data / "features.tsv").unlink()
    shape = (GIGABYTES * 4, 4, 2**24)
    header = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    with zipfile.ZipFile(data / "f.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in (("image_id", np.arange(shape[0])), ("boxes", np.zeros((*shape[:2], 4)))):
            content = io.BytesIO()
            np.save(content, array)
            archive.writestr(f"{name}.npy", content.getvalue())
        with archive.open("features.npy", "w", force_zip64=True) as member:
            member.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
            for _ in range(GIGABYTES * 64):
                member.write(CHUNK)
    return ["train", "--model", "question-answering", "--data", str(data)]


def picture(folder: Path, kind: str, size: tuple[int, int], **how: str) -> list[str]:
    """One of the pictures of captions, of one shade."""
    (folder / "captions").mkdir()
    data = write_table(folder / "captions", NAMES[:40])
    first = next((data / "Images").glob("*"))
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    Image.new("L", size).save(first, kind, **how)
    Image.MAX_IMAGE_PIXELS = limit
    return ["train", "--model", "caption", "--data", str(data), "--max-steps", "1"]


def slow_sound(folder: Path) -> list[str]:
    """A sound of one sample a second, which at 16 kHz is 16,000 times as long."""
    path = folder / "slow.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(1)
        file.writeframes(bytes(2**21))
    return _listed(folder, path)


def fast_sound(folder: Path) -> list[str]:
    """A sound whose rate is prime and large."""
    path = folder / "fast.wav"
    soundfile.write(path, np.zeros(1600, np.float32), 7_368_787)
    return _listed(folder, path)


def silence(folder: Path) -> list[str]:
    """Hours of silence in a FLAC file."""
    path = folder / "silence.flac"
    with soundfile.SoundFile(path, "w", 8000, 8, "PCM_16", format="FLAC") as file:
        for _ in range(GIGABYTES * 8):
            file.write(np.zeros((2**22, 8), np.int16))
    return _listed(folder, path)


def _listed(folder: Path, path: Path) -> list[str]:
    names = []
    for number in range(40):
        names.append(f"{number}{path.suffix}")
        shutil.copy(path, folder / names[-1])
    (folder / "list.tsv").write_text("".join(f"{name}\ta b\n" for name in names))
    return ["train", "--model", "online-alignment", "--data", str(folder / "list.tsv")]


def posterior(folder: Path) -> list[str]:
    """A netCDF file of a few kilobytes whose arrays have gigabytes."""
    with h5py.File(folder / "posterior.nc", "w") as file:
        file.create_dataset("posterior/x", (GIGABYTES * 2**27,), "f8", chunks=True, compression="gzip")
    return ["posterior", str(folder / "posterior.nc")]


def nested(folder: Path) -> list[str]:
    """Questions in JSON, packed lists in one another."""
    data = write_vqa(folder / "vqa")
    next(data.glob("*train*questions.json")).write_text(json.dumps({"questions": []})[:-2] + "[" * 10**6)
    return ["train", "--model", "question-answering", "--data", str(data)]


def twice_packed(folder: Path) -> list[str]:
    """A list that gzip has packed twice."""
    (folder / "words.tsv").write_bytes(gzip.compress(_packed(b"a\tb\n")))
    return ["train", "--data", str(folder / "words.tsv")]


BOMBS: dict[str, Callable[[Path], list[str]]] = {
    "pairs, gzip": text,
    "pairs, gzip twice": twice_packed,
    "images, packed IDX": idx,
    "regions, npz": npz,
    "questions, nested JSON": nested,
    "picture, PNG of 176 million pixels": lambda folder: picture(folder, "PNG", (16_000, 11_000)),
    "picture, PNG of 3,600 million pixels": lambda folder: picture(folder, "PNG", (60_000, 60_000)),
    "picture, TIFF of 3,600 million pixels": lambda folder: picture(
        folder, "TIFF", (60_000, 60_000), compression="tiff_deflate"
    ),
    "sound, WAV of one sample a second": slow_sound,
    "sound, WAV of a large prime rate": fast_sound,
    "sound, FLAC of silence": silence,
    "posterior, netCDF": posterior,
}
