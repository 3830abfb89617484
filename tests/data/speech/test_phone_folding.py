from hardpp.data.speech.phone_folding import PHONES, TO_39, TO_48, fold_phones
from hardpp.data.speech.utterances import Segment


def test_61_phones_become_48_and_39() -> None:
    assert len(PHONES) == len(set(PHONES)) == 61
    assert set(TO_48) == set(PHONES)
    assert len(set(TO_48.values()) - {None}) == 48
    assert len(set(TO_39.values()) - {None}) == 39
    assert [phone for phone, to in TO_39.items() if to is None] == ["q"]
    assert TO_48["q"] is None


def test_the_published_folding() -> None:
    same = {
        "sil": "h# pau epi bcl dcl gcl pcl tcl kcl vcl cl",
        "aa": "ao",
        "ah": "ax ax-h",
        "er": "axr",
        "ih": "ix",
        "l": "el",
        "m": "em",
        "n": "en nx",
        "ng": "eng",
        "hh": "hv",
        "uw": "ux",
        "sh": "zh",
    }
    for to, phones in same.items():
        assert {TO_39[phone] for phone in phones.split()} == {to}
    moved = {phone for phones in same.values() for phone in phones.split()}
    assert all(to == phone for phone, to in TO_39.items() if phone not in moved | {"q"})


def test_folding_in_two_steps_is_folding_in_one() -> None:
    for phone, middle in TO_48.items():
        assert (None if middle is None else TO_39[middle]) == TO_39[phone]


def test_segments_keep_their_times() -> None:
    segments = [
        Segment(0.0, 0.1, "h#"),
        Segment(0.1, 0.2, "q"),
        Segment(0.2, 0.3, "pau"),
        Segment(0.3, 0.4, "ix"),
        Segment(0.4, 0.5, "ih"),
        Segment(0.5, 0.6, "new"),
    ]
    apart = fold_phones(segments, TO_39)
    assert [segment.label for segment in apart] == ["sil", "sil", "ih", "ih", "new"]
    assert apart[1] == Segment(0.2, 0.3, "sil")
    merged = fold_phones(segments, TO_39, merged=("sil",))
    assert merged[0] == Segment(0.0, 0.3, "sil")
    assert [segment.label for segment in merged] == ["sil", "ih", "ih", "new"]
    assert fold_phones(segments, {}) == tuple(segments)
