import pytest

from hardpp.data.fetch.origins import SOURCES
from hardpp.data.fetch.sources import list_data
from hardpp.data.transduction import bitexts
from hardpp.data.transduction.pairs import Bitext
from hardpp.data.transduction.text_pairs import TextPair

# Pairs in train, dev and test.
COUNTS = {
    "ding": (14_877, 839, 874),
    "libreoffice-de-en": (32_939, 1_521, 2_760),
    "libreoffice-fr-en": (32_079, 1_547, 2_803),
    "bible-de-en": (25_572, 1_378, 1_543),
    "bible-fr-en": (24_737, 1_322, 1_498),
    "union-de-en": (73_388, 2_839, 2_874),
    "union-fr-en": (56_816, 2_000, 2_000),
}


def texts(pairs):
    return {side.casefold() for pair in pairs for side in pair}


@pytest.mark.parametrize(
    "name",
    [
        name if name == "ding" else pytest.param(name, marks=pytest.mark.slow)
        for name in sorted(bitexts.BITEXTS)
    ],
)
def test_a_real_bitext_is_clean_and_has_its_size(name):
    needed = bitexts.BITEXTS[name].sources
    lacking = [row.name for row in list_data() if row.name in needed and not row.cached]
    if lacking:
        pytest.skip(f"not in the cache: hardpp data fetch {' '.join(lacking)}")
    bitext = bitexts.bitext(name, pytest.fail)
    assert bitext.name == name
    assert tuple(len(part) for part in bitext[1:4]) == COUNTS[name]
    for part in bitext[1:4]:
        assert len(set(part)) == len(part) > 0
        assert all("\n" not in side and side == " ".join(side.split()) for pair in part for side in pair)
    train, dev, test = (texts(part) for part in bitext[1:4])
    assert not train & dev
    assert not train & test
    assert not dev & test


def test_every_named_bitext_knows_its_sources():
    assert all(set(named.sources) <= set(SOURCES) for named in bitexts.BITEXTS.values())


def test_sources_are_fetched_in_the_order_in_which_they_are_read(monkeypatch):
    asked, told = [], []
    monkeypatch.setattr(bitexts, "fetch", lambda source, report: asked.append(source) or source.upper())
    named = bitexts.NamedBitext(("a", "b"), lambda *folders: folders)
    monkeypatch.setitem(bitexts.BITEXTS, "toy", named)
    assert bitexts.bitext("toy", told.append) == ("A", "B")
    assert asked == ["a", "b"]


def numbered(name, count):
    return [TextPair(f"{name} {number}", f"{name} {number} en") for number in range(count)]


def test_a_union_trains_on_everything_and_scores_a_slice_of_each(monkeypatch):
    monkeypatch.setattr(bitexts, "SLICE", 3)
    parts = [
        Bitext(name, *(numbered(f"{name} {part}", count) for part in ("train", "dev", "test")))
        for name, count in (("a", 2), ("b", 10))
    ]
    bitext = bitexts.unite("both", parts)
    assert bitext.name == "both"
    assert bitext.train == parts[0].train + parts[1].train
    for part, own, large in (
        (bitext.dev, parts[0].dev, parts[1].dev),
        (bitext.test, parts[0].test, parts[1].test),
    ):
        assert part[:2] == own
        smallest = sorted(large, key=lambda pair: bitexts.zlib.crc32(pair.source.encode()))[:3]
        assert part[2:] == [pair for pair in large if pair in smallest]


def test_a_slice_does_not_depend_on_the_order(monkeypatch):
    monkeypatch.setattr(bitexts, "SLICE", 3)
    parts = Bitext("a", numbered("train", 1), numbered("dev", 9), numbered("test", 9))
    turned = parts._replace(test=parts.test[::-1])
    assert set(bitexts.unite("u", [parts]).test) == set(bitexts.unite("u", [turned]).test)


def test_a_union_has_no_duplicates_and_no_leaks_between_its_parts():
    shared = TextPair("shared", "shared en")
    first = Bitext("a", [TextPair("x", "x en"), shared], [TextPair("d", "d en")], [TextPair("t", "t en")])
    second = Bitext("b", [TextPair("x", "x en"), TextPair("y", "T en")], [TextPair("d", "d en")], [shared])
    bitext = bitexts.unite("both", [first, second])
    assert bitext.train == [("x", "x en")]
    assert bitext.dev == [("d", "d en")]
    assert bitext.test == [("t", "t en"), ("shared", "shared en")]
