"""What a sound file is, told by its first bytes, and whether all of it is there.

libsndfile reads a file that was cut, as by a download that broke, as a shorter sound without a word; of
FLAC, MP3 and CAF it notices. So what heads of the other kinds promise is held against the size of the file. A
head that says 0, or about as much as its field can hold, was written to a pipe, when it was not known.

Sources: Microsoft and IBM (1991), RIFF; EBU Tech 3306 (RF64); Apple (1989), AIFF; RFC 3533 (Ogg).
"""

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hardpp.errors import DataError

KINDS = "RIFF (WAV), RF64, FLAC, NIST SPHERE, MP3, Ogg (Vorbis, Opus), AIFF, AU or CAF"

HEADER = 1024  # bytes of a usual SPHERE header
_LONGEST_HEADER = 65_536
_MAGIC = {
    b"RIFF": "RIFF",
    b"RIFX": "RIFF",
    b"RF64": "RF64",
    b"fLaC": "FLAC",
    b"NIST": "NIST SPHERE",
    b"OggS": "Ogg",
    b"FORM": "AIFF",
    b".snd": "AU",
    b"caff": "CAF",
}
_PIPED = 0x7FFF_F000  # bytes, from which a length of 32 bits means that it was not known (SoX writes this)
_PAGE = 65_536  # bytes at most of an Ogg page, nearly
_LAST_PAGE = 4  # the flag of the page that ends a stream


def kind_of(path: Path) -> str:
    """What kind of sound file this is, which must be whole.

    Raises:
        DataError: it is not there, of no kind that is read, or cut short.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEADER)
            head += file.read(sphere_header(head) - HEADER)
            kind = magic_kind(head)
            if not kind:
                raise DataError(f"{path}: not {KINDS} audio", "convert it to FLAC or WAV first")
            _check_whole(path, file, kind, head)
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such sound file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    return kind


def magic_kind(head: bytes) -> str:
    """The kind of a sound file that begins so, or nothing."""
    return _MAGIC.get(head[:4], "MP3" if _is_mp3(head) else "")


def sphere_header(head: bytes) -> int:
    """The size of a SPHERE header as its second line states it; never less than usual, nor absurdly much."""
    stated = head.split(b"\n")[1].strip() if head.startswith(b"NIST_1A\n") else b""
    return min(max(int(stated), HEADER), _LONGEST_HEADER) if stated.isdigit() else HEADER


def closed(content: bytes) -> bytes:
    """A WAV file's bytes with the length of its sound where a pipe left 0, which libsndfile believes."""
    if content[:4] != b"RIFF" or struct.unpack("<I", content[4:8])[0] + 8 >= len(content):
        return content
    at = 12
    while at + 8 <= len(content):
        length = struct.unpack("<I", content[at + 4 : at + 8])[0]
        if content[at : at + 4] == b"data":
            sizes = (struct.pack("<I", len(content) - place) for place in (8, at + 8))
            return content if length else b"".join(_put(content, at, *sizes))
        at += 8 + length + length % 2
    return content


def _put(content: bytes, at: int, whole: bytes, sound: bytes) -> Iterator[bytes]:
    yield from (content[:4], whole, content[8 : at + 4], sound, content[at + 8 :])


# A tag, or the head of a frame of MPEG audio: eleven bits set, then a layer that is not 0.
def _is_mp3(head: bytes) -> bool:
    return head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] >= 0xE0 and head[1] & 6 != 0)


def _check_whole(path: Path, file: BinaryIO, kind: str, head: bytes) -> None:
    size = path.stat().st_size
    if kind == "NIST SPHERE":
        _check_sphere(path, head, size)
    elif kind == "Ogg":
        file.seek(max(0, size - 2 * _PAGE))
        last = (tail := file.read()).rfind(b"OggS")
        if last >= 0 and len(tail) > last + 5 and not tail[last + 5] & _LAST_PAGE:
            raise DataError(f"{path}: cut short, its last page is not there")
    else:
        for start, promised in _sound_chunks(file, kind, head):
            # Some programs count the head of the file as sound.
            if (has := size - start) < promised and promised not in (size, size - 8):
                raise DataError(f"{path}: cut short, has {has:,} of {promised:,} bytes of sound")


# Where the sound begins, and how many bytes of it there are; nothing where that is not known.
def _sound_chunks(file: BinaryIO, kind: str, head: bytes) -> Iterator[tuple[int, int]]:
    if kind == "MP3":
        yield from _mp3_chunk(file, head)
    if kind == "AU" and len(head) >= 12:
        start, promised = struct.unpack(">II", head[4:12])
        if 0 < promised < _PIPED:
            yield start, promised
    if kind not in ("RIFF", "RF64", "AIFF"):
        return
    order, wanted = (">" if head[:4] in (b"RIFX", b"FORM") else "<"), b"SSND" if kind == "AIFF" else b"data"
    at, wide = 12, 0  # RF64 has the lengths of 64 bits in a chunk before
    while True:
        file.seek(at)
        chunk = file.read(24)
        if len(chunk) < 8:
            return
        name, length = chunk[:4], struct.unpack(f"{order}I", chunk[4:8])[0]
        if name == b"ds64" and len(chunk) == 24:
            wide = struct.unpack("<Q", chunk[16:24])[0]
        if name == wanted:
            length = wide if kind == "RF64" and length == 0xFFFF_FFFF else length
            if length and (length < _PIPED or (kind == "RF64" and length == wide)):
                yield at + 8, length
            return
        at += 8 + length + length % 2


# By what encoders write into the first frame, after a tag if there is one: how many bytes there are.
def _mp3_chunk(file: BinaryIO, head: bytes) -> Iterator[tuple[int, int]]:
    start = 0
    if head[:3] == b"ID3" and len(head) >= 10:
        start = 10 + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    file.seek(start)
    frame = file.read(200)
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    if at >= 0 and len(frame) >= at + 16:
        flags = struct.unpack(">I", frame[at + 4 : at + 8])[0]
        place = at + 8 + 4 * (flags & 1)
        if flags & 2:
            yield start, struct.unpack(">I", frame[place : place + 4])[0]


def _check_sphere(path: Path, head: bytes, has: int) -> None:
    lines = head.partition(b"end_head")[0].decode("latin-1").split("\n")
    fields = {words[0]: words[2] for words in map(str.split, lines) if len(words) >= 3}
    if "shorten" in fields.get("sample_coding", ""):
        raise DataError(
            f"{path}: NIST SPHERE audio compressed with shorten cannot be read",
            "convert it first, with sph2pipe -f wav",
        )
    try:
        sizes = [int(fields.get(key, "1")) for key in ("sample_count", "sample_n_bytes", "channel_count")]
        promised = int(lines[1]) + math.prod(sizes)
    except (ValueError, IndexError) as error:
        raise DataError(f"{path}: damaged NIST SPHERE audio (its header makes no sense)") from error
    if int(lines[1]) > _LONGEST_HEADER:
        raise DataError(f"{path}: damaged NIST SPHERE audio (it states a header of {int(lines[1])} bytes)")
    if has < promised:
        raise DataError(f"{path}: cut short, has {has} of {promised} bytes")
