import pytest

from hardpp.tasks.metrics.alignment_error import AlignmentErrors, HitRate, alignment_errors, hit_rate

FOUND = [{(0, 0), (1, 1), (2, 2)}, {(0, 0)}]
SURE = [{(0, 0), (1, 2)}, {(0, 0), (1, 1), (2, 1)}]
POSSIBLE = [{(1, 1)}, set()]


def test_hand_checked_rates():
    # 4 found, 5 sure, 2 of them both
    assert alignment_errors(FOUND, SURE) == AlignmentErrors(1 - 4 / 9, 2 / 4, 2 / 5, 4, 5)
    # (1, 1) is not wrong any more
    assert alignment_errors(FOUND, SURE, POSSIBLE) == AlignmentErrors(1 - 5 / 9, 3 / 4, 2 / 5, 4, 5)


def test_sure_links_are_possible_whether_named_or_not():
    named = [sure | possible for sure, possible in zip(SURE, POSSIBLE, strict=True)]
    assert alignment_errors(FOUND, SURE, named) == alignment_errors(FOUND, SURE, POSSIBLE)
    assert alignment_errors(FOUND, SURE, SURE) == alignment_errors(FOUND, SURE)


def test_where_all_is_sure_it_is_one_less_the_harmonic_mean():
    errors = alignment_errors(FOUND, SURE)
    mean = 2 / (1 / errors.precision + 1 / errors.recall)
    assert errors.error == pytest.approx(1 - mean, abs=1e-15)


def test_links_are_counted_once_and_over_all_pairs():
    assert alignment_errors([[(0, 0), (0, 0)]], [[(0, 0), (0, 0)]]) == AlignmentErrors(0.0, 1.0, 1.0, 1, 1)
    # the long pair outweighs the short one
    assert alignment_errors([[(i, i) for i in range(9)], [(0, 1)]], [[(i, i) for i in range(9)], [(0, 0)]])[
        0
    ] == pytest.approx(0.1)


def test_nothing_found_and_nothing_sure():
    assert alignment_errors([[]], [[(0, 0)]]) == AlignmentErrors(1.0, 1.0, 0.0, 0, 1)
    assert alignment_errors([[(0, 0)]], [[]]) == AlignmentErrors(1.0, 0.0, 1.0, 1, 0)
    with pytest.raises(ValueError, match="at least one link"):
        alignment_errors([[]], [[]])


def test_hits_are_counted_over_target_words_with_a_gold_link():
    found = [[(0, 0), (1, 1), (2, 2)], [(0, 1)]]
    gold = [[(0, 0), (3, 0), (0, 1), (5, 4)], [(0, 0)]]
    # words 0, 1, 4 and 0; only the first is hit, word 2 has no gold link and does not count
    assert hit_rate(found, gold) == HitRate(1 / 4, 1, 4)


@pytest.mark.parametrize("measure", [alignment_errors, hit_rate])
def test_unequal_numbers_of_pairs_are_refused(measure):
    with pytest.raises(ValueError, match="pairs, got"):
        measure([[(0, 0)]], [[(0, 0)], []])


def test_unequal_numbers_of_possible_links_are_refused():
    with pytest.raises(ValueError, match=r"equally many pairs, got \[1, 1, 2\]"):
        alignment_errors([[]], [[]], [[], []])


def test_a_hit_rate_needs_gold_links_and_one_found_link_a_word():
    with pytest.raises(ValueError, match="at least one gold link"):
        hit_rate([[(0, 0)]], [[]])
    with pytest.raises(ValueError, match="at most one predicted link a target word, got more in pair 1"):
        hit_rate([[], [(0, 0), (1, 0)]], [[], [(0, 0)]])
