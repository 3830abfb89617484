"""Damaged copies of a file's bytes: a number makes a copy, and the same one whenever it is asked.

Damage is of every kind that we know of: bits and bytes of no sense, files that were cut, blocks and lines
that are missing, there twice or in another place, numbers beyond all bounds, deep nesting, signs that no
keyboard has, and other encodings.
"""

import gzip
import random
import re
import struct
from collections.abc import Callable

Draw = random.Random
Mutation = Callable[[bytes, Draw], bytes]

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
_WORD = re.compile(rb"[^\s\"',:;{}\[\]|]+")
_NUMBERS = (
    *("0", "-1", "1", "2147483648", "9223372036854775808", "18446744073709551616", "-9223372036854775809"),
    *(
        "nan",
        "inf",
        "-inf",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "-1e400",
        "1e-400",
        "1e308",
        "1e9",
        "1e18",
    ),
    *("0x10", "1_000", "٣", "²", "1.5", "-0.0", "true", "null", '""', "[]", "{}", "1" + "0" * 40, "9" * 5000),
)
_SIGNS = (
    *(
        "\0",
        "\t",
        "\n",
        "\r",
        "\x0b",
        "\x0c",
        "\x1a",
        "\x1b[2J",
        "\x7f",
        "\x85",
        "\xa0",
        "\xad",
        "\u0301" * 50,
    ),
    *("\u2028", "\u202e", "\u200b", "\ufeff", "\ufffe", "\U0001f468\u200d\U0001f469", "ß", "İ", "ﬁ", "㍿"),
    *(
        '"',
        '""',
        "'",
        "\\",
        "\\u0000",
        "\\ud800",
        "\\x00",
        ",",
        ";",
        "|",
        "|||",
        ":",
        "=",
        "#",
        "<",
        "<b>",
        "-",
    ),
    *(
        "../",
        "/",
        "/dev/zero",
        "/etc/passwd",
        "~",
        "CON",
        "x" * 300,
        "../" * 50,
        ".",
        "..",
        "*",
        "%n",
        "${x}",
    ),
    *("None", "a.b.c", "\ud800", "nan", "%s%s", " ", "   ", "a b", "-->", "==="),
)
_WORDS = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 40,
    1 << 63,
)
_NESTS = (b"[", b'{"a":', b"(", b"{a=", b"<a>", b"[[", b'["', b"((", b"-")
_MAGIC = (
    b"",
    b"PK\x03\x04",
    b"\x1f\x8b\x08",
    b"\x80\x04\x95",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF",
    b"\xff\xfe",
    b"\0" * 64,
)


def mutated(content: bytes, number: int) -> bytes:
    """The copy of a file's bytes that has the damage of a number; small ones and large ones alike."""
    draw = random.Random(number)
    for _ in range(draw.choice((1, 1, 1, 2, 2, 4))):
        content = draw.choice(_MUTATIONS)(content, draw)
    return content


def _block(content: bytes, draw: Draw) -> tuple[int, int]:
    start = draw.randrange(len(content) + 1)
    return start, min(len(content), start + draw.choice((1, 2, 4, 8, 16, 64, 256, 2048)))


def _flip(content: bytes, draw: Draw) -> bytes:
    return _at(content, draw, lambda byte: byte ^ 1 << draw.randrange(8))


def _change_byte(content: bytes, draw: Draw) -> bytes:
    return _at(content, draw, lambda byte: draw.randrange(256))


# One of its bytes; heads of files are hit more often, since more of them has a meaning.
def _at(content: bytes, draw: Draw, change: Callable[[int], int]) -> bytes:
    if not content:
        return content
    place = draw.randrange(len(content) if draw.random() < 0.5 else min(len(content), 256))
    return content[:place] + bytes([change(content[place])]) + content[place + 1 :]


def _cut(content: bytes, draw: Draw) -> bytes:
    return content[: draw.randrange(len(content) + 1)]


