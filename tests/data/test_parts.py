import pytest

from hardpp.data.parts import PARTS, bucket, part_called, part_of, split_by_checksum
from hardpp.errors import DataError


@pytest.mark.parametrize(
    ("text", "expected"),
    # CRC-32 check values: "" is 0, "123456789" is 0xCBF43926, "a" is 0xE8B7BE43.
    [("", 0), ("123456789", 0xCBF43926 % 20), ("a", 0xE8B7BE43 % 20)],
)
def test_the_split_rule_is_frozen(text, expected):
    assert bucket(text) == expected


def test_all_buckets_occur_about_equally_often():
    counts = [0] * 20
    for number in range(4000):
        counts[bucket(f"word{number}")] += 1
    assert min(counts) > 120
    assert max(counts) < 280


def test_items_keep_their_order_within_the_part_of_their_text(tmp_path):
    words = [f"w{number}" for number in range(200)]
    parts = split_by_checksum(words, str.upper, tmp_path, "word", "text", "bring more")
    assert {part: [word for word in words if part_of(word.upper()) == part] for part in PARTS} == parts


def test_a_part_without_items_is_refused(tmp_path):
    words = [word for word in map(str, range(99)) if part_of(word) == "test"][:1]
    with pytest.raises(DataError, match="train and dev parts are empty after splitting 1 word by") as error:
        split_by_checksum(words, str, tmp_path, "word", "text", "bring more")
    assert error.value.hint.endswith("so bring 100 words or more; or bring more")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        *(("train", "train"), ("Train", "train"), ("TRAINING", "train"), ("training_set", "train")),
        *(
            ("trainset", "train"),
            ("train2014", "train"),
            ("Training Data", "train"),
            ("train_images", "train"),
        ),
        *(("val", "dev"), ("Valid", "dev"), ("validation", "dev"), ("dev-set", "dev"), ("VAL2017", "dev")),
        *(("TEST", "test"), ("test_set", "test"), ("testing", "test"), ("Test set", "test")),
        *(
            ("cat", None),
            ("trains", None),
            ("invalid", None),
            ("test drive", None),
            ("set", None),
            ("1", None),
        ),
    ],
)
def test_what_a_folder_of_a_part_may_be_called(name: str, part: str | None) -> None:
    assert part_called(name) == part
