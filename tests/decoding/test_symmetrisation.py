import random

import pytest
import torch

from hardpp.decoding.symmetrisation import METHODS, symmetrise
from hardpp.errors import UsageError

#      target 0 1 2 3
# source 0    b . . .      b both, f forward only, r backward only
#        1    f r . .
#        2    . . b .
#        3    . . f r
#        4    r . . .
FORWARD = {(0, 0), (1, 0), (2, 2), (3, 2)}
BACKWARD = {(0, 0), (1, 1), (2, 2), (3, 3), (4, 0)}
GROWN = {(0, 0), (1, 0), (1, 1), (2, 2), (3, 2), (3, 3)}


@pytest.mark.parametrize(
    ("method", "links"),
    [
        ("intersection", {(0, 0), (2, 2)}),
        ("union", FORWARD | BACKWARD),
        ("grow", GROWN),  # (1, 1) beside (1, 0), which came first, and gives target 1 its link
        ("grow-diag", GROWN),
        ("grow-diag-final", GROWN | {(4, 0)}),  # source 4 had none
        ("grow-diag-final-and", GROWN),  # but target 0 had
    ],
)
def test_by_hand(method, links):
    assert symmetrise(FORWARD, BACKWARD, method) == sorted(links)


def test_only_diagonal_neighbours_make_a_difference_to_grow():
    assert symmetrise({(0, 0), (1, 1)}, {(0, 0)}, "grow") == [(0, 0)]
    assert symmetrise({(0, 0), (1, 1)}, {(0, 0)}, "grow-diag") == [(0, 0), (1, 1)]


def test_a_link_that_gives_no_word_its_first_is_not_grown():
    # (0, 1) and (1, 0) lie beside both, whose four words have their links
    assert symmetrise({(0, 0), (1, 1), (0, 1)}, {(0, 0), (1, 1), (1, 0)}, "grow-diag-final") == [
        (0, 0),
        (1, 1),
    ]


def test_forward_links_are_added_first_at_the_end():
    # both lie far from (0, 0) and want target 5; only the first comes in where both words must be free
    links = symmetrise({(0, 0), (3, 5)}, {(0, 0), (4, 5)}, "grow-diag-final-and")
    assert links == [(0, 0), (3, 5)]
    links = symmetrise({(0, 0), (4, 5)}, {(0, 0), (3, 5)}, "grow-diag-final-and")
    assert links == [(0, 0), (4, 5)]
    assert symmetrise({(0, 0), (3, 5)}, {(0, 0), (4, 5)}, "grow-diag-final") == [(0, 0), (3, 5), (4, 5)]


def test_growing_goes_on_over_links_that_were_grown():
    chain = {(i, i) for i in range(6)}
    assert symmetrise(chain, {(5, 5)}, "grow-diag") == sorted(chain)  # against the order of the sweeps
    assert symmetrise(chain, {(0, 0)}, "grow-diag") == sorted(chain)
    assert symmetrise(chain, {(0, 0)}, "grow") == [(0, 0)]


def twin(forward, backward, method, sources=5, targets=5):
    """The published pseudocode, on tables of who is linked."""
    f, b = (torch.zeros(sources, targets, dtype=torch.bool) for _ in range(2))
    for table, links in ((f, forward), (b, backward)):
        for s, t in links:
            table[s, t] = True
    union = f | b
    a = f & b
    if method == "union":
        a = union.clone()
    steps = [(0, -1), (-1, 0), (0, 1), (1, 0)]
    if "diag" in method:
        steps += [(-1, -1), (1, -1), (-1, 1), (1, 1)]
    while method.startswith("grow"):
        before = a.clone()
        for t in range(targets):
            for s in range(sources):
                for ds, dt in steps if a[s, t] else []:
                    i, j = s + ds, t + dt
                    inside = 0 <= i < sources and 0 <= j < targets
                    if inside and union[i, j] and not (a[i].any() and a[:, j].any()):
                        a[i, j] = True
        if torch.equal(a, before):
            break
    for table in (f, b) if "final" in method else ():
        for t in range(targets):
            for s in range(sources):
                taken = [bool(a[s].any()), bool(a[:, t].any())]
                if table[s, t] and not (any(taken) if method.endswith("and") else all(taken)):
                    a[s, t] = True
    return [tuple(link) for link in a.nonzero().tolist()]


@pytest.mark.parametrize("method", METHODS)
def test_against_the_pseudocode(method):
    draw = random.Random(0)
    cells = [(s, t) for s in range(5) for t in range(5)]
    results = set()
    for _ in range(150):
        forward, backward = (set(draw.sample(cells, draw.randint(0, 9))) for _ in range(2))
        backward |= set(draw.sample(sorted(forward), len(forward) // 2))
        links = symmetrise(forward, backward, method)
        assert links == twin(forward, backward, method)
        results.add(
            tuple(links) not in {tuple(sorted(forward & backward)), tuple(sorted(forward | backward))}
        )
    assert results == {True, False} or method in ("intersection", "union")


def test_every_method_lies_between_intersection_and_union_and_knows_no_lists_from_sets():
    forward, backward = list(FORWARD), list(BACKWARD)
    for method in METHODS:
        links = symmetrise(forward, backward, method)
        assert FORWARD & BACKWARD <= set(links) <= FORWARD | BACKWARD
    assert (forward, backward) == (list(FORWARD), list(BACKWARD))
    assert all(symmetrise([], [], method) == [] for method in METHODS)


def test_an_unknown_method_is_refused():
    with pytest.raises(UsageError, match="no symmetrisation 'grow-diagonal'"):
        symmetrise([], [], "grow-diagonal")
