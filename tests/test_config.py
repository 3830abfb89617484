import json
from pathlib import Path
from typing import Any

import pytest
from corpora import fail

from hardpp.config import RunConfig, merge, parse_setting
from hardpp.errors import UsageError, nearest


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("seed=3", {"seed": 3}),
        ("network.dropout=0.5", {"network": {"dropout": 0.5}}),
        ("network.scorer=additive", {"network": {"scorer": "additive"}}),
        ('data.name="3"', {"data": {"name": "3"}}),
        (" training.max_steps = 7 ", {"training": {"max_steps": 7}}),
        ("optimiser.learning_rate=.5", {"optimiser": {"learning_rate": 0.5}}),
        ("network.dropout=0.", {"network": {"dropout": 0.0}}),
        ("data.name=.", {"data": {"name": "."}}),
        ("data.name=a=b.tsv", {"data": {"name": "a=b.tsv"}}),
        ("data.name=", {"data": {"name": ""}}),
        ("data.name=früh und spät.tsv", {"data": {"name": "früh und spät.tsv"}}),
        (f"seed={'9' * 5000}", {"seed": "9" * 5000}),  # Python reads no more than 4,300 digits
        (f"seed={'[' * 5000}", {"seed": "[" * 5000}),
    ],
)
def test_a_setting_is_toml_or_else_a_string(text: str, value: dict[str, Any]) -> None:
    assert parse_setting(text) == value


@pytest.mark.parametrize("text", ["seed", "=3", ""])
def test_a_setting_without_a_key_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"section\.key=value"):
        parse_setting(text)


BROKEN = ["seed=1\nthreads=1", "network.dropout=0.2\n[data]\nname=1", "seed=1\r", "data.name='''\na'''"]


@pytest.mark.parametrize("text", BROKEN)
def test_two_settings_in_one_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="has a line break"):
        parse_setting(text)


@pytest.mark.parametrize("text", [".".join("abcdefghij") + "=1", "data.name=" + "[" * 10 + "]" * 10])
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is nested more than 8 times"):
        parse_setting(text)


@pytest.mark.parametrize("key", ["network.embedding", "training.batch_size", "inference.particles", "seed"])
def test_numbers_too_large_for_torch_are_refused(key: str) -> None:
    assert key in (message := fail(2, "train", "--set", f"{key}={10**23}"))
    assert f"got {10**23}" in message


def test_a_key_of_many_parts_is_refused() -> None:
    assert "is nested more than 8 times" in fail(2, "train", "--set", f"a{'.a' * 5000}=1")


def test_later_layers_win_key_by_key() -> None:
    layers = [{"a": {"x": 1, "y": 1}, "b": 1}, {"a": {"y": 2, "z": 2}}, {"b": {"c": 3}}, {"a": {"z": 4}}]
    assert merge(layers) == {"a": {"x": 1, "y": 2, "z": 4}, "b": {"c": 3}}
    assert layers[0] == {"a": {"x": 1, "y": 1}, "b": 1}


@pytest.mark.parametrize(
    "content",
    [
        b"seed = \n",
        b"\xff",
        b"[data]\nname = 1\n[data]\n",
        b"a = " + b"[" * 5000,
        b"a = " + b"9" * 5000,
        None,
    ],
)
def test_a_file_that_is_no_toml_is_named(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "my run.toml"
    if content is not None:
        file.write_bytes(content)
    assert f"{file}: not a readable TOML file" in fail(2, "train", "--config", file)
    assert str(tmp_path) in fail(2, "train", "--config", tmp_path)


def test_the_nearest_name() -> None:
    assert nearest("varational", ["prior", "variational"]) == "; did you mean 'variational'?"
    assert nearest("xyz", ["prior", "variational"]) == ""


def test_the_schema_describes_itself() -> None:
    json.dumps(RunConfig.model_json_schema())
