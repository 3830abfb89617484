"""A trace with every latent enumerated, as factors over named dims.

The log-probability of every site is a factor whose dims are letters: one a plate, one a latent.
`pyro.markov` lets the dims of latents be used again, but never their letters.

Factors are float64 whatever the program computes in. Over 300 steps of a chain float32 messages gather
rounding errors of up to 5e-4 in the gradient; centring them leaves 1e-4; and the sums cost little next
to the program.

Shapes: plates as in the program, the data plate outermost; S values of a latent.
"""

from collections.abc import Mapping

import torch
from pyro.poutine import Trace
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.sums.factor_graph import FactorGraph, Scale, times
from hardpp.inference.sums.pruned_terms import Sum, latent_in_sight, log_weight, terms_that_count
from hardpp.inference.weights.particles import failures_of
from hardpp.inference.weights.sample_sites import (
    Site,
    common_scale,
    different_scale,
    elements,
    plates_of,
    sample_sites,
    site_log_prob,
)
from hardpp.ops.marginal import Factor


def factor_graph(
    trace: Trace,
    plate_to_symbol: dict[str, str] | None = None,
    *,
    tolerance: float = 0.0,
    guide: Mapping[str, Factor] | None = None,
    additive: bool = False,
    data_plate: str | None = None,
    sites: Mapping[str, Site] | None = None,
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
        additive: is what is wanted a sum over sites? Each may then have a scale of its own.
        data_plate: the name of the plate of data, if it is not the outermost.
        sites: those that are factors; by default all.

    Raises:
        UsageError: there are no sites, too short a `pyro.markov`, a dim that belongs to no plate, a site
            outside the plates of a latent that it depends on, or sites of different scales.
    """
    trace.symbolize_dims(plate_to_symbol)
    sites = sample_sites(trace) if sites is None else sites
    if not sites:
        raise UsageError("the programs have no sample sites")
    letters = trace.plate_to_symbol
    frames = {n: [f for f in site["cond_indep_stack"] if f.vectorized] for n, site in sites.items()}
    own = {name: frozenset(letters[frame.name] for frame in some) for name, some in frames.items()}
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
            with failures_of(f"log-probability of site {name!r}"):
                log_prob = _pinned(site)
        dtype = torch.promote_types(dtype, log_prob.dtype)
        factors[name] = factor = named_dims(site, _wide(log_prob))
        for letter in factor.dims:
            if letter in name_of and not own[name_of[letter]] <= own[name]:
                raise UsageError(
                    f"site {name!r} depends on {name_of[letter]!r} but is outside of plates that it is in"
                )
    plates = {letters[frame.name]: frame for some in frames.values() for frame in some}
    counts = {name: elements(sites[name])[1] for name in latents}
    scales = {name: scale_of(site) for name, site in sites.items()}
    tied = [n for n, factor in factors.items() if n in latents or not name_of.keys().isdisjoint(factor.dims)]
    decisive = tied or [name for name in sites if own[name]] or list(sites)
    shared = frozenset.intersection(*(own[name] for name in decisive))
    scale: Scale = 1.0
    apart = set[str]()
    if not additive:
        common_scale([sites[name] for name in tied or decisive[:1]])
        scale = scales[decisive[0]]
        if isinstance(scale, Factor) and not set(scale.dims) <= shared:
            raise UsageError(
                f"poutine.scale of shape {tuple(sites[decisive[0]]['scale'].shape)} differs within what is "
                "summed together: a scale is a number, or one for each datum"
            )
        apart = {n for n in sites if n not in tied and different_scale([sites[m] for m in (decisive[0], n)])}
    order = [letters[plate.name] for plate in plates_of(sites[decisive[0]])]
    data = next((d for d in order if d in shared and data_plate in (None, plates[d].name)), "")
    if data_plate and not data:
        raise UsageError(
            f"site {decisive[0]!r} is outside of plate {data_plate!r}, which is to be that of data"
        )
    return FactorGraph(
        {name: factors[name] for name in sites if name not in apart},
        latents,
        {name: named_dims(sites[name], mask) for name, mask in counts.items() if mask is not None},
        {letter: own[name] for name, letter in latents.items()},
        {letter: plate.dim for letter, plate in plates.items()},
        {letter: plate.size for letter, plate in plates.items()},
        data,
        dtype,
        scales,
        scale,
        tuple(times(factors[name], scales[name]) for name in apart),
        letters,
    )


# pyro.markov may give a latent the dim of one that is out of reach; the program must not reach for it.
def _check_history(site: Site) -> None:
    dim, batch = site["infer"]["_enumerate_dim"], site["fn"].batch_shape
    if len(batch) >= -dim and batch[dim] != 1:
        if "_markov_scope" not in site["infer"]:
            raise UsageError(
                f"site {site['name']!r} has batch shape {tuple(batch)}, whose dim {dim} is that of its own "
                "values: what it is given has a dim that is no plate and no latent; index from the right"
            )
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


def scale_of(site: Site) -> Scale:
    """What multiplies an enumerated site's log-probability: one number, or a factor over plates."""
    scale = site["scale"]
    one = not isinstance(scale, Tensor) or scale.numel() == 1
    return (scale.reshape(()) if isinstance(scale, Tensor) else scale) if one else named_dims(site, scale)


def _wide(value: Tensor) -> Tensor:
    return value if value.device.type == "mps" else value.double()  # Apple's GPUs have no float64


def named_dims(site: Site, value: Tensor) -> Factor:
    """What stands over the dims of an enumerated site, as a factor; dims of size 1 have no letter."""
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
