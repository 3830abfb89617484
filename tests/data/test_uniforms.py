import hashlib

import numpy as np

from hardpp.data.uniforms import integers, uniforms


def test_numbers_never_change() -> None:
    # Computed from the raw stream of PCG64, seeded with the first half of a SHA-256.
    seed = int(hashlib.sha256(b"a name").hexdigest()[:32], 16)
    raw = [int(number) for number in np.random.PCG64(seed).random_raw(3)]
    assert uniforms("a name", 3).tolist() == [(number >> 11) / 2**53 for number in raw]
    assert uniforms("a name", 3).tolist() == WRITTEN_DOWN


WRITTEN_DOWN = [0.5368847028306325, 0.7460449820356109, 0.272160703333332]


def test_more_numbers_begin_with_the_same_ones() -> None:
    assert (uniforms("x", 5, 2)[:3] == uniforms("x", 3, 2)).all()
    assert not np.isin(uniforms("x", 50), uniforms("y", 50)).any()


def test_integers_reach_both_ends_and_no_further() -> None:
    edge = np.array([0.0, np.nextafter(1.0, 0.0)])
    for low, high in ((0, 0), (14, 56), (-3, 60_000)):
        assert integers(edge, low, high).tolist() == [low, high]
    assert integers(np.array([[0.5], [0.999]]), 0, np.array([1, 9])).tolist() == [[1, 5], [1, 9]]
    assert np.bincount(integers((np.arange(1000) + 0.5) / 1000, 0, 9)).tolist() == [100] * 10


def test_no_numbers() -> None:
    assert uniforms("x", 4, 0, 2).shape == (4, 0, 2)
