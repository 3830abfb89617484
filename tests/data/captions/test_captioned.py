import pytest
import torch
from image_files import Shades

from hardpp.data.captions.captioned import (
    Caption,
    CaptionedImages,
    CaptionedPart,
    ImageSubset,
    words_of,
)

ONE = (Caption(("a", "dog"), {1: (0.0, 1.0, 2.0, 3.0)}), Caption(("dogs",)))


def test_some_images_of_many() -> None:
    some = ImageSubset(Shades(9), [7, 2, 4])
    assert (len(some), some.size) == (3, (1, 2, 2))
    assert some.read()[:, 0, 0, 0].tolist() == [7, 2, 4]
    for places in ([2, 0], torch.tensor([2, 0])):
        assert some.read(places)[:, 0, 0, 0].tolist() == [4, 7]
    assert (
        some.fingerprint()
        != ImageSubset(Shades(9), [7, 2]).fingerprint()
        != ImageSubset(Shades(8), [7, 2]).fingerprint()
    )


def test_the_first_images_of_a_part() -> None:
    part = CaptionedPart("xyz", Shades(3), [ONE, ONE[:1], ONE[1:]])
    two = part.first(2)
    assert (list(two.names), list(two.captions)) == (["x", "y"], [ONE, ONE[:1]])
    assert two.images.read()[:, 0, 0, 0].tolist() == [0, 1]
    assert part.first(None) is part.first(3) is part


def test_the_fingerprint_sees_words_boxes_names_and_parts() -> None:
    two = (Caption(("a", "cat")),)

    def part(names: str = "xy", *captions: tuple[Caption, ...], count: int = 2) -> CaptionedPart:
        return CaptionedPart(names, Shades(count), list(captions) or [ONE, two])

    parts = [
        part(),
        part("xz"),
        part("xy", two, ONE),
        part("xy", ONE[:1], two),
        part("xy", (Caption(("a", "dog"), {1: (0.0, 1.0, 2.0, 4.0)}), ONE[1]), two),
        part("xy", (Caption(("a", "dog"), {0: (0.0, 1.0, 2.0, 3.0)}), ONE[1]), two),
        part("xyz", ONE, two, two, count=3),
    ]
    assert len({one.fingerprint() for one in parts}) == len(parts)
    assert part().fingerprint() == parts[0].fingerprint()
    corpus = CaptionedImages("mine", *parts[:3])
    assert corpus.fingerprint() != corpus._replace(dev=parts[2], test=parts[1]).fingerprint()


@pytest.mark.parametrize("captions", [[ONE], [ONE, ()], [ONE, ONE, ONE]])
def test_every_image_has_a_reference(captions: list[tuple[Caption, ...]]) -> None:
    with pytest.raises(ValueError, match="expected as many names"):
        CaptionedPart("xy", Shades(2), captions)


def test_words_are_lower_case_without_punctuation() -> None:
    text = "A child's dog , in a pink\tT-shirt ; it ' s \u201cso\u201d n\u2019est GR\u00dcN ."
    words = "a child's dog in a pink t shirt it s so n\u2019est gr\u00fcn"
    assert words_of(text) == tuple(words.split(" "))
    assert words_of(" .,! ") == ()
