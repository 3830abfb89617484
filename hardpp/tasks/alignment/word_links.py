"""Word alignments of runs: links of one direction, of two together, and their errors.

A run's positions weigh symbols; links are between words (`Tokenizer.word_of`). Links of a run from target to
source are turned round, so that both directions speak of the same pairs. A view is whose weights decide:
"posterior", "guide" or "prior".
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from hardpp.data.transduction.pairs import Pair
from hardpp.data.transduction.reversal import reverse_pair
from hardpp.data.vocabulary import FACTORS
from hardpp.decoding.links import Link, best_links, reversed_links
from hardpp.decoding.links import word_links as links_of_words
from hardpp.decoding.symmetrisation import METHODS, Method, symmetrise
from hardpp.errors import DataError, UsageError
from hardpp.tasks.alignment.evaluation import position_weights
from hardpp.tasks.alignment.gold_pairs import LINKS_HINT, NO_LINKS, right_links
from hardpp.tasks.attention import VIEWS
from hardpp.tasks.metrics.alignment_error import AlignmentErrors, Links, alignment_errors, hit_rate
from hardpp.tasks.opened_run import OpenedRun


def word_links(run: OpenedRun, pairs: Sequence[Pair], view: str, *, always: bool = False) -> list[list[Link]]:
    """Links of words, one list a pair, sorted: the source word of each target word.

    With `always` every target word has one, even where the end mark is likelier.
    """
    source, target = run.description.tokenizers
    linked = []
    for pair, weights in zip(pairs, position_weights(run, pairs, view), strict=True):
        best = best_links(weights, len(pair.source), len(pair.target), always=always)
        words = links_of_words(best, source.word_of(pair.source), target.word_of(pair.target))
        linked.append(_likeliest(words) if always else words)
    return linked


def both_ways(
    forward: OpenedRun, backward: OpenedRun, pairs: Sequence[Pair], view: str
) -> tuple[list[list[Link]], list[list[Link]]]:
    """Links of pairs, cut as `forward` cuts them, by that run and by one of the other direction.

    Raises:
        UsageError: the second run does not go back where the first one came from.
    """
    if _sides(forward) != _sides(backward)[::-1]:
        raise UsageError(
            f"{backward.path} does not go back from what {forward.path} goes to",
            "train it on the same data with --set data.reverse=true",
        )
    turned = word_links(backward, [reverse_pair(pair) for pair in pairs], view)
    return word_links(forward, pairs, view), [reversed_links(links) for links in turned]


def symmetrised(
    forward: Sequence[Sequence[Link]], backward: Sequence[Sequence[Link]], method: Method
) -> list[list[Link]]:
    """Links of both directions made one list a pair; of two probabilities of a link the mean counts."""
    symmetric = []
    for ahead, back in zip(forward, backward, strict=True):
        probabilities: defaultdict[tuple[int, int], list[float]] = defaultdict(list)
        for link in (*ahead, *back):
            probabilities[link.source, link.target].append(link.probability)
        one_way, other_way = _points([ahead, back])
        points = symmetrise(one_way, other_way, method)
        symmetric.append(
            [Link(*point, sum(probabilities[point]) / len(probabilities[point])) for point in points]
        )
    return symmetric


def compare_links(
    forward: OpenedRun, backward: OpenedRun | None, pairs: Sequence[Pair]
) -> list[dict[str, Any]]:
    """Errors against known links: a row for every view, direction and symmetrisation.

    Returns:
        AER, precision and recall; hit, of one direction, is how often the best position of a target word is
        right, end mark or not.

    Raises:
        DataError: the pairs have no known links.
        UsageError: see `both_ways`.
    """
    turned = [reverse_pair(pair) for pair in pairs]
    right, right_back = _right_links(pairs), _right_links(turned)
    rows = []
    for view in VIEWS:
        hits = hit_rate(_points(word_links(forward, pairs, view, always=True)), right).rate
        if backward is None:
            rows.append(_row(view, "forward", word_links(forward, pairs, view), pairs, hits))
            continue
        ahead, back = both_ways(forward, backward, pairs, view)
        hits_back = hit_rate(_points(word_links(backward, turned, view, always=True)), right_back)
        rows.append(_row(view, "forward", ahead, pairs, hits))
        rows.append(_row(view, "backward", back, pairs, hits_back.rate))
        rows += [_row(view, method, symmetrised(ahead, back, method), pairs) for method in METHODS]
    return rows


def link_errors(links: Sequence[Sequence[Link]], pairs: Sequence[Pair]) -> AlignmentErrors:
    """AER, precision and recall of some links of pairs against the known ones of these, sure and possible."""
    return alignment_errors(_points(links), [pair.links for pair in pairs], _right_links(pairs))


# The known links, one collection a pair.
def _right_links(pairs: Sequence[Pair]) -> list[Links]:
    right = [right_links(pair) for pair in pairs]
    if not any(right):
        raise DataError(NO_LINKS, LINKS_HINT)
    return right


def _row(
    view: str, how: str, links: list[list[Link]], pairs: Sequence[Pair], hits: float | None = None
) -> dict[str, Any]:
    errors = link_errors(links, pairs)
    row = {"by": view, "links": how, "AER": errors.error, "precision": errors.precision}
    return row | {"recall": errors.recall, "hit": hits}


def _points(links: Sequence[Sequence[Link]]) -> list[list[tuple[int, int]]]:
    return [[(link.source, link.target) for link in of_pair] for of_pair in links]


# One link a target word: a word in pieces has one a piece.
def _likeliest(links: list[Link]) -> list[Link]:
    best: dict[int, Link] = {}
    for link in links:
        if link.target not in best or link.probability > best[link.target].probability:
            best[link.target] = link
    return sorted(best.values())


def _sides(run: OpenedRun) -> list[Any]:
    tokenizers, vocabularies = run.description.tokenizers, run.description.vocabularies
    # One direction may know the factors of symbols where the other knows the first of them alone.
    return [
        (tokenizer.describe(), {symbol.partition(FACTORS)[0] for symbol in vocabulary.symbols})
        for tokenizer, vocabulary in zip(tokenizers, vocabularies, strict=True)
    ]
