"""A trace with every latent enumerated, as factors over named dims.

The log-probability of every site is a factor whose dims are letters: one a plate, one a latent.
`pyro.markov` lets the dims of latents be used again, but never their letters.

Factors are float64 whatever the program computes in. Over 300 steps of a chain float32 messages gather
rounding errors of up to 5e-4 in the gradient; centring them leaves 1e-4; and the sums cost little next
to the program.

Shapes: plates as in the program, the data plate outermost; S values of a latent.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from pyro.poutine import Trace
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.sums.pruned_terms import Sum, latent_in_sight, log_weight, terms_that_count
from hardpp.inference.weights.sample_sites import (
    Site,
    common_scale,
    elements,
    plates_of,
    sample_sites,
    site_log_prob,
)
from hardpp.ops.elimination import CrossedPlates, Elimination, eliminate
from hardpp.ops.marginal import Factor, Reduce, infinite, log_sum, spread, without


class FactorGraph(NamedTuple):
    """The factors of a program, and what their letters mean."""

    factors: dict[str, Factor]  # log-probabilities (masked, unscaled) by site, in program order
    latents: dict[str, str]  # the letter of every latent site, in program order
    masks: dict[str, Factor]  # by latent site, True where it counts; a site without counts everywhere
    plates: dict[str, frozenset[str]]  # by letter of a latent, the letters of its plates
    places: dict[str, int]  # by letter of a plate, its dim in the program, negative
    sizes: dict[str, int]  # by letter of a plate
    shared: frozenset[str]  # the letters of the plates that all sites are in
    dtype: torch.dtype  # of the program's log-probabilities
    scale: float | Tensor  # what plates and poutine.scale multiply all of them with

    def plates_in_order(self, latent: str) -> str:
        """The letters of a latent's plates as they stand in the program, outermost first."""
        return "".join(sorted(self.plates[self.latents[latent]], key=self.places.__getitem__))

    def eliminate(self, reduce: Reduce = log_sum) -> Elimination:
        """Sums out all latents (see `hardpp.ops.elimination.eliminate`)."""
        try:
            return eliminate(self.factors.values(), self.plates, reduce)
        except CrossedPlates as fault:
            name = {letter: site for site, letter in self.latents.items()}
            first, second = (name[letter] for letter in fault.variables)
            raise UsageError(
                f"sites {first!r} and {second!r} depend on each other, but neither is inside all plates of "
                "the other: such a sum does not factorise"
            ) from fault

    def log_marginal(self) -> Tensor:
        """The log of the sum over all latents, scaled: (B,)."""
        return self.per_datum(self.eliminate().left) * self.scale

    def per_datum(self, left: list[Factor]) -> Tensor:
        """Adds up factors over all plates but the data plate, the outermost that all sites share: (B,)."""
        data = min(self.shared, key=self.places.__getitem__, default="")
        by_dims: dict[str, Tensor] = {}
        for value, dims in left:
            by_dims[dims] = by_dims[dims] + value if dims in by_dims else value
        sums = [without(Factor(value, dims), set(dims) - set(data)) for dims, value in by_dims.items()]
        total = sum((spread(each, data) for each in sums[1:]), spread(sums[0], data))
        return infinite(total).to(self.dtype)


