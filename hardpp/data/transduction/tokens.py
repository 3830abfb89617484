"""Tokenizers: how a text becomes symbols, and symbols a text again.

    characters   every character is a symbol; the spelling of a word
    words        cut at blanks; phones, or text that was tokenised before
    bpe          words in parts that end in @@ but for the last one, as subword-nmt leaves them
    pieces       learnt from the training text (`hardpp.data.transduction.pieces`); sentences

A tokenizer describes itself as JSON, so that a run can cut new text as it cut its own.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from hardpp.data.transduction.pieces import Pieces


class Tokenizer(Protocol):
    """One side's way of cutting text."""

    kind: str
    sentences: bool  # each text is the one translation of another, not an entry of a list of words

    def tokenize(self, text: str) -> tuple[str, ...]:
        """The symbols of a text."""

    def detokenize(self, tokens: Sequence[str]) -> str:
        """The text of symbols: what `tokenize` was given, but for blanks at its ends and doubled ones."""

    def word_of(self, tokens: Sequence[str]) -> list[int]:
        """Which word, from 0, each symbol belongs to, where words are what links are about."""

    def describe(self) -> dict[str, Any]:
        """What `tokenizer` makes this tokenizer of again."""


class Characters:
    """Every character is a symbol, and a word of its own to links.

    Args:
        sentences: the texts are sentences.
    """

    kind: str = "characters"
    sentences: bool = False

    def __init__(self, sentences: bool = False):
        self.sentences = sentences or type(self).sentences

    def tokenize(self, text: str) -> tuple[str, ...]:
        """The characters."""
        return tuple(text)

    def detokenize(self, tokens: Sequence[str]) -> str:
        """The characters together."""
        return "".join(tokens)

    def word_of(self, tokens: Sequence[str]) -> list[int]:
        """0, 1, 2, ..."""
        return list(range(len(tokens)))

    def describe(self) -> dict[str, Any]:
        """The kind, and whether texts are sentences where the kind does not say it."""
        description = {"sentences": True} if self.sentences and not type(self).sentences else {}
        return {"kind": self.kind, **description}


class Words(Characters):
    """Cut at blanks (spaces), and nowhere else."""

    kind = "words"

    def tokenize(self, text: str) -> tuple[str, ...]:
        """What stands between blanks."""
        return tuple(token for token in text.split(" ") if token)

    def detokenize(self, tokens: Sequence[str]) -> str:
        """The words with a blank between them."""
        return " ".join(tokens)


class MarkedWords(Words):
    """Words in parts: each part but a word's last ends in @@ (Sennrich et al. 2016)."""

    kind = "bpe"
    sentences = True  # nobody cuts words by themselves like that

    def detokenize(self, tokens: Sequence[str]) -> str:
        """The words, put together again."""
        return re.sub("@@( |$)", "", " ".join(tokens))

    def word_of(self, tokens: Sequence[str]) -> list[int]:
        """A word ends with the first part that has no mark."""
        words, word = [], 0
        for token in tokens:
            words.append(word)
            word += not token.endswith("@@")
        return words


SIMPLE: Mapping[str, type[Characters]] = {kind.kind: kind for kind in (Characters, Words, MarkedWords)}


def tokenizer(described: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that `describe` described.

    Raises:
        KeyError, ValueError: nothing of ours is described like that.
    """
    kind = described["kind"]
    if kind == Pieces.kind:
        return Pieces.described(described)
    return SIMPLE[kind](described.get("sentences", False))  # runs of before do not say it


def guessed(texts: Sequence[str]) -> Tokenizer:
    """Words where any text holds a blank, with marks if they have any; else characters."""
    if not any(" " in text for text in texts):
        return Characters()
    return MarkedWords() if marked(texts) else Words()


def marked(texts: Iterable[str]) -> bool:
    """Does any text hold the mark of a word in parts?"""
    return any("@@ " in text for text in texts)
