"""Pieces of words, learnt from text by byte-pair encoding, so that a small vocabulary spells everything.

Texts are not normalised: pieces put together again are the text, letter by letter, but for doubled blanks.
A blank is part of the piece it precedes, written as U+2581. The learnt model is sentencepiece's own format,
a protocol buffer, which holds no code.

Sources: Sennrich et al. (2016), Neural Machine Translation of Rare Words with Subword Units; Kudo and
Richardson (2018), SentencePiece.
"""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from hardpp.errors import DataError, UsageError

BLANK = "\u2581"


class Pieces:
    """Text as pieces of words, by a serialised sentencepiece model."""

    kind: str = "pieces"
    sentences: bool = True
    one_way: bool = False

    def __init__(self, model: bytes):
        self.model = model

    @classmethod
    def learn(cls, texts: Sequence[str], size: int) -> "Pieces":
        """Learn about `size` pieces from texts; fewer where the texts have not so many."""
        trainer, model = _sentencepiece().SentencePieceTrainer, io.BytesIO()
        characters = len({character for text in texts for character in text})
        options = {
            "model_type": "bpe",
            "character_coverage": 1.0,
            "normalization_rule_name": "identity",
            "bos_id": -1,
            "eos_id": -1,
            "num_threads": 1,
            "max_sentence_length": 1 << 20,
            "minloglevel": 2,
        }
        size = max(size, characters + 3)  # every character, the blank and the unknown at least
        for _ in range(2):
            try:
                trainer.train(sentence_iterator=iter(texts), model_writer=model, vocab_size=size, **options)
                return cls(model.getvalue())
            except RuntimeError as error:
                if (limit := re.search(r"<= (\d+)", str(error))) is None:
                    raise DataError(f"no pieces can be learnt from {len(texts)} texts ({error})") from error
                size = int(limit[1])
        raise DataError(f"no {size} pieces can be learnt from {len(texts)} texts")

    @classmethod
    def load(cls, description: Mapping[str, Any]) -> "Pieces":
        """Restore pieces from what `describe` returned; a KeyError or ValueError if it did not."""
        return cls(base64.b64decode(description["model"], validate=True))

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind, "model": base64.b64encode(self.model).decode("ascii")}

    def tokenize(self, text: str) -> tuple[str, ...]:
        # What was never seen is a piece of its own, and so is a text of blanks.
        return tuple(self._processor.encode(text, out_type=str)) or (text,)

    def detokenize(self, tokens: Sequence[str]) -> str:
        return "".join(tokens).replace(BLANK, " ").strip(" ")

    def word_of(self, tokens: Sequence[str]) -> list[int]:
        words, word = [], -1
        for token in tokens:
            word += token.startswith(BLANK) or word < 0
            words.append(word)
        return words

    @cached_property
    def _processor(self) -> Any:
        try:
            if not self.model:  # which the processor takes, to fail later
                raise RuntimeError("it is empty")
            return _sentencepiece().SentencePieceProcessor(model_proto=self.model)
        except RuntimeError as error:
            raise ValueError(f"not a sentencepiece model ({error})") from error


def _sentencepiece() -> Any:
    try:
        import sentencepiece
    except ImportError as error:
        raise UsageError(
            "cutting sentences into pieces needs sentencepiece", "pip install 'hardpp[text]'"
        ) from error
    return sentencepiece
