import numpy as np
import pytest

from hardpp.data.images import augmentation
from hardpp.data.images.augmentation import Augmentation, Crop, middle
from hardpp.data.images.rgb_pictures import Shape

WIDE = Shape(500, 375)


def crops(shape: Shape = WIDE, count: int = 2000, **settings: float) -> list[Crop]:
    return [Augmentation(**settings).crop(shape, 0, index) for index in range(count)]  # type: ignore[arg-type]


def test_crops_lie_within_the_picture_and_the_limits() -> None:
    drawn = np.array(crops())
    left, top, width, height, mirrored = drawn.T
    assert min(left.min(), top.min()) >= 0
    assert max((left + width).max(), (top + height).max()) <= 1
    area, aspect = width * height, width * 500 / (height * 375)
    assert 0.08 <= area.min() < 0.09
    assert 0.95 < area.max() <= 1
    assert 0.75 <= aspect.min() < 0.76
    assert 1.32 < aspect.max() <= 4 / 3 + 1e-9
    assert abs(mirrored.mean() - 0.5) < 4 * 0.5 / 2000**0.5


def test_areas_and_places_are_uniform_where_every_crop_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, "_ASPECTS", (1.0, 1.0))
    left, top, width, height, _ = np.array(crops(Shape(100, 100))).T
    tenths = np.histogram(width * height, np.linspace(0.08, 1, 11))[0]
    assert np.abs(tenths - 200).max() < 4.5 * (2000 * 0.1 * 0.9) ** 0.5
    for start, length in ((left, width), (top, height)):
        halves = (start / (1 - length) < 0.5).mean()
        assert abs(halves - 0.5) < 4 * 0.5 / 2000**0.5


def test_a_crop_depends_on_seed_epoch_and_number_alone() -> None:
    one = Augmentation(1).crop(WIDE, 2, 3)
    assert Augmentation(1).crop(WIDE, 2, 3) == one
    others = [
        Augmentation(0).crop(WIDE, 2, 3),
        Augmentation(1).crop(WIDE, 3, 3),
        Augmentation(1).crop(WIDE, 2, 4),
    ]
    assert len({one, *others}) == 4


def test_without_flipping_only_the_mirror_is_missing() -> None:
    plain = crops(count=50, flip=False)
    assert not any(crop.mirrored for crop in plain)
    assert [crop[:4] for crop in plain] == [crop[:4] for crop in crops(count=50)]


def test_the_smallest_area() -> None:
    assert min(crop.width * crop.height for crop in crops(count=200, smallest_area=0.9)) >= 0.9
    whole = Crop(0.0, 0.0, 1.0, 1.0)
    # Only a square fits a square; where no try gives one it is the whole picture.
    assert {crop._replace(mirrored=False) for crop in crops(Shape(9, 9), 20, smallest_area=1)} == {whole}


def test_a_ribbon_is_shown_whole_when_no_crop_fits() -> None:
    assert {crop[:4] for crop in crops(Shape(10, 1000), 20)} == {(0.0, 0.0, 1.0, 1.0)}


def test_crops_have_area_in_whole_pixels() -> None:
    for shape in (Shape(1, 1), Shape(2, 3), Shape(1, 50), Shape(7, 5)):
        for crop in crops(shape, 50):
            left, top, right, bottom = crop.pixels(shape)
            assert 0 <= left < right <= shape.width
            assert 0 <= top < bottom <= shape.height
    assert Crop(0.25, 0.5, 0.5, 0.5).pixels(Shape(8, 4)) == (2, 2, 6, 4)


@pytest.mark.parametrize(
    ("shape", "side", "pixels"),
    [
        ((500, 375), 224, (79, 17, 420, 358)),  # 375 * 224 / 246 = 341.46
        ((246, 246), 224, (11, 11, 235, 235)),
        ((375, 500), 224, (17, 79, 358, 420)),
        ((9, 9), 9, (0, 0, 9, 9)),  # a tenth of 9 is 0
    ],
)
def test_the_middle(shape: tuple[int, int], side: int, pixels: tuple[int, ...]) -> None:
    assert middle(Shape(*shape), side).pixels(Shape(*shape)) == pixels
