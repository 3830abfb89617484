"""What is a word in any script, as parts of regular expressions.

A word is a run of letters, numbers and the marks that belong to them, such as the vowel signs of Hindi.
Scripts that leave no blanks between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese and others) are cut
into characters, each with its marks: no list of words is needed, and nothing is lost.

Source: Unicode Standard Annexes 24 (scripts) and 29 (text segmentation), as the package `regex` has them.
"""

import unicodedata

import regex

_UNSPACED = ("Han", "Hira", "Kana", "Thai", "Laoo", "Khmr", "Mymr", "Yiii", "Tale", "Talu", "Lana", "Tavt")
_OF_UNSPACED = "[" + "".join(rf"\p{{scx={script}}}" for script in _UNSPACED) + "]"
_MARKS = r"[\p{Mn}\p{Mc}\u200c\u200d--\ufe00-\ufe0f]"  # joiners, too, and not what asks for an emoji

CHARACTER = rf"(?=[{_OF_UNSPACED}&&[\p{{L}}\p{{N}}]])\X{_MARKS}*"
WORD = rf"(?:[[\p{{L}}\p{{N}}_]--{_OF_UNSPACED}]{_MARKS}*)+"

_CHARACTER = regex.compile(CHARACTER, regex.V1)


def compiled(pattern: str) -> "regex.Pattern[str]":
    """A pattern that is made of those above."""
    return regex.compile(pattern, regex.V1)


def folded(text: str) -> str:
    """A text in lower case, in which equal characters are written alike (NFC)."""
    return unicodedata.normalize("NFC", text).lower()


def is_unspaced(word: str) -> bool:
    """Whether a word is one character of a script without blanks between words."""
    return _CHARACTER.fullmatch(word) is not None
