"""Tokenizers cut a text into symbols, and join symbols to a text.

    characters   every character is a symbol; the spelling of a word
    words        cut at blanks; phones, or text that was tokenised before
    bpe          words in parts that end in @@ but for the last one, as subword-nmt leaves them
    pieces       learnt from the training text (`hardpp.data.transduction.pieces`); sentences

A tokenizer describes itself as JSON, so that a run can cut new text as it cut its training text.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from hardpp.data.transduction.pieces import Pieces


class Tokenizer(Protocol):
    """Cuts the texts of one side."""

    kind: str
    sentences: bool  # each text is the one translation of another, not an entry of a list of words
    one_way: bool  # is there one sequence of symbols to a text?

    def tokenize(self, text: str) -> tuple[str, ...]:
        """The symbols of a text."""

    def detokenize(self, tokens: Sequence[str]) -> str:
        """The text of symbols: what `tokenize` was given, but for blanks at its ends and doubled ones."""

    def word_of(self, tokens: Sequence[str]) -> list[int]:
        """Which word, from 0, each symbol belongs to, where words are what links are about."""

    def describe(self) -> dict[str, Any]:
        """JSON from which `load_tokenizer` restores this tokenizer."""


class Characters:
    """Every character is a symbol, and a word of its own to links."""

    kind: str = "characters"
    sentences: bool = False
    one_way: bool = True

    def __init__(self, sentences: bool = False):
        self.sentences = sentences or type(self).sentences

    def tokenize(self, text: str) -> tuple[str, ...]:
        return tuple(text)

    def detokenize(self, tokens: Sequence[str]) -> str:
        return "".join(tokens)

    def word_of(self, tokens: Sequence[str]) -> list[int]:
        return list(range(len(tokens)))

    def describe(self) -> dict[str, Any]:
        # Whether texts are sentences is said where the kind does not say it.
        description = {"sentences": True} if self.sentences and not type(self).sentences else {}
        return {"kind": self.kind, **description}


class Words(Characters):
    """Cut at blanks (spaces), and nowhere else."""

    kind = "words"

    def tokenize(self, text: str) -> tuple[str, ...]:
        return tuple(token for token in text.split(" ") if token)

    def detokenize(self, tokens: Sequence[str]) -> str:
        return " ".join(tokens)


class MarkedWords(Words):
    """Words in parts: each part but a word's last ends in @@ (Sennrich et al. 2016)."""

    kind = "bpe"
    one_way = False
    sentences = True  # nobody cuts words by themselves like that

    def detokenize(self, tokens: Sequence[str]) -> str:
        return re.sub("@@( |$)", "", " ".join(tokens))

    def word_of(self, tokens: Sequence[str]) -> list[int]:
        words, word = [], 0
        for token in tokens:
            words.append(word)
            word += not token.endswith("@@")
        return words


SIMPLE_TOKENIZERS: Mapping[str, type[Characters]] = {
    kind.kind: kind for kind in (Characters, Words, MarkedWords)
}


def load_tokenizer(description: Mapping[str, Any]) -> Tokenizer:
    """Restore a tokenizer from what its `describe` returned; a KeyError or ValueError if none did."""
    kind = description["kind"]
    if kind == Pieces.kind:
        return Pieces.load(description)
    return SIMPLE_TOKENIZERS[kind](description.get("sentences", False))  # runs of before do not say it


def guess_tokenizer(texts: Sequence[str]) -> Tokenizer:
    """Words where any text holds a blank (with marks if any text has them), else characters."""
    if not any(" " in text for text in texts):
        return Characters()
    return MarkedWords() if has_bpe_marks(texts) else Words()


def has_bpe_marks(texts: Iterable[str]) -> bool:
    """Whether any text holds `@@ `, the mark of a word that byte-pair encoding has cut."""
    return any("@@ " in text for text in texts)
