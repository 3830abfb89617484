"""Credit: what of log p - log q a latent has a say in, in every plate that it is in.

A bound that is a sum over sites need not weigh whole particles. By the rules of plates an element of a latent
has a say in the same elements of all later sites, so of a site it is credited with

- the same element, along plates that both are in;
- the sum over all elements, along a plate that only the other site is in;
- all of it, if only the latent is in a plate.

Elements of a plate meet again in a later latent that is outside of it: whatever follows may depend on all of
them. So an earlier latent is in no plate, for this purpose, which a later latent of the guide is outside of,
unless that one is drawn from a distribution that no draw has a say in (which shows with several particles).

`pyro.infer.TraceGraph_ELBO` has the same rules, without the last one.

Source: Schulman et al. (2015), Gradient Estimation Using Stochastic Computation Graphs.
Shapes: those of `hardpp.inference.weights.weight_table`.
"""

from hardpp.inference.weights.layout import Layout
from hardpp.inference.weights.sample_sites import APART, Plate
from hardpp.inference.weights.weight_table import Terms, WeightTable, columns


def credit_tables(
    layout: Layout,
    of_model: Terms,
    of_guide: Terms,
    particles: int,
    *,
    scaled: bool = False,
) -> tuple[WeightTable, ...]:
    """A table for every set of plates that latents are credited in.

    Args:
        layout: of the table of weights.
        of_model, of_guide: the terms of every site that may depend on a draw.
        particles: K.
        scaled: multiply each term by the scale of its own.
    """
    groups: dict[frozenset[Plate], list[str]] = {}
    later: list[frozenset[Plate]] = []
    for name, (term, site) in reversed(list(of_guide.items())):
        if not site["is_observed"]:
            own = frozenset(term.where.plates)
            groups.setdefault(own.intersection(*later), []).append(name)
            if not site["infer"].get(APART):
                later.append(own)
    tables = []
    for plates, names in reversed(groups.items()):
        finer = layout.keeping(plates, of_guide[names[0]][0].where)
        tables.append(columns(finer, of_model, of_guide, particles, scaled=scaled, credited=frozenset(names)))
    return tuple(tables)
