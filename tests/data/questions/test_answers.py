from collections import Counter

import pytest

from hardpp.data.questions.answers import answer_vocabulary, draw_answer, most_given_class, normalise_answer
from hardpp.data.questions.questions import Question


def question(*answers: str, name: str = "q") -> Question:
    return Question(name, "what?", "1", answers)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Yes", "yes"),
        ("  the  Dog ", "dog"),
        ("two", "2"),
        ("None", "0"),
        ("zero.", "0"),
        ("dont know", "don't know"),
        ("couldn'tve", "couldn't've"),
        ("its", "its"),
        ("ice-cream", "ice cream"),
        ("red, blue", "red blue"),
        ("red,blue", "red blue"),
        ("1,000-2", "10002"),
        ("3.5", "3.5"),
        ("3.", "3"),
        ("u.s.", "us"),
        ("what?!", "what"),
        ("on/off switch", "on off switch"),
        ("on / off", "on off"),
        ("a\tb\nc", "b c"),
        ("the", ""),
    ],
)
def test_normalisation(given: str, expected: str) -> None:
    assert normalise_answer(given) == expected


def test_normalising_again_changes_nothing() -> None:
    for text in ("don't", "2", "ice cream", "3.5", "y'all'd've", "'twas", "u s", "men's"):
        assert normalise_answer(text) == text


def test_the_vocabulary_counts_questions_by_what_most_people_answered() -> None:
    asked = [question("b", "b", "a"), question("b", "c", "c"), question("b"), question("a", "b")]
    assert answer_vocabulary(asked, 1) == ["a", "b", "c"]
    assert answer_vocabulary(asked, 2) == ["b"]


def test_labels_are_drawn_as_people_voted_and_are_a_function_of_seed_and_epoch() -> None:
    classes = {"a": 0, "b": 1}
    asked = question("a", "b", "b", "rare", "b")
    drawn = Counter(draw_answer(asked, classes, seed, epoch) for seed in range(20) for epoch in range(100))
    # Every person who gave a class is as likely: 2,000 draws of 1/4 have a deviation of 19.
    assert set(drawn) == {0, 1}
    assert abs(drawn[0] - 500) < 5 * 19.4
    assert [draw_answer(asked, classes, 1, e) for e in range(9)] == [
        draw_answer(asked, classes, 1, e) for e in range(9)
    ]
    other = question(*asked.answers, name="r")
    assert [draw_answer(asked, classes, 1, e) for e in range(99)] != [
        draw_answer(other, classes, 1, e) for e in range(99)
    ]


def test_answers_that_are_no_class() -> None:
    classes = {"a": 0, "b": 1}
    assert draw_answer(question("c", "d"), classes, 0, 0) is None
    assert most_given_class(question("c", "d"), classes) is None
    assert draw_answer(question("c", "a"), classes, 0, 0) == 0
    assert most_given_class(question("c", "c", "a", "b", "b"), classes) == 1
