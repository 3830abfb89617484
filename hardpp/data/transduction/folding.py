"""What writings of a text count as one: forms of Unicode, and case.

`é` is one character or two, a letter and an accent, and both look alike. Texts are folded before they are cut
into symbols and before a file is split into parts, so that no word stands in two of them.
"""

import unicodedata
from collections.abc import Collection
from functools import partial
from typing import Any, Literal, NamedTuple

Form = Literal["NFC", "NFD", "NFKC", "NFKD", "none"]
FORMS: tuple[Literal["NFC", "NFD", "NFKC", "NFKD"], ...] = ("NFC", "NFD", "NFKC", "NFKD")


class Folding(NamedTuple):
    """How the texts of one side are folded, and how they are written out again."""

    form: Form = "none"  # of Unicode
    lower: bool = False
    written: Form = "none"  # the form that texts had, if all had one and it is another

    def __call__(self, text: str) -> str:
        """The folded text; folding it again changes nothing."""
        if self.lower:
            text = text.lower()
        if text.isascii() or self.form == "none" or unicodedata.is_normalized(self.form, text):
            return text
        return unicodedata.normalize(self.form, text)

    def count_unnormalized(self, texts: Collection[str]) -> int:
        """How many texts are not in this form of Unicode."""
        if self.form == "none":
            return 0
        return len(texts) - sum(map(partial(unicodedata.is_normalized, self.form), texts))

    def write(self, text: str) -> str:
        """A folded text in the form in which its like were found."""
        return text if self.written == "none" else unicodedata.normalize(self.written, text)

    def describe(self) -> dict[str, Any]:
        """JSON from which `load_folding` restores it: nothing that is as by default."""
        return {key: value for key, value in self._asdict().items() if value != NOTHING._asdict()[key]}


NOTHING = Folding()


def load_folding(description: dict[str, Any]) -> Folding:
    """Restore what `describe` returned; a TypeError or KeyError if none did."""
    folding = Folding(**description)
    if not {folding.form, folding.written} <= {*FORMS, "none"}:
        raise KeyError(folding.form)
    return folding


def written_like(folding: Folding, texts: Collection[str]) -> Folding:
    """The same folding, which writes texts as these are: decomposed, if all of them are."""
    if folding.form == "none" or all(unicodedata.is_normalized(folding.form, text) for text in texts):
        return folding
    for form in FORMS:
        if all(unicodedata.is_normalized(form, text) for text in texts):
            return folding._replace(written=form)
    return folding