def _delete(content: bytes, draw: Draw) -> bytes:
    start, end = _block(content, draw)
    return content[:start] + content[end:]


def _repeat(content: bytes, draw: Draw) -> bytes:
    start, end = _block(content, draw)
    return content[:end] + content[start:end] * draw.choice((1, 2, 20)) + content[end:]


def _splice(content: bytes, draw: Draw) -> bytes:
    (start, end), (to, _) = _block(content, draw), _block(content, draw)
    return content[:to] + content[start:end] + content[to + (end - start) * draw.randrange(2) :]


def _zeros(content: bytes, draw: Draw) -> bytes:
    start, end = _block(content, draw)
    return content[:start] + draw.choice((b"\0", b"\xff", b" ")) * (end - start) + content[end:]


def _noise(content: bytes, draw: Draw) -> bytes:
    start, _ = _block(content, draw)
    return content[:start] + draw.randbytes(draw.choice((1, 2, 8, 64))) + content[start:]


# A binary number of 1 to 8 bytes, of either order.
def _binary_number(content: bytes, draw: Draw) -> bytes:
    size, order = draw.choice("BHIQ"), draw.choice("<>")
    packed = struct.pack(order + size, draw.choice(_WORDS) & (1 << 8 * struct.calcsize(size)) - 1)
    place = draw.randrange(max(1, min(len(content), 512 if draw.random() < 0.7 else len(content))))
    return content[:place] + packed + content[place + len(packed) :]


def _instead(pattern: re.Pattern[bytes], of: tuple[str, ...]) -> Mutation:
    def instead(content: bytes, draw: Draw) -> bytes:
        if not (found := list(pattern.finditer(content[: 1 << 14]))):
            return content
        match = draw.choice(found)
        said = draw.choice(of).encode("utf-8", "surrogatepass")
        return content[: match.start()] + said + content[match.end() :]

    return instead


def _sign(content: bytes, draw: Draw) -> bytes:
    start, _ = _block(content, draw)
    return content[:start] + draw.choice(_SIGNS).encode("utf-8", "surrogatepass") + content[start:]


def _nest(content: bytes, draw: Draw) -> bytes:
    nest = draw.choice(_NESTS) * draw.choice((10, 1000, 100_000))
    if not (found := list(_WORD.finditer(content[: 1 << 14]))) or draw.random() < 0.2:
        return nest
    match = draw.choice(found)
    return content[: match.start()] + nest + content[match.end() :]


def _lines(content: bytes, draw: Draw) -> bytes:
    lines = content.split(b"\n")
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    match draw.randrange(6):
        case 0:
            del lines[one]
        case 1:
            lines.insert(one, lines[other])
        case 2:
            lines[one], lines[other] = lines[other], lines[one]
        case 3:
            lines[one] = b""
        case 4:
            lines[one] *= draw.choice((2, 1000)) if len(lines[one]) < 200 else 2
        case _:
            lines[one] = lines[one] + lines[other]
    return b"\n".join(lines)


def _otherwise(content: bytes, draw: Draw) -> bytes:
    match draw.randrange(6):
        case 0:
            return content.decode("latin-1").encode("utf-16")
        case 1:
            return gzip.compress(content, 1)
        case 2:
            return b"\xef\xbb\xbf" + content
        case 3:
            return content.replace(b"\n", b"\r")
        case 4:
            return draw.choice(_MAGIC)
        case _:
            return draw.choice(_MAGIC) + content


_MUTATIONS: tuple[Mutation, ...] = (
    *(_flip, _flip, _change_byte, _cut, _delete, _repeat, _splice, _zeros, _noise, _binary_number),
    *(_instead(_NUMBER, _NUMBERS), _instead(_NUMBER, _NUMBERS), _instead(_WORD, _NUMBERS)),
    *(_instead(_WORD, _SIGNS), _sign, _nest, _lines, _lines, _otherwise),
)
