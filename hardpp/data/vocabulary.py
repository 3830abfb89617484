"""Symbols as numbers: a sorted vocabulary with two reserved entries.

Id 0 is the boundary (it stands before the first target symbol and ends every target, and fills
padding), id 1 is the unknown symbol. Data that happens to contain the literal text `</s>` or `<unk>`
is safe: such a token gets an ordinary id of its own, never a reserved one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

END = "</s>"  # how the boundary is written
BOUNDARY = 0
UNKNOWN = 1
FACTORS = "|"  # joins the factors of a symbol

_RESERVED = (END, "<unk>")


@dataclass(frozen=True)
class Vocabulary:
    """The symbols of one side of a corpus; a symbol's id is its place in `symbols`.

    Example:
        >>> vocabulary = Vocabulary.of([("b", "a"), ("a",)])
        >>> vocabulary.symbols
        ('</s>', '<unk>', 'a', 'b')
        >>> vocabulary.encode(["a", "z"])
        [2, 1]

    Args:
        symbols: `"</s>"`, `"<unk>"`, then the symbols of the data, none of them twice.
    """

    symbols: tuple[str, ...]
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.symbols[:2] != _RESERVED:
            raise ValueError(f"a vocabulary starts with {_RESERVED}, not with {self.symbols[:2]}")
        # Only ids from 2 up can be looked up: a literal "</s>" in the data must not end a target.
        ids = {symbol: id for id, symbol in enumerate(self.symbols[2:], start=2)}
        if len(ids) != len(self.symbols) - 2:
            raise ValueError(f"{len(self.symbols) - 2 - len(ids)} symbols of the vocabulary occur twice")
        object.__setattr__(self, "_ids", ids)

    @classmethod
    def of(cls, sequences: Iterable[Iterable[str]]) -> "Vocabulary":
        """The vocabulary of all symbols in `sequences`, sorted by code point."""
        return cls(_RESERVED + tuple(sorted({symbol for sequence in sequences for symbol in sequence})))

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Ids of `tokens`, without a boundary; a token the vocabulary lacks is taken for its first factor.

        `λόγος|NGS` counts as `λόγος` where only that is known; what is not known either is `UNKNOWN`.
        """
        return [self._ids.get(token, self._ids.get(token.partition(FACTORS)[0], UNKNOWN)) for token in tokens]

    def unseen(self, tokens: Iterable[str]) -> list[str]:
        """The tokens that `encode` takes for `UNKNOWN`, in order."""
        tokens = list(tokens)
        return [token for token, id in zip(tokens, self.encode(tokens), strict=True) if id == UNKNOWN]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Symbols of `ids`, from 0 to V - 1 and reserved ones included; the caller cuts at `BOUNDARY`."""
        ids = list(ids)
        for id in ids:
            if not 0 <= id < len(self.symbols):
                raise ValueError(f"expected ids from 0 to {len(self.symbols) - 1}, got {id}")
        return [self.symbols[id] for id in ids]

    def __len__(self) -> int:
        """Number of ids V, the two reserved ones included."""
        return len(self.symbols)
