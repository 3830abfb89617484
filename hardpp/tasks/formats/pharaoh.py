"""Pharaoh, the format of word links: one line a pair of sentences, `0-0 1-2`, source first, from 0.

With probabilities a link is `0-0:0.9731`.

Source: Koehn (2004), Pharaoh: A Beam Search Decoder for Phrase-Based Statistical Machine Translation Models.
"""

from collections.abc import Iterable

from hardpp.decoding.links import Link


def pharaoh(links: Iterable[Link], probabilities: bool = False) -> str:
    """A line of links, in their order."""
    return " ".join(f"{s}-{t}:{p:.4f}" if probabilities else f"{s}-{t}" for s, t, p in links)
