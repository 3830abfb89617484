from pathlib import Path

import pytest
from speech_files import noise, write_riff

from hardpp.data.captions.named_pictures import NamedPictures
from hardpp.data.images.asked_pictures import asked_pictures
from hardpp.data.json_values import json_value
from hardpp.data.named_files import is_file
from hardpp.data.speech.spoken import listed_sound, sound_named
from hardpp.errors import DataError

IMPOSSIBLE = ["x" * 300, "a\0b", "a/" * 3000]


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_there_is_no_file_of_an_impossible_name(tmp_path: Path, name: str) -> None:
    assert not is_file(tmp_path / name)
    write_riff(tmp_path / "a.wav", noise(100))
    for find in (sound_named, lambda folder, stem: listed_sound(folder, stem, ("wavs",))):
        with pytest.raises(DataError, match="there is no such sound file"):
            find(tmp_path, name)


def test_lists_of_pictures_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text(f"\n{'x' * 300}\n")
    with pytest.raises(DataError, match=r"list\.txt:2: x+ *: there is no such picture"):
        asked_pictures(path)


def test_numbers_of_pictures_may_be_long(tmp_path: Path) -> None:
    (tmp_path / "COCO_000000262148.jpg").touch()
    pictures = NamedPictures(tmp_path)
    assert pictures.find("262148") == tmp_path / "COCO_000000262148.jpg"
    assert pictures.find("9" * 5000) is None


def test_json_that_is_nested_deeply_is_a_value_error() -> None:
    assert json_value('{"a": [1]}') == {"a": [1]}
    with pytest.raises(ValueError, match="nested too deeply"):
        json_value("[" * 100_000)
