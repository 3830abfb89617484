import json
from pathlib import Path

import pytest
from caption_files import write_emoji

from hardpp.data.captions import emoji
from hardpp.data.captions.emoji import captioned_images
from hardpp.data.fetch.sources import cache_folder
from hardpp.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_emoji(tmp_path / "emoji")


def test_every_picture_has_its_name_and_all_skins_are_in_one_part(folder: Path) -> None:
    found = captioned_images(folder)
    assert found.name == "emoji-captions"
    bases = []
    for part in (found.train, found.dev, found.test):
        assert part.images.size == (3, 64, 64)
        pixels = part.images.read()
        seen = set()
        for name, shown, (caption,) in zip(part.names, pixels, part.captions, strict=True):
            base, _, tone = name.partition("-")
            number = int(base, 16) - 0x1F400
            tones = {"1f3fb": ("light", "skin"), "1f3ff": ("dark", "skin"), "": ()}
            assert caption == (("animal", str(number), *tones[tone]), None)
            assert shown[:, 0, 0].tolist() == [number, 2, 3]
            seen.add(base)
        bases.append(seen)
    assert sum(map(len, bases)) == len(set.union(*bases)) == 80
    assert sum(map(len, (found.train, found.dev, found.test))) == 80 + 2 * 27


def test_the_fingerprint_sees_names_and_pictures(folder: Path) -> None:
    before = captioned_images(folder).fingerprint()
    assert captioned_images(folder).fingerprint() == before
    path = folder / emoji.PICTURES / "1f403.png"
    path.write_bytes(path.read_bytes() + b" ")
    assert captioned_images(folder).fingerprint() != before


ANNOTATIONS, DERIVED = emoji.NAMES


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (emoji.LIST, "[", "not JSON"),
        (emoji.LIST, "{}", "a list is wanted"),
        (emoji.LIST, '["x"]', "'x' is not an emoji"),
        (emoji.LIST, '[{"unified": "1F400"}]', "is not an emoji"),
        (emoji.LIST, '[{"unified": "x", "image": "y", "has_img_twitter": true}]', "is not an emoji"),
        (emoji.LIST, "[]", "0 emoji are too few"),
        (ANNOTATIONS, "{}", "not the names of emoji"),
        (DERIVED, "[]", "a dict is wanted"),
        (DERIVED, '{"annotationsDerived": {"annotations": {"x": {"tts": []}}}}', "not the names of emoji"),
    ],
)
def test_wrong_files_are_refused_by_name(folder: Path, file: str, content: str, message: str) -> None:
    (folder / file).write_text(content)
    with pytest.raises(DataError, match=message) as error:
        captioned_images(folder)
    assert str(error.value).startswith(str(folder / file))


def test_an_emoji_without_name_or_picture_is_refused(folder: Path) -> None:
    (folder / emoji.PICTURES / "1f405.png").unlink()
    with pytest.raises(DataError, match=r"emoji 1F405-FE0F has no picture 1f405\.png"):
        captioned_images(folder)
    content = json.loads((folder / ANNOTATIONS).read_text())
    del content["annotations"]["annotations"]["\U0001f404"]
    (folder / ANNOTATIONS).write_text(json.dumps(content))
    with pytest.raises(DataError, match="emoji 1F404 has no name"):
        captioned_images(folder)
    (folder / ANNOTATIONS).unlink()
    with pytest.raises(DataError, match=r"annotations\.json: cannot be read"):
        captioned_images(folder)


def test_a_picture_that_others_do_not_have_is_passed_over(folder: Path) -> None:
    entries = json.loads((folder / emoji.LIST).read_text())
    entries[1]["has_img_twitter"] = False
    (folder / emoji.LIST).write_text(json.dumps(entries))
    found = captioned_images(folder)
    assert "1f401" not in {name for part in (found.train, found.dev, found.test) for name in part.names}


REAL = cache_folder() / "emoji-16.0.0"


@pytest.mark.skipif(not REAL.is_dir(), reason="needs emoji fetched")
def test_the_published_pictures() -> None:
    found = captioned_images(REAL)
    assert [len(part) for part in (found.train, found.dev, found.test)] == [3432, 177, 177]
    place = found.train.names.index("1f468-1f3fe-200d-2708-fe0f")
    (caption,) = found.train.captions[place]
    assert caption.words == ("man", "pilot", "medium", "dark", "skin", "tone")
    assert found.test.images.read([0, 1]).shape == (2, 3, 64, 64)
