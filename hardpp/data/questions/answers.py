"""Answers of people: normalised, counted into a vocabulary, and drawn as training labels.

The normalisation is that of the official evaluation of VQA: lower case, signs dropped beside a blank or
in numbers and else turned into blanks, full stops dropped unless a digit follows, number words to
figures, articles dropped, apostrophes put back into contractions. The official script leaves answers
that all ten people gave alike as they are; here every answer is normalised, as predictions are.

Source: Antol et al. (2015), VQA: Visual Question Answering, and the evaluation code published with it.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from hardpp.data.questions.questions import Question
from hardpp.data.undecoded import utf8

_SIGNS = ';/[]"{}()=+\\_-><@`,?!'
_NUMBER = re.compile(r"\d,\d")
_FULL_STOP = re.compile(r"\.(?!\d)")
_ARTICLES = {"a", "an", "the"}
_NUMBERS = "zero one two three four five six seven eight nine ten"
_FIGURES = {"none": "0"} | {word: str(figure) for figure, word in enumerate(_NUMBERS.split())}
_CONTRACTIONS = (
    "ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't "
    "haven't he'd he'd've he's how'd how'll how's i'd've i'm i've isn't it'd it'd've it'll ma'am mightn't "
    "mightn't've might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've "
    "should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've "
    "someone'll someone's something'd something'd've something'll that's there'd there'd've there're "
    "there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're "
    "what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's "
    "won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've"
)
# People leave out one apostrophe; where that makes another word (we'll, I'd) the word is left alone.
_REPAIRED = {
    word[:place] + word[place + 1 :]: word
    for word in _CONTRACTIONS.split()
    for place, letter in enumerate(word)
    if letter == "'"
}


@lru_cache(1 << 16)  # people give the same few answers to many questions
def normalise_answer(answer: str) -> str:
    """Normalise an answer, so that others can be compared: "The two  dogs, dont!" is "2 dogs don't"."""
    stripped = " ".join(answer.split(" ")).replace("\n", " ").replace("\t", " ").strip()
    text, number = stripped, _NUMBER.search(stripped) is not None
    for sign in _SIGNS:
        beside_blank = f"{sign} " in stripped or f" {sign}" in stripped
        text = text.replace(sign, "" if beside_blank or number else " ")
    words = [_FIGURES.get(word, word) for word in _FULL_STOP.sub("", text).lower().split()]
    return " ".join(_REPAIRED.get(word, word) for word in words if word not in _ARTICLES)


def most_given_answer(answers: Sequence[str]) -> str:
    """The answer of most people; of several, the one that was given first."""
    return Counter(answers).most_common(1)[0][0]


def answer_vocabulary(questions: Iterable[Question], at_least: int) -> list[str]:
    """The classes of a model, sorted: answers that most people gave to at least so many training questions.

    Of VQA v2 it is 9, which gives 3,129 classes.
    """
    counts = Counter(most_given_answer(question.answers) for question in questions)
    return sorted(answer for answer, count in counts.items() if count >= at_least)


def draw_answer(question: Question, classes: Mapping[str, int], seed: int, epoch: int) -> int | None:
    """Draw a training label: the class of one person, chosen uniformly among those whose answer is one.

    The class, or None if nobody gave one, is a function of the arguments alone; another epoch may ask another
    person. `classes` holds the number of every answer of the vocabulary.
    """
    given = [classes[answer] for answer in question.answers if answer in classes]
    if len(set(given)) <= 1:
        return given[0] if given else None
    digest = hashlib.sha256(utf8(f"{seed} {epoch} {question.name}")).digest()
    return given[int.from_bytes(digest[:8], "big") % len(given)]


def most_given_class(question: Question, classes: Mapping[str, int]) -> int | None:
    """The class that most people gave; None if nobody gave one."""
    given = [answer for answer in question.answers if answer in classes]
    return classes[most_given_answer(given)] if given else None