def factor_graph(
    trace: Trace,
    plate_to_symbol: dict[str, str] | None = None,
    *,
    tolerance: float = 0.0,
    guide: Mapping[str, Factor] | None = None,
) -> FactorGraph:
    """Names the dims of every site; the letters of plates may be given.

    A latent that is masked out is pinned to its first value, so that its sum is exactly one.

    Args:
        trace: of a program with every latent enumerated.
        plate_to_symbol: letters of plates.
        tolerance: nats, by which terms may change the sum over a latent that are left out where a
            distribution can tell (see `hardpp.inference.sums.pruned_terms`).
        guide: the factors of a guide by site, where not the factors are summed over the latents but their
            mean under the guide is wanted.

    Raises:
        UsageError: there are no sites, too short a `pyro.markov`, a dim that belongs to no plate, or a site
            outside the plates of a latent that it depends on.
    """
    trace.symbolize_dims(plate_to_symbol)
    sites = sample_sites(trace)
    if not sites:
        raise UsageError("the programs have no sample sites")
    letters = trace.plate_to_symbol
    own = {name: frozenset(letters[plate.name] for plate in plates_of(site)) for name, site in sites.items()}
    latents = {n: s["infer"]["_enumerate_symbol"] for n, s in sites.items() if "_enumerate_dim" in s["infer"]}
    name_of = {letter: name for name, letter in latents.items()}
    kind: Sum = "mixture_terms" if guide is None else "mean_terms"
    # The last observation of a latent may leave out terms: it waits for the latent's other factors.
    seen = {name: latent_in_sight(site, name_of, kind) for name, site in sites.items() if tolerance > 0}
    last = {letter: name for name, letter in seen.items() if letter and own[name_of[letter]] == own[name]}
    pruned = {name: letter for letter, name in last.items()}
    factors: dict[str, Factor] = {}
    dtype = torch.float32
    for name in sorted(sites, key=lambda name: name in pruned):
        site, letter = sites[name], pruned.get(name)
        if name in latents:
            _check_history(site)
        weight = None
        if letter:
            others = factors.values() if guide is None else [guide[name_of[letter]]]
            weight = log_weight(letter, others, own[name])
        if letter and weight:
            log_prob = terms_that_count(site, letter, weight, kind, tolerance)
        else:
            log_prob = _pinned(site)
        dtype = torch.promote_types(dtype, log_prob.dtype)
        factors[name] = factor = _named(site, _wide(log_prob))
        for letter in factor.dims:
            if letter in name_of and not own[name_of[letter]] <= own[name]:
                raise UsageError(
                    f"site {name!r} depends on {name_of[letter]!r} but is outside of plates that it is in"
                )
    plates = {letters[plate.name]: plate for site in sites.values() for plate in plates_of(site)}
    counts = {name: elements(sites[name])[1] for name in latents}
    return FactorGraph(
        {name: factors[name] for name in sites},
        latents,
        {name: _named(sites[name], mask) for name, mask in counts.items() if mask is not None},
        {letter: own[name] for name, letter in latents.items()},
        {letter: plate.dim for letter, plate in plates.items()},
        {letter: plate.size for letter, plate in plates.items()},
        frozenset.intersection(*own.values()),
        dtype,
        common_scale(list(sites.values())),
    )


# pyro.markov may give a latent the dim of one that is out of reach; the program must not reach for it.
def _check_history(site: Site) -> None:
    dim, batch = site["infer"]["_enumerate_dim"], site["fn"].batch_shape
    if len(batch) >= -dim and batch[dim] != 1:
        raise UsageError(
            f"site {site['name']!r} depends on a latent that pyro.markov has let go of: give pyro.markov, in "
            "model and guide, a history of as many steps as a step looks back"
        )


# The log-probability; what is masked out is sure to have its first value.
def _pinned(site: Site) -> Tensor:
    log_prob, (_, mask) = site_log_prob(site), elements(site)
    dim = site["infer"].get("_enumerate_dim")
    if dim is None or mask is None:
        return log_prob
    first = log_prob.new_full((log_prob.shape[dim],) + (1,) * (-1 - dim), -torch.inf)
    first[0] = 0.0
    return log_prob.where(mask, first)


def _wide(value: Tensor) -> Tensor:
    return value if value.device.type == "mps" else value.double()  # Apple's GPUs have no float64


def _named(site: Site, value: Tensor) -> Factor:
    letters = site["infer"]["_dim_to_symbol"]
    held = [i - value.dim() for i, size in enumerate(value.shape) if size > 1]
    for dim in held:
        if dim not in letters:
            plates = tuple(plate.name for plate in plates_of(site))
            raise UsageError(
                f"site {site['name']!r} in the plates {plates} has a log-probability of shape "
                f"{tuple(value.shape)}, whose dim {dim} is no plate and no latent within reach: open a plate "
                "for it, or give pyro.markov a longer history"
            )
    return Factor(value.squeeze(), "".join([letters[dim] for dim in held]))
