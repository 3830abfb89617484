"""Run folders as a stranger might have made them: odd values in every file of theirs, links, code, bombs.

Each is a function of a run folder that is whole, and makes it what its name says. Sums are made right again,
so that readers see what is in the files and not that they were altered.
"""

import hashlib
import json
import struct
import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import tomli_w

Craft = Callable[[Path], None]

DEEP = "[" * 100_000
ODD: tuple[Any, ...] = (
    *(None, True, "", "x", "evil:Thing", "../../../../etc/passwd", "/dev/zero", "a\nb", "\x1b[2J", "\ud800"),
    *(0, -1, 1, 2**31, 2**63 - 1, 2**63, 10**30, -(10**30), 0.5, 1e300, float("inf"), float("nan")),
    *([], {}, [None], [[]], {"a": 1}, ["x"] * 1000, "x" * 100_000),
)
FILES = ("config.toml", "data.json", "versions.json", "metrics.jsonl", "summary.json")
CHECKPOINT = ("model.safetensors", "optim.safetensors", "state.json")
WRITTEN = (
    *("run.lock", "metrics.jsonl", "summary.json", "summary.partial", "config.partial", "versions.partial"),
    *("data.partial", "checkpoints/latest", "checkpoints/best", "checkpoints/.partial-latest"),
    *("checkpoints/.partial-best", "posterior.nc"),
)


def seal(run: Path) -> None:
    """Makes sizes and sums agree with what is there."""
    for step in (run / "checkpoints").glob("step-*"):
        files = {name: (step / name).read_bytes() for name in CHECKPOINT if (step / name).is_file()}
        sums = {n: {"size": len(b), "sha256": hashlib.sha256(b).hexdigest()} for n, b in files.items()}
        manifest = {"format": "hardpp-checkpoint", "version": 1, "files": sums}
        (step / "MANIFEST.json").write_text(json.dumps(manifest))
    try:
        described = json.loads((run / "data.json").read_text())
        described.pop("sha256", None)
        (run / "data.json").write_text(json.dumps(described))
    except (ValueError, AttributeError, RecursionError, OSError):  # as it was crafted
        return


def crafts(run: Path) -> Iterator[tuple[str, Craft]]:
    """Every folder, by its name, that is crafted of a whole run."""
    for name in FILES:
        for content, what in contents():
            yield f"{name}: {what}", partial(_write, name=name, content=content)
    for name in CHECKPOINT:
        for content, what in (*contents(), *tensors()):
            yield f"{name}: {what}", partial(_write_in_checkpoints, name=name, content=content)
    for key in _keys(tomllib.loads((run / "config.toml").read_text())):
        for value in ODD:
            if value not in (None, [None], "\ud800"):  # which TOML has not
                yield (
                    f"config.toml: {'.'.join(key)} = {value!r:.40}",
                    partial(_set_toml, key=key, value=value),
                )
    for name, files in (("data.json", "data.json"), ("state.json", "checkpoints/step-*/state.json")):
        for key in _keys(json.loads(next(run.glob(files)).read_text())):
            for value in ODD:
                change = partial(_set_json, files=files, key=key, value=value)
                yield f"{name}: {'.'.join(map(str, key))} = {value!r:.40}", change
    for name in WRITTEN:
        yield f"{name} is a link to a file of the user's", partial(_link, name=name)


def contents() -> Iterator[tuple[bytes, str]]:
    """What may stand in place of a file."""
    yield b"", "an empty file"
    yield b"\x80\x04\x95cposix\nsystem\n(S'touch PWNED'\ntR.", "a pickle"
    yield b"\0" * 1000, "zeros"
    yield b"\xff\xfe" + "{}".encode("utf-16-le"), "UTF-16"
    yield DEEP.encode(), "100,000 lists in one another"
    yield ('{"a":' * 100_000).encode(), "100,000 objects in one another"
    yield f"a = {DEEP}".encode(), "100,000 lists of TOML"
    yield b'{"a": ' + b"9" * 10_000 + b"}", "a number of 10,000 digits"
    yield b"seed = " + b"9" * 10_000, "a number of TOML of 10,000 digits"
    for text in ("[]", "{}", "null", "1", '"x"', "{", "NaN"):
        yield text.encode(), text


def tensors() -> Iterator[tuple[bytes, str]]:
    """What may stand in place of tensors."""
    yield struct.pack("<Q", 2**60) + b"{}", "a header of 2**60 bytes"
    yield struct.pack("<Q", 99 * 10**6) + b"{" + b" " * (99 * 10**6 - 2) + b"}", "a header of 99 MB of blanks"
    for dtype, shape in (("F32", [2**50]), ("F32", [2**40, 2**40]), ("F32", [-1]), ("X", [1]), ("F32", [])):
        header = json.dumps({"w": {"dtype": dtype, "shape": shape, "data_offsets": [0, 4]}}).encode()
        yield struct.pack("<Q", len(header)) + header + bytes(4), f"{dtype} of shape {shape}"


def _write(run: Path, name: str, content: bytes) -> None:
    (run / name).write_bytes(content)


def _write_in_checkpoints(run: Path, name: str, content: bytes) -> None:
    for step in (run / "checkpoints").glob("step-*"):
        (step / name).write_bytes(content)
    seal(run)


# The places of the values in tables and lists, the first of each list.
def _keys(value: Any, above: Sequence[Any] = ()) -> Iterator[list[Any]]:
    inside = (
        value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    )
    for key, each in inside:
        yield [*above, key]
        yield from _keys(each, [*above, key])


def _put(tables: Any, key: Sequence[Any], value: Any) -> Any:
    *places, last = key
    at = tables
    for place in places:
        at = at[place]
    at[last] = value
    return tables


def _set_toml(run: Path, key: Sequence[str], value: Any) -> None:
    path = run / "config.toml"
    path.write_text(tomli_w.dumps(_put(tomllib.loads(path.read_text()), key, value)))


def _set_json(run: Path, files: str, key: Sequence[Any], value: Any) -> None:
    for path in run.glob(files):
        path.write_text(json.dumps(_put(json.loads(path.read_text()), key, value)))
    seal(run)


def _link(run: Path, name: str) -> None:
    (run.parent / "victim").write_text("precious\n")
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(run.parent / "victim")
