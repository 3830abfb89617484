import math

import pytest

from hardpp.tasks.metrics.error_rates import ErrorRates, error_rates, phone_error_rate

FOLDING = {"ix": "ih", "h#": "sil", "pcl": "sil", "q": None}


def test_hand_checked_rates():
    rates = error_rates(
        [
            ["k", "ae", "t"],  # right
            ["d", "ao", "g", "z"],  # one symbol too many
            ["b", "er"],  # first reference: 1 substitution; second: 2 insertions
            [],  # everything missing
        ],
        [
            [["k", "ae", "t"]],
            [["d", "ao", "g"]],
            [["b", "ih"], ["b", "er", "d", "z"]],
            [["ah"]],
        ],
    )
    assert rates == ErrorRates(3 / 9, 3 / 4, 3, 3 + 3 + 2 + 1, 3, 4)


def test_tokens_are_compared_whole():
    assert error_rates([["ab", "c"]], [[["a", "bc"]]]).edits == 2
    assert error_rates([["AA1"]], [[["AA0"]]]).edits == 1


def test_the_nearest_reference_counts_wherever_it_stands():
    for references in ([["x"], ["a", "b"]], [["a", "b"], ["x"]]):
        assert error_rates([["a", "b"]], [references]) == ErrorRates(0.0, 0.0, 0, 2, 0, 1)


def test_of_equally_near_references_the_shorter_counts():
    for references in ([["a", "b", "c"], ["a"]], [["a"], ["a", "b", "c"]]):
        assert error_rates([["a", "b"]], [references]).reference_symbols == 1


def test_a_long_output_may_cost_more_than_everything():
    assert error_rates([["a"] * 5], [[["b"]]]).symbol == 5.0


def test_empty_references():
    assert error_rates([[]], [[[]]]).symbol == 0.0
    assert math.isinf(error_rates([["a"]], [[[]]]).symbol)


@pytest.mark.parametrize(
    ("hypotheses", "references"), [([], []), ([["a"]], []), ([["a"], ["b"]], [[["a"]], []])]
)
def test_refuses_what_cannot_be_scored(hypotheses, references):
    with pytest.raises(ValueError, match="expected"):
        error_rates(hypotheses, references)


def test_edits_are_counted_after_folding() -> None:
    hypotheses, references = [["h#", "ix", "q", "s"]], [["pcl", "ih", "t"]]
    found = phone_error_rate(hypotheses, references, FOLDING)
    assert (found.edits, found.reference_symbols) == (1, 3)
    assert phone_error_rate(hypotheses, references, {}) == error_rates(hypotheses, [references])
    assert phone_error_rate(hypotheses, references, {}).edits == 4


def test_what_folds_to_nothing_is_left_out_of_both() -> None:
    found = phone_error_rate([["q", "q"], ["q", "a"]], [["q"], ["a", "q"]], FOLDING)
    assert (found.edits, found.reference_symbols, found.sequence) == (0, 1, 0)


def test_merging_is_asked_for() -> None:
    hypotheses, references = [["h#", "h#", "s", "s"]], [["h#", "pcl", "pcl", "s", "s"]]
    assert phone_error_rate(hypotheses, references, FOLDING).edits == 1
    merged = phone_error_rate(hypotheses, references, FOLDING, merged=("sil",))
    assert (merged.edits, merged.reference_symbols) == (0, 3)
    # What is left out does not keep two silences apart.
    assert phone_error_rate([["h#"]], [["h#", "q", "pcl"]], FOLDING, merged=("sil",)).edits == 0


def test_as_many_hypotheses_as_references() -> None:
    with pytest.raises(ValueError, match="references for 1 hypotheses, got 2"):
        phone_error_rate([["a"]], [["a"], ["b"]], {})
