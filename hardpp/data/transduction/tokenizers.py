"""Tokenizers cut a text into symbols, and join symbols to a text.

    characters   every character is a symbol; the spelling of a word
    words        cut at blanks; phones, or text that was tokenised before
    inflection   a lemma's characters, a TAB, and its features, each a symbol
    bpe          words in parts that end in @@ but for the last one, as subword-nmt leaves them
    pieces       learnt from the training text (`hardpp.data.transduction.pieces`); sentences

A blank is any white space of Unicode. A tokenizer describes itself as JSON, so that a run can cut new text as
it cut its training text.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from hardpp.data.transduction.folding import NOTHING, Folding, load_folding
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
    """Cut at blanks, and nowhere else."""

    kind = "words"

    def tokenize(self, text: str) -> tuple[str, ...]:
        return tuple(text.split())

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


class Inflected(Characters):
    """A lemma, a TAB and its features, as `walk V;PST`: characters, then symbols `<V>` and `<PST>`."""

    kind = "inflection"

    def __init__(self, separator: str = ";"):
        super().__init__()
        self.separator = separator  # between features

    def tokenize(self, text: str) -> tuple[str, ...]:
        lemma, _, features = text.partition("\t")
        return (*lemma, *(f"<{feature}>" for feature in features.split(self.separator) if feature))

    def detokenize(self, tokens: Sequence[str]) -> str:
        letters = [token for token in tokens if len(token) == 1]
        features = [token[1:-1] for token in tokens if len(token) > 1]
        return "".join(letters) + (f"\t{self.separator.join(features)}" if features else "")

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind, "separator": self.separator}


class Folded:
    """Another tokenizer's symbols of texts that are folded first."""

    def __init__(self, inner: Tokenizer, folding: Folding):
        self.inner, self.folding = inner, folding
        self.kind, self.sentences, self.one_way = inner.kind, inner.sentences, inner.one_way

    def tokenize(self, text: str) -> tuple[str, ...]:
        return self.inner.tokenize(self.folding(text))

    def detokenize(self, tokens: Sequence[str]) -> str:
        return self.folding.write(self.inner.detokenize(tokens))

    def word_of(self, tokens: Sequence[str]) -> list[int]:
        return self.inner.word_of(tokens)

    def describe(self) -> dict[str, Any]:
        return {**self.inner.describe(), FOLDING: self.folding.describe()}


FOLDING = "folding"  # key of a description
_BPE_MARK = "@@ "  # after a part of a word that byte-pair encoding has cut

SIMPLE_TOKENIZERS: Mapping[str, type[Characters]] = {
    kind.kind: kind for kind in (Characters, Words, MarkedWords)
}


def load_tokenizer(description: Mapping[str, Any]) -> Tokenizer:
    """Restore a tokenizer from what its `describe` returned; a KeyError or ValueError if none did."""
    if FOLDING in description:
        inner = {key: value for key, value in description.items() if key != FOLDING}
        return Folded(load_tokenizer(inner), load_folding(description[FOLDING]))
    kind = description["kind"]
    if kind == Pieces.kind:
        return Pieces.load(description)
    if kind == Inflected.kind:
        return Inflected(description["separator"])
    return SIMPLE_TOKENIZERS[kind](description.get("sentences", False))  # runs of before do not say it


def folding_of(tokenizer: Tokenizer) -> Folding:
    """How a tokenizer folds texts before it cuts them."""
    return tokenizer.folding if isinstance(tokenizer, Folded) else NOTHING


def guess_tokenizer(texts: Sequence[str]) -> Tokenizer:
    """Words where half of the texts or more hold a blank, else characters; words with marks where any has.

    Texts without blanks say nothing against words if nearly all of them are words of others, as phones are.
    """
    blank, marked, words = 0, False, set[str]()
    for text in texts:
        parts = text.split()
        if len(parts) > 1:
            blank += 1
            words.update(parts)
        marked = marked or _BPE_MARK in text
    if not blank:
        return Characters()
    if 2 * blank < len(texts):
        otherwise = sum(text not in words for text in texts if not has_blank(text))
        if 10 * otherwise > len(texts) - blank:
            return Characters()
    return MarkedWords() if marked else Words()


def has_blank(text: str) -> bool:
    """Whether there is white space within a text."""
    return len(text.split(maxsplit=1)) > 1


def has_bpe_marks(texts: Iterable[str]) -> bool:
    """Whether any text holds the mark of a word that byte-pair encoding has cut."""
    return any(_BPE_MARK in text for text in texts)
