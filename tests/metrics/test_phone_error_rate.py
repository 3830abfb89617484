import pytest

from hardpp.metrics.error_rates import error_rates
from hardpp.metrics.phone_error_rate import phone_error_rate

FOLDING = {"ix": "ih", "h#": "sil", "pcl": "sil", "q": None}


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
