"""From texts to tokens: a bitext becomes the corpus that trains."""

from collections.abc import Collection, Sequence
from typing import Any

from hardpp.data.lazily import Joined
from hardpp.data.lines import OnBad, Place, Report, report_bad
from hardpp.data.parts import PARTS
from hardpp.data.transduction.long_pairs import HINT, TokenPair, length, long_lines, without_long
from hardpp.data.transduction.pairs import Bitext, Corpus, Line, Pair, PlacedPair
from hardpp.data.transduction.pieces import Pieces
from hardpp.data.transduction.text_pairs import TextPair
from hardpp.data.transduction.tokenizers import (
    SIMPLE_TOKENIZERS,
    Inflected,
    MarkedWords,
    Tokenizer,
    folding_of,
    guess_tokenizer,
    has_bpe_marks,
)


class PlacedTokens(TokenPair):
    """The tokens of a pair of a user's own, which know where they stand."""

    place: Place
    text: str | None


def tokenize_bitext(
    bitext: Bitext,
    source: Tokenizer,
    target: Tokenizer,
    *,
    pooled: bool,
    max_length: int | None = None,
    checked: Collection[str] = PARTS,
    on_bad: OnBad = "stop",
    report: Report = lambda text: None,
) -> Corpus:
    """Tokenize every text of a bitext.

    A pair with more symbols than `max_length` on a side is a bad line in `checked` parts whose places are
    known. In others such pairs are left out of train, with a count, and stay in dev and test.

    Args:
        bitext: Texts in three parts.
        source, target: How each side is cut.
        pooled: See `with_references`; in dev and test there is then one pair a distinct source.
        max_length: Symbols a side; None for any number.
        checked: Parts of which pairs that are too long are bad lines.
        on_bad: What happens to pairs that are too long.
        report: Told what was left out.
    """
    parts = {name: _placed(getattr(bitext, name), bitext.places.get(name), source, target) for name in PARTS}
    if max_length is not None:
        parts |= without_long(bitext, parts, checked, max_length, on_bad, report)
    train, dev, test = (_in_place(part, with_references(part, pooled=pooled)) for part in parts.values())
    if pooled:
        dev, test = distinct_sources(dev), distinct_sources(test)
    return Corpus(bitext.name, train, dev, test, source, target)


def tokenize_lines(
    lines: Sequence[Line],
    source: Tokenizer,
    target: Tokenizer,
    *,
    pooled: bool,
    max_length: int | None,
    on_bad: OnBad,
    report: Report,
) -> list[Pair]:
    """Tokenize lines that are in no part, in order; the arguments are those of `tokenize_bitext`."""
    sides = _placed([line.pair for line in lines], [line.places for line in lines], source, target)
    if max_length is not None:
        report_bad(long_lines(sides, [line.places for line in lines], max_length), on_bad, report, HINT)
        sides = [pair for pair in sides if length(pair) <= max_length]
    return _in_place(sides, with_references(sides, pooled=pooled))


def tokenizers(
    bitext: Bitext,
    source_tokens: str,
    target_tokens: str,
    size: int,
    report: Report = lambda text: None,
) -> tuple[Tokenizer, Tokenizer]:
    """Choose the tokenizers of the two sides: by name, or, for "auto", by what their texts hold.

    Sentences that byte pair encoding has cut, as marks in the train part tell, stay so; others become pieces.

    Args:
        bitext: The texts; pieces are learnt from the train part, from both sides together if both have them.
        source_tokens, target_tokens: "auto", "characters", "words", "bpe" or "pieces".
        size: How many pieces are learnt.
        report: Told when what has such marks is made pieces.
    """
    kinds = {"source": source_tokens, "target": target_tokens}
    marked_sides: list[str] = []
    if bitext.sentences or Pieces.kind in kinds.values():
        marked_sides = [side for side in kinds if has_bpe_marks(bitext.texts(side, ["train"]))]
    if bitext.sentences:
        defaults = {side: MarkedWords.kind if side in marked_sides else Pieces.kind for side in kinds}
        kinds = {side: defaults[side] if kind == "auto" else kind for side, kind in kinds.items()}
    learning = [side for side, kind in kinds.items() if kind == Pieces.kind]
    if cut_again := [side for side in learning if side in marked_sides]:
        keys = " and ".join(f"data.{side}_tokens=bpe" for side in cut_again)
        report(f"texts in parts (@@) are cut again into pieces; {keys} leaves them as they are")
    texts = Joined(*(bitext.texts(side, ["train"]) for side in learning))
    pieces = Pieces.learn(texts, size) if learning else None

    def tokenizer_of(side: str, kind: str) -> Tokenizer:
        if bitext.features and side == "source" and kind == "auto":
            return Inflected(bitext.features)
        if pieces is not None and kind == Pieces.kind:
            return pieces
        if kind in SIMPLE_TOKENIZERS:
            return SIMPLE_TOKENIZERS[kind](bitext.sentences)
        return guess_tokenizer(bitext.texts(side))

    return tokenizer_of("source", kinds["source"]), tokenizer_of("target", kinds["target"])


def tokenize_texts(texts: Sequence[TextPair], source: Tokenizer, target: Tokenizer) -> list[TokenPair]:
    """Tokenize every pair of texts, in order."""
    return [TokenPair(source.tokenize(text.source), target.tokenize(text.target)) for text in texts]


def with_references(sides: Sequence[TokenPair], *, pooled: bool) -> list[Pair]:
    """Give every pair its right answers, in order.

    Where `pooled`, all targets of a source are right answers to it (pronunciations), else only its own one
    (translations).
    """
    if not pooled:
        return [Pair(x, y, (y,)) for x, y in sides]
    references: dict[tuple[str, ...], dict[tuple[str, ...], None]] = {}
    for x, y in sides:
        references.setdefault(x, {})[y] = None
    return [Pair(x, y, tuple(references[x])) for x, y in sides]


def distinct_sources(pairs: Sequence[Pair]) -> list[Pair]:
    """The first of all pairs with one source and the same right answers, which it holds; in order.

    Pairs with known links stay, as their links are theirs alone.
    """
    first: dict[Any, Pair] = {}
    for number, pair in enumerate(pairs):
        first.setdefault(number if pair.links else (pair.source, frozenset(pair.references)), pair)
    return list(first.values())


def mark_repeated(pairs: Sequence[Pair]) -> None:
    """Mark the pairs that `distinct_sources` would leave out, of those that know where they stand."""
    first = {id(pair) for pair in distinct_sources(pairs)}
    for pair in pairs:
        if isinstance(pair, PlacedPair):
            pair.repeated = id(pair) not in first


# Tokens of texts that stand at these places, if they are known.
def _placed(
    texts: Sequence[TextPair],
    places: Sequence[tuple[Place, Place]] | None,
    source: Tokenizer,
    target: Tokenizer,
) -> list[TokenPair]:
    sides = tokenize_texts(texts, source, target)
    if places is None:
        return sides
    fold, placed = folding_of(source), list[TokenPair]()
    for side, text, (place, _) in zip(sides, texts, places, strict=True):
        tokens = PlacedTokens(*side)
        tokens.place, tokens.text = place, text.source if fold(text.source) != text.source else None
        placed.append(tokens)
    return placed


# The pairs that were made of tokens, where they stand.
def _in_place(sides: Sequence[TokenPair], pairs: Sequence[Pair]) -> list[Pair]:
    return [
        PlacedPair.at(side.place, pair, side.text) if isinstance(side, PlacedTokens) else pair
        for side, pair in zip(sides, pairs, strict=True)
    ]
