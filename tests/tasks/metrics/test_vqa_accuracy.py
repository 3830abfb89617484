import itertools

import pytest

from hardpp.data.questions.answers import normalise_answer
from hardpp.tasks.metrics.vqa_accuracy import vqa_accuracy

TEN = ["2"] * 6 + ["two"] * 2 + ["3"] * 2


@pytest.mark.parametrize(("answer", "accuracy"), [("2", 1.0), ("two", 0.6), ("3", 0.6), ("4", 0.0)])
def test_answers_compared_as_they_are_given(answer: str, accuracy: float) -> None:
    assert vqa_accuracy(answer, TEN) == pytest.approx(accuracy, abs=1e-12)


def test_normalised_the_two_ways_of_writing_two_are_one_answer() -> None:
    answers = [normalise_answer(answer) for answer in TEN]
    assert vqa_accuracy(normalise_answer("Two."), answers) == 1.0
    assert vqa_accuracy("3", answers) == pytest.approx(0.6, abs=1e-12)


@pytest.mark.parametrize("people", [4, 5, 10])
def test_it_is_the_mean_over_leaving_each_person_out(people: int) -> None:
    for given in itertools.combinations_with_replacement("abc", people):
        left_out = [[*given[:n], *given[n + 1 :]] for n in range(people)]
        expected = sum(min(1, others.count("a") / 3) for others in left_out) / people
        assert vqa_accuracy("a", given) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("given", "accuracy"), [("a", 1.0), ("b", 0.0), ("ab", 0.5), ("aab", 2 / 3)])
def test_of_few_people_it_is_their_share(given: str, accuracy: float) -> None:
    assert vqa_accuracy("a", list(given)) == accuracy


def test_nobody_s_answer_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one person"):
        vqa_accuracy("a", [])
