"""Pharaoh lines."""

from hardpp.decoding.links import Link
from hardpp.tasks.formats.pharaoh import pharaoh


def test_pharaoh_lines():
    links = [Link(0, 1, 0.9375), Link(12, 0, 1.0), Link(3, 3, 0.0625)]
    assert pharaoh(links) == "0-1 12-0 3-3"
    assert pharaoh(links, probabilities=True) == "0-1:0.9375 12-0:1.0000 3-3:0.0625"
    assert pharaoh([]) == ""
