from pathlib import Path

import caption_files
import pytest
from image_files import write_idx, write_picture

from hardpp.data.captions import corpora, scenes
from hardpp.data.captions.batches import word_vocabulary
from hardpp.data.captions.corpora import CaptionOptions, corpus
from hardpp.data.fetch.sources import cache_folder
from hardpp.data.images import corpora as image_corpora
from hardpp.errors import DataError, UsageError


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Small data in place of what would be fetched; returns what was."""
    asked = []

    def fetch(name: str, report: object) -> Path:
        asked.append(name)
        return tmp_path / name

    write_idx(tmp_path / "mnist" / image_corpora.MNIST)
    caption_files.write_emoji(tmp_path / "emoji")
    monkeypatch.setattr(corpora, "fetch", fetch)
    monkeypatch.setattr(image_corpora, "fetch", fetch)
    monkeypatch.setattr(scenes, "SIZES", {"train": 0, "dev": 4, "test": 5})
    return asked


def test_every_name_is_a_corpus(fetched: list[str]) -> None:
    few = CaptionOptions(scenes=12)
    found = corpus(options=few)
    assert found.name == "digit-captions" == corpora.NAMES[0]
    assert [len(part) for part in (found.train, found.dev, found.test)] == [12, 4, 5]
    assert found.train.images.size == (1, 84, 84)
    assert corpus(options=few).fingerprint() == found.fingerprint()
    assert corpus(options=CaptionOptions(seed=1, scenes=12)).fingerprint() != found.fingerprint()
    emoji = corpus("emoji-captions")
    assert (emoji.name, emoji.train.images.size) == ("emoji-captions", (3, 64, 64))
    assert fetched == ["mnist"] * 3 + ["emoji"]


def test_scenes_of_a_user_s_own_digits(fetched: list[str], tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "idx", train=60)
    found = corpus(options=CaptionOptions(scenes=3, digits=str(folder)))
    assert found.fingerprint() != corpus(options=CaptionOptions(scenes=3)).fingerprint()
    assert fetched == ["mnist"]


def test_a_user_s_own_folder(tmp_path: Path) -> None:
    folder = caption_files.write_tokens(tmp_path / "flickr")
    told: list[str] = []
    found = corpus(str(folder), CaptionOptions(side=8), told.append)
    assert (found.name, found.dev.images.size) == ("flickr", (3, 8, 8))
    assert told[0] == "captions of Flickr8k.token.txt"


def test_what_is_no_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no corpus of captions named 'captions'") as error:
        corpus("captions")
    assert error.value.hint == "there are: digit-captions, emoji-captions"
    write_picture(tmp_path / "x.png")
    with pytest.raises(DataError, match="not a folder of captioned pictures"):
        corpus(str(tmp_path))


@pytest.mark.skipif(not (cache_folder() / "mnist-1.2.6").is_dir(), reason="needs mnist fetched")
def test_scenes_of_the_published_digits() -> None:
    found = corpus(options=CaptionOptions(scenes=300))
    assert [len(part) for part in (found.train, found.dev, found.test)] == [300, 1000, 2000]
    words = set(word_vocabulary(found.test).symbols[2:])
    assert words == {"a", "above", "below", "left", "right", "of", *scenes.NUMBERS}
