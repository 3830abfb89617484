from pathlib import Path

import pytest
import speech_files
import torch

from hardpp.data.fetch.sources import cache_folder
from hardpp.data.speech import corpora, festvox_ru
from hardpp.data.speech.utterances import Segment
from hardpp.errors import DataError

pytest.importorskip("soundfile")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return speech_files.write_festvox(tmp_path / "ru", count=21)


def test_parts_by_sorted_names(folder: Path) -> None:
    parts = festvox_ru.recordings(folder)
    assert {part: [one.name for one in found] for part, found in parts.items()} == {
        "train": [f"ru_{number:04d}" for number in range(17)],
        "dev": ["ru_0017", "ru_0018"],
        "test": ["ru_0019", "ru_0020"],
    }
    assert parts["train"][3].segments == (
        Segment(0.0, 0.1, "pau"),
        Segment(0.1, 0.25, "k"),
        Segment(0.25, 0.31, "ay"),
        Segment(0.31, 8003 / 16000, "pau"),  # up to the end of the sound
    )


def test_the_data_may_lie_as_the_package_has_them(folder: Path, tmp_path: Path) -> None:
    inner = tmp_path / "fetched" / festvox_ru.MEMBER
    inner.parent.mkdir(parents=True)
    folder.rename(inner)
    assert len(festvox_ru.recordings(tmp_path / "fetched")["dev"]) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0.1 125 pau\n", ": the header does not end with a line '#'"),
        ("#\n", ": holds no labels"),
        ("#\n0.1 125 pau\n0.2 k\n", ":3: expected END COLOUR PHONE, got '0.2 k'"),
        ("h\n#\n0.1 125 pau\nlate 125 k\n", ":4: expected END COLOUR PHONE"),
        ("#\n0.1 125 pau\n0.05 125 k\n", ":3: the times of the phones run backwards"),
        ("#\n0.1 125 pau\nnan 125 k\n", ":3: the times of the phones run backwards"),
        ("#\n0.1 125 pau\n0.56 125 k\n", ": the labels end at 0.560 s, and the sound at 0.500 s"),
    ],
)
def test_bad_labels_are_refused_by_name(folder: Path, content: str, message: str) -> None:
    path = folder / "lab" / "ru_0000.lab"
    path.write_text(content)
    with pytest.raises(DataError) as error:
        festvox_ru.recordings(folder)
    assert str(error.value) == f"{path}{message}" or str(error.value).startswith(f"{path}{message}")


def test_missing_labels_and_too_few_recordings(folder: Path, tmp_path: Path) -> None:
    (folder / "lab" / "ru_0004.lab").unlink()
    with pytest.raises(DataError, match=r"ru_0004\.lab: not a file of labels"):
        festvox_ru.recordings(folder)
    with pytest.raises(DataError, match="10 recordings at least are needed, 9 were found"):
        festvox_ru.recordings(speech_files.write_festvox(tmp_path / "few", count=9))


@pytest.mark.skipif(not (cache_folder() / "festvox-ru-0.5").is_dir(), reason="needs the data fetched")
def test_the_published_data() -> None:
    parts = festvox_ru.recordings(cache_folder() / "festvox-ru-0.5")
    assert [len(part) for part in parts.values()] == [496, 62, 62]
    every = [one for part in parts.values() for one in part]
    assert sum(len(one.tokens) for one in every) == 54_372
    assert len({phone for one in parts["train"] for phone in one.tokens}) == 51
    assert parts["train"][-1].name == "ru_0667"
    assert parts["dev"][-1].name == "ru_0754"
    assert sum(one.segments[-1].end for one in every) / 60 == pytest.approx(99.5, abs=0.1)


@pytest.mark.skipif(not (cache_folder() / "festvox-ru-0.5").is_dir(), reason="needs the data fetched")
def test_labels_of_the_published_data_follow_the_sound(tmp_path: Path) -> None:
    from hardpp.data.speech.features import static_features

    test = festvox_ru.recordings(cache_folder() / "festvox-ru-0.5")["test"][:5]
    pauses, speech = [], []
    for one in test:
        energies = static_features(one.sound.read())[:, 40].float()
        for segment in one.segments:
            place = int((segment.start + segment.end) * 50)  # the frame in the middle
            (pauses if segment.label == "pau" else speech).append(energies[place])
    assert torch.stack(speech).median() > torch.stack(pauses).median() + 4  # nats
    assert corpora.NAMES[1] == "festvox-ru"
