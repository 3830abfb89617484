import pytest
import torch

from hardpp.decoding.links import Link, best_links, reversed_links, word_links

WEIGHTS = torch.tensor(
    [
        [0.5, 0.25, 0.25],
        [0.25, 0.125, 0.625],  # the end mark
        [0.125, 0.75, 0.125],
        [0.0, 1.0, 0.0],  # the step of the end mark
    ]
)


def test_the_best_position_links_unless_it_is_the_end_mark():
    assert best_links(WEIGHTS, 2, 3) == [Link(0, 0, 0.5), Link(1, 2, 0.75)]
    assert best_links(WEIGHTS, 2, 3, always=True) == [Link(0, 0, 0.5), Link(0, 1, 0.25), Link(1, 2, 0.75)]


def test_without_an_end_mark_every_word_is_linked():
    assert best_links(WEIGHTS[:, :2], 2, 4) == best_links(WEIGHTS, 2, 4, always=True)
    assert best_links(WEIGHTS, 3, 2) == [Link(0, 0, 0.5), Link(2, 1, 0.625)]


def test_nothing_to_link():
    assert best_links(WEIGHTS, 2, 0) == []
    assert best_links(WEIGHTS, 0, 3, always=True) == []
    assert best_links(WEIGHTS[:, -1:], 0, 3) == []


@pytest.mark.parametrize(
    ("weights", "sources", "targets"), [(WEIGHTS, 4, 3), (WEIGHTS, 2, 5), (WEIGHTS[0], 2, 1)]
)
def test_weights_of_too_few_words_are_refused(weights, sources, targets):
    with pytest.raises(ValueError, match=f"at least {targets} steps and {sources} positions, got"):
        best_links(weights, sources, targets)


def test_a_word_has_the_links_of_its_pieces_and_the_likeliest_probability():
    # two source words of pieces (0, 1) and (2), two target words of (0) and (1, 2)
    pieces = [Link(2, 1, 0.5), Link(0, 0, 0.25), Link(1, 0, 0.75), Link(2, 2, 0.375), Link(1, 2, 0.5)]
    assert word_links(pieces, [0, 0, 1], [0, 1, 1]) == [Link(0, 0, 0.75), Link(0, 1, 0.5), Link(1, 1, 0.5)]
    assert word_links(pieces, [0, 1, 2], [0, 1, 2]) == sorted(pieces)


def test_links_seen_from_the_other_side():
    assert reversed_links([Link(3, 0, 0.5), Link(1, 2)]) == [Link(0, 3, 0.5), Link(2, 1)]
