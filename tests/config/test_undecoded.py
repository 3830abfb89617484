"""Names that are no UTF-8 are written into files in UTF-8, and read again as what they were."""

import json
import os
from pathlib import Path

import pytest

from hardpp.config import DataConfig, RunConfig, read_toml, to_toml
from hardpp.config.undecoded import escaped, restored
from hardpp.data.undecoded import utf8
from hardpp.runs.run_files import read_json, write_json

NAME = os.fsdecode(b"caf\xe9/\xff \xc3\xbc")


@pytest.mark.parametrize("value", [NAME, [NAME, 1], {"a": [NAME], "b": None}, "plain \\ text", 0.5])
def test_what_was_escaped_is_restored(value: object) -> None:
    written = escaped(value)
    json.dumps(written, ensure_ascii=False).encode()
    assert restored(written) == value


def test_a_configuration_and_a_description_keep_such_names(tmp_path: Path) -> None:
    config = RunConfig(data=DataConfig(name=NAME))
    (tmp_path / "config.toml").write_bytes(to_toml(config).encode())
    assert read_toml(tmp_path / "config.toml")["data"]["name"] == NAME
    write_json(tmp_path / "data.json", {"classes": [NAME]})
    assert read_json(tmp_path / "data.json") == {"classes": [NAME]}


def test_text_without_such_bytes_stays_as_it_is() -> None:
    assert utf8("grün") == "grün".encode()
    assert utf8(NAME).decode() == "caf\\udce9/\\udcff ü"
