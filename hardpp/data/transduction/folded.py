"""Tokenizers that fold the texts of data before they cut them, as far as the data allow it."""

from hardpp.data.lines import Report
from hardpp.data.parts import PARTS
from hardpp.data.transduction.folding import NOTHING, Folding, written_like
from hardpp.data.transduction.pairs import Bitext, Corpus
from hardpp.data.transduction.tokenizers import Folded, Tokenizer

Foldings = tuple[Folding, Folding]  # of sources and targets


def foldings_for(bitext: Bitext, wanted: Foldings, report: Report, *, keep: bool = False) -> Foldings:
    """How the texts of each side are folded, and written out again.

    Args:
        bitext: Texts as they are in the files.
        wanted: How they should be folded.
        report: Told how many are not in the form of Unicode that is wanted.
        keep: A side that is not in that form stays as it is.
    """
    found = []
    for side, folding in zip(("source", "target"), wanted, strict=True):
        texts = bitext.texts(side)
        other = folding.count_unnormalized(texts)
        if other and keep:
            folding = folding._replace(form="none")
        elif other:
            folding = written_like(folding, texts)
            written = "" if folding.written == "none" else f", and written in {folding.written}"
            report(
                f"{side}: {other} of {len(texts)} texts are not in {folding.form} of Unicode; "
                f"they are read in it{written} (data.normalise)"
            )
        found.append(folding)
    return found[0], found[1]


def folded(tokenizer: Tokenizer, folding: Folding) -> Tokenizer:
    """A tokenizer that folds texts first."""
    return tokenizer if folding == NOTHING else Folded(tokenizer, folding)


def folded_like(corpus: Corpus, wanted: Foldings) -> Corpus:
    """A corpus that is cut already; its tokenizers fold other texts, if its symbols are folded so."""
    sides = []
    for side, folding in zip(("source", "target"), wanted, strict=True):
        pairs = [pair for part in PARTS for pair in getattr(corpus, part)]
        symbols = {symbol for pair in pairs for symbol in getattr(pair, side)}
        same = all(folding(symbol) == symbol for symbol in symbols)
        sides.append(folded(getattr(corpus, side), folding if same else NOTHING))
    return corpus._replace(source=sides[0], target=sides[1])
