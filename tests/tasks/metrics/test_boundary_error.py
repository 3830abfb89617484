import pytest

from hardpp.tasks.metrics.boundary_error import BoundaryErrors, Coverage, boundary_errors, coverage


def test_distances_in_milliseconds() -> None:
    found = boundary_errors([[0.11, 0.18], [], [0.5]], [[0.1, 0.2], [], [0.46]])
    assert found == pytest.approx(BoundaryErrors(70 / 3, 20, 10, 2 / 3, 3))


def test_the_median_of_an_even_number_lies_between() -> None:
    assert boundary_errors([[0.0, 0.01, 0.1, 0.3]], [[0.0] * 4]).median == pytest.approx(55)


def test_perfect_boundaries() -> None:
    assert boundary_errors([[1.0, 2.0]], [[1.0, 2.0]]) == BoundaryErrors(0, 0, 0, 1, 2)


def test_intervals_hold_their_ends() -> None:
    found = coverage([[0.1, 0.2], [0.3]], [[0.2, 0.4], [0.3]], [[0.2, 0.41], [0.3]])
    assert found == pytest.approx(Coverage(2 / 3, 100, 2, 3))


def test_what_does_not_match_is_refused() -> None:
    with pytest.raises(ValueError, match="boundaries of 2 utterances, got 1"):
        boundary_errors([[1.0]], [[1.0], []])
    with pytest.raises(ValueError, match="2 boundaries in utterance 1, got 1"):
        boundary_errors([[], [1.0]], [[], [1.0, 2.0]])
    with pytest.raises(ValueError, match="at least one boundary"):
        boundary_errors([[]], [[]])
    with pytest.raises(ValueError, match="end after they start"):
        coverage([[0.2]], [[0.1]], [[0.15]])
    with pytest.raises(ValueError, match="1 boundaries in utterance 0, got 2"):
        coverage([[0.1]], [[0.2, 0.3]], [[0.15]])
