"""Probabilities of word links that mean what they say: fitted to links made by hand, of the dev part.

A run's weight of a link says how sure the model is under its own program, in which every target word has one
source word. Whether a person would draw the link is another question. The map from the one to the other is
Platt scaling, fitted to dev links that were made in the same way: same view, direction and symmetrisation.
Nothing is kept of it: it is fitted when it is asked for, so it always belongs to the run's weights.

Scores of a link are, for each direction, whether that run has it and the log-odds of its probability (0 where
it has not). All known links are sure ones. A pair without any was not looked at, and is left out.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from hardpp.data.transduction.pairs import Pair
from hardpp.decoding.links import Link
from hardpp.decoding.symmetrisation import Method
from hardpp.errors import DataError
from hardpp.tasks.alignment.gold_pairs import LINKS_HINT, NO_LINKS, right_links
from hardpp.tasks.alignment.word_links import both_ways, symmetrised, word_links
from hardpp.tasks.answers.calibration.cross_fitting import CrossFit, cross_fit
from hardpp.tasks.answers.calibration.platt import Floats, Platt, fit, logits
from hardpp.tasks.answers.calibration.reliability import Curve, of_probabilities
from hardpp.tasks.opened_run import OpenedRun


class LinkMaker(NamedTuple):
    """How links are made: by one run, or by it and one of the other direction."""

    forward: OpenedRun
    view: str  # "posterior", "guide" or "prior"
    backward: OpenedRun | None = None
    method: Method = "grow-diag-final-and"  # of two directions

    @property
    def name(self) -> str:
        """The way in words."""
        return f"{self.view}, {'forward' if self.backward is None else self.method}"

    def links(self, pairs: Sequence[Pair]) -> tuple[list[list[Link]], list[Floats]]:
        """Links of every pair, and the scores (links, F) of each."""
        if self.backward is None:
            one_way = word_links(self.forward, pairs, self.view)
            return one_way, [logits([link.probability for link in links]).reshape(-1, 1) for links in one_way]
        ways = both_ways(self.forward, self.backward, pairs, self.view)
        links = symmetrised(*ways, self.method)
        return links, [_scores(*of_pair) for of_pair in zip(links, *ways, strict=True)]

    def calibrated(self, pairs: Sequence[Pair], dev: Sequence[Pair]) -> list[list[Link]]:
        """Links of pairs, with the probability that a person would draw them.

        A pair that is in the dev part too gets a map that was fitted without it.

        Raises:
            DataError: dev has no known links, or too few links to fit to that are right, or wrong.
        """
        return _mapped(*self.links(pairs), pairs, self._maps(dev))

    def reliability(self, pairs: Sequence[Pair], dev: Sequence[Pair], bins: int) -> list[Curve]:
        """The curves of links as the run weighs them, and as they are after the map.

        A link comes true if it is a sure or possible one. Without dev pairs each pair gets a map that was
        fitted to the others; where they are too few for one, there is the curve before it alone.

        Raises:
            DataError: as for `calibrated`, or the pairs have no known links.
        """
        pairs = known_pairs(pairs)
        links, scores = self.links(pairs)
        right = [came for of_pair in _came_true(pairs, links) for came in of_pair]
        made = {"raw": links}
        if dev:
            made["calibrated"] = _mapped(links, scores, pairs, self._maps(dev))
        else:
            with suppress(DataError):  # of too few there is no map, and still a curve
                made["calibrated by the others"] = _mapped(links, scores, pairs, self._maps(pairs))
        return [
            of_probabilities(
                f"word links, {self.name}, {how}",
                [link.probability for of_pair in each for link in of_pair],
                right,
                bins,
            )
            for how, each in made.items()
        ]

    def _maps(self, dev: Sequence[Pair]) -> CrossFit[Platt]:
        dev = known_pairs(dev)
        links, scores = self.links(dev)
        right = [np.array(of_pair, dtype=bool) for of_pair in _came_true(dev, links)]

        def fitted(places: Sequence[int]) -> Platt:
            if not places:
                raise ValueError("there are hardly any")
            return fit(*(np.concatenate([part[place] for place in places]) for part in (scores, right)))

        try:
            return cross_fit([_key(pair) for pair in dev], fitted)
        except ValueError as error:
            what = f"links of the dev part cannot calibrate others: {error}"
            raise DataError(what, "align without --calibrated needs no known ones") from error


def known_pairs(pairs: Sequence[Pair]) -> list[Pair]:
    """Those with known links; a DataError if there are none."""
    if not (known := [pair for pair in pairs if right_links(pair)]):
        raise DataError(NO_LINKS, LINKS_HINT)
    return known


# Which links are known ones.
def _came_true(pairs: Sequence[Pair], links: Sequence[Sequence[Link]]) -> list[list[bool]]:
    right = [right_links(pair) for pair in pairs]
    return [[link[:2] in known for link in of_pair] for known, of_pair in zip(right, links, strict=True)]


# Of each link: is it forward's, is it backward's, and the log-odds of both.
def _scores(links: Sequence[Link], ahead: Sequence[Link], back: Sequence[Link]) -> Floats:
    columns = []
    for way in (ahead, back):
        probability = {link[:2]: link.probability for link in way}
        has = [link[:2] in probability for link in links]
        columns += [has, logits([probability.get(link[:2], 0.5) for link in links])]
    return np.array(columns, dtype=np.float64).reshape(4, len(links)).T


def _mapped(
    links: Sequence[Sequence[Link]], scores: Sequence[Floats], pairs: Sequence[Pair], maps: CrossFit[Platt]
) -> list[list[Link]]:
    return [
        [
            link._replace(probability=float(p))
            for link, p in zip(of_pair, maps.fit_for(_key(pair))(rows), strict=True)
        ]
        for pair, of_pair, rows in zip(pairs, links, scores, strict=True)
    ]


def _key(pair: Pair) -> str:
    return json.dumps([pair.source, pair.target], ensure_ascii=False)
