import pytest

from hardpp.data.parts import bucket


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
