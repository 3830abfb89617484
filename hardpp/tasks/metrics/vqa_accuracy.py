"""The accuracy of VQA, which compares one answer with those of several people.

    accuracy = mean over people n of min(1, matches among the others / 3)

An answer is fully right if at least three of the other people gave it. Answers are compared as they are;
normalise them before.

Source: Antol et al. (2015), VQA: Visual Question Answering, and its evaluation of 2017.
"""

from collections.abc import Sequence

_AGREE = 3  # people with the same answer make it right


def vqa_accuracy(predicted: str, answers: Sequence[str]) -> float:
    """How right one answer is, from 0 to 1, given what each person answered (at least one did).

    With three people or fewer the accuracy is the share of people who gave the answer.
    """
    if not answers:
        raise ValueError("expected the answer of at least one person, got none")
    matches, people = sum(answer == predicted for answer in answers), len(answers)
    if people <= _AGREE:
        return matches / people
    without_one_of_them = min(1.0, (matches - 1) / _AGREE) if matches else 0.0
    without_another = min(1.0, matches / _AGREE)
    return (matches * without_one_of_them + (people - matches) * without_another) / people
