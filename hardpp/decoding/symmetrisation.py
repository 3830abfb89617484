"""Symmetrisation: one word alignment from the alignments of both directions.

A model that gives every target word one source word cannot link it to two source words; the model of the
other direction can, but not the opposite. The intersection of their links has high precision, the union has
high recall, and the growing rules lie between:

    grow             from the intersection on, links of the union are added beside links (left, right,
                     above, below) if they give a word without a link its first one
    grow-diag        the same with diagonal neighbours
    ...-final        and then, of the forward and of the backward links, those whose source or target word
                     has none yet
    ...-final-and    those whose source and target word both have none yet

As in the original, links are added one at a time in the order of the target, then of the source, and each
counts for the next.

Source: Koehn, Och and Marcu (2003), Statistical Phrase-Based Translation, section 4; the rules and names of
the Moses system (Koehn et al. 2007).
"""

from collections.abc import Collection
from typing import Literal, get_args

from hardpp.errors import UsageError

Method = Literal["intersection", "union", "grow", "grow-diag", "grow-diag-final", "grow-diag-final-and"]
METHODS: tuple[Method, ...] = get_args(Method)

_Points = set[tuple[int, int]]
_BESIDE = ((0, -1), (-1, 0), (0, 1), (1, 0))
_DIAGONAL = ((-1, -1), (1, -1), (-1, 1), (1, 1))


def symmetrise(
    forward: Collection[tuple[int, int]], backward: Collection[tuple[int, int]], method: Method
) -> list[tuple[int, int]]:
    """The links of one pair by both directions, sorted; a UsageError if there is no such method.

    Links are (source, target), also those `backward`, by the model from target to source.
    """
    if method not in METHODS:
        raise UsageError(f"there is no symmetrisation {method!r}", f"there are: {', '.join(METHODS)}")
    ahead, back = set(forward), set(backward)
    if method == "union":
        return sorted(ahead | back)
    points = ahead & back
    if method == "intersection":
        return sorted(points)
    _grow(points, ahead | back, _BESIDE if method == "grow" else _BESIDE + _DIAGONAL)
    if method in ("grow-diag-final", "grow-diag-final-and"):
        for links in (ahead, back):
            _finish(points, links, both=method == "grow-diag-final-and")
    return sorted(points)


def _grow(points: _Points, union: _Points, neighbours: tuple[tuple[int, int], ...]) -> None:
    sources, targets = {s for s, _ in points}, {t for _, t in points}
    grew = True
    while grew:
        grew = False
        # Links that this sweep adds are visited by it, too, if their turn is still to come.
        for s, t in (point for point in _in_turn(union) if point in points):
            for step_s, step_t in neighbours:
                point = s + step_s, t + step_t
                fits = point[0] not in sources or point[1] not in targets
                if point in union and point not in points and fits:
                    points.add(point)
                    sources.add(point[0])
                    targets.add(point[1])
                    grew = True


def _finish(points: _Points, links: _Points, both: bool) -> None:
    sources, targets = {s for s, _ in points}, {t for _, t in points}
    for s, t in _in_turn(links - points):
        free = s not in sources, t not in targets
        if all(free) if both else any(free):
            points.add((s, t))
            sources.add(s)
            targets.add(t)


def _in_turn(points: _Points) -> list[tuple[int, int]]:
    return sorted(points, key=lambda point: (point[1], point[0]))
