"""The factors of a model beside a guide all of whose latents are summed: the model's own are summed first.

    log p(y, z) = log sum_c p(y, c, z)    at every value of z, for latents c that the guide has not

A latent c is in the plates that it is in, and as if it were in one more for each latent of the guide: at
every value of z it is summed anew.

Shapes: plates as in the program, and a dim for every latent.
"""

from itertools import chain

from pyro.poutine import Trace

from hardpp.errors import UsageError
from hardpp.inference.sums.factor_graph import FactorGraph
from hardpp.inference.sums.factorise import factor_graph
from hardpp.inference.weights.sample_sites import SUMMED, Site, common_scale, sample_sites
from hardpp.ops.marginal import Factor


def factors_given(
    model_trace: Trace,
    guide: FactorGraph,
    letters: dict[str, str],
    *,
    tolerance: float,
    data_plate: str | None,
) -> FactorGraph:
    """The factors of a model that was run at all values of a guide's latents, over these latents only.

    Args:
        model_trace: of the model.
        guide: the factors of the guide's latents.
        letters: of plates.
        tolerance: nats, see `hardpp.inference.sums.factorise.factor_graph`.
        data_plate: the name of the plate of data, if it is not the outermost.

    Raises:
        UsageError: also if the sum over the model's own latents does not factorise, or scales differ in it.
    """
    sites = sample_sites(model_trace)
    own = [name for name, site in sites.items() if SUMMED in site["infer"] and name not in guide.factors]
    graph = factor_graph(
        model_trace,
        letters,
        tolerance=0.0 if own else tolerance,
        guide=guide.factors,
        additive=True,
        data_plate=data_plate,
    )
    own = [name for name in own if name in graph.latents]
    return _without(graph, own, sites) if own else graph


def _without(graph: FactorGraph, own: list[str], sites: dict[str, Site]) -> FactorGraph:
    given = {name: letter for name, letter in graph.latents.items() if name not in own}
    factors, scales = dict(graph.factors), dict(graph.scales)
    for names in _tied(graph, own):
        summed = {name: graph.latents[name] for name in names}
        letters = set(summed.values())
        held = {name: factor for name, factor in factors.items() if not letters.isdisjoint(factor.dims)}
        read = {n: letter for n, letter in given.items() if any(letter in f.dims for f in held.values())}
        plates = {letter: graph.plates[letter] | {*read.values()} for letter in letters}
        for name, letter in summed.items():
            for other, outer in read.items():
                if not graph.plates[outer] <= plates[letter]:
                    raise UsageError(
                        f"site {name!r}, which the model sums out, is outside of plates of {other!r}, and "
                        "what depends on the one depends on the other: such a sum does not factorise"
                    )
        common_scale([sites[name] for name in held])
        scale = scales[next(iter(held))]
        if isinstance(scale, Factor) and not all(set(scale.dims) <= plates[d] for d in letters):
            raise UsageError(
                f"poutine.scale differs within the sum over {names[0]!r}: one number is wanted, or one a "
                "datum"
            )
        left = graph._replace(factors=held, latents=summed, plates=plates).eliminate().left
        sums = {f"sum over {', '.join(names)} {i}": factor for i, factor in enumerate(left)}
        factors = {name: factor for name, factor in factors.items() if name not in held} | sums
        scales |= dict.fromkeys(sums, scale)
    return graph._replace(factors=factors, latents=given, scales=scales)


# Latents in groups that no factor connects.
def _tied(graph: FactorGraph, own: list[str]) -> list[list[str]]:
    groups = [[name] for name in own]
    for factor in graph.factors.values():
        held = [group for group in groups if any(graph.latents[name] in factor.dims for name in group)]
        if len(held) > 1:
            groups = [*(each for each in groups if each not in held), [*chain.from_iterable(held)]]
    return groups
