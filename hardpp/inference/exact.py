"""Exact answers by enumeration: the marginal likelihood, and the bound with the guide summed out.

`ExactMarginal` computes log p(y) = log sum_z p(y, z) of any model whose latents are discrete (chains
in `pyro.markov`), `EnumeratedELBO` the expectation E_q[log p(y, z) - log q(z)] with q enumerated.
Both are deterministic, and their difference is KL(q || p(z | y)): the judges of all other objectives.

The sum is contracted in program order with logsumexp (`hardpp.ops.marginal`), not by Pyro's
log-einsum, whose gradient vanishes on peaked models.

Shapes: plates as in the program, the data plate outermost; S values of a latent.
"""

from typing import Any

import torch
from pyro import poutine
from pyro.poutine import Trace
from pyro.poutine.enum_messenger import EnumMessenger
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.enumeration import (
    enumerated_trace,
    factors_of,
    pack,
    plate_dim,
    plates_of,
    samples,
    to_data,
    variables_of,
)
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.same_latents import check_same_latents
from hardpp.inference.sample_sites import common_scale, sample_sites
from hardpp.ops.marginal import Factor, align, eliminate, spread, without
from hardpp.types import Estimate, Program


class ExactMarginal(SurrogateObjective):
    """log p(y), every latent of the model summed out; the guide is not used.

    Raises:
        UsageError: a latent that cannot be enumerated.
    """

    name = "exact"
    bound = "exact"
    trains_guide = False

    def __init__(self, *, max_plate_nesting: float = float("inf")):
        super().__init__(max_plate_nesting=max_plate_nesting)

    def estimate(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Estimate:
        """The marginal of each datum; the surrogate is its sum."""
        trace = self._enumerated(model, guide, args, kwargs)
        log_p = _contract(trace, factors_of(trace))
        return Estimate(log_p.detach(), log_p.sum(), None, {})

    def posterior(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """p(z = s | y) of every latent site: probabilities (*plates, S), 0 where the site is masked.

        A marginal is the gradient of log p(y) with respect to the log-probability of the value.
        """
        with torch.enable_grad():
            trace = self._enumerated(model, guide, args, kwargs)
            factors = factors_of(trace)
            leaves = {
                name: torch.zeros_like(factors[name].log_value, requires_grad=True)
                for name in variables_of(trace)
            }
            for name, leaf in leaves.items():
                factors[name] = Factor(factors[name].log_value.detach() + leaf, factors[name].dims)
            total = _contract(trace, factors).sum() / common_scale(samples(trace))
            marginals = torch.autograd.grad(total, list(leaves.values()))
        out = {}
        for (name, variable), marginal in zip(variables_of(trace).items(), marginals, strict=True):
            own = plates_of(trace, name)
            dims = "".join(sorted(own, key=lambda d: plate_dim(trace, d))) + variable
            other = set(factors[name].dims) - set(dims)
            probability = without(Factor(marginal, factors[name].dims), other, log_space=False)
            mask = trace.nodes[name]["packed"]["mask"]
            if hasattr(mask, "_pyro_dims"):
                kept: float | Tensor = spread(Factor(mask, mask._pyro_dims), dims)
            else:  # None, True or False, as poutine.mask allows
                kept = float(mask is not False)
            out[name] = spread(probability, dims) * kept
        return out

    def _enumerated(self, model: Program, guide: Program, args: Any, kwargs: Any) -> Trace:
        nesting = self.program_nesting(model, guide, args, kwargs)
        with EnumMessenger(-1 - nesting):
            return enumerated_trace(model, args, kwargs)


class EnumeratedELBO(SurrogateObjective):
    """E_q[log p(y, z) - log q(z)], every latent of the guide summed out.

    Raises:
        UsageError: a latent that cannot be enumerated, or a term outside the plates of its latents.
    """

    name = "enum"
    bound = "elbo"

    def __init__(self, *, max_plate_nesting: float = float("inf")):
        super().__init__(max_plate_nesting=max_plate_nesting)

    def estimate(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Estimate:
        """The bound of each datum; the surrogate is its sum."""
        nesting = self.program_nesting(model, guide, args, kwargs)
        with EnumMessenger(-1 - nesting):
            guide_trace = enumerated_trace(guide, args, kwargs)
        # A messenger of its own keeps the model's pyro.markov apart from the guide's.
        replayed = poutine.replay(EnumMessenger()(model), trace=guide_trace)
        model_trace = poutine.trace(replayed).get_trace(*args, **kwargs)
        check_same_latents(sample_sites(model_trace), sample_sites(guide_trace))
        pack(model_trace, guide_trace.plate_to_symbol)
        sources = factors_of(guide_trace)
        variables = variables_of(guide_trace)
        terms = [(1.0, term) for term in factors_of(model_trace).values()]
        terms += [(-1.0, term) for term in sources.values()]
        total = None
        for sign, term in terms:
            expected = sign * to_data(guide_trace, _expectation(term, sources, variables))
            total = expected if total is None else total + expected
        if total is None:
            raise UsageError("the programs have no sample sites")
        bound = total * common_scale([*samples(model_trace), *samples(guide_trace)])
        return Estimate(bound.detach(), bound.sum(), None, {})


def _contract(trace: Trace, factors: dict[str, Factor]) -> Tensor:
    plates = frozenset(trace.plate_to_symbol.values())
    remaining = list(factors.values())
    # Innermost plates first; `sorted` keeps program order within a level.
    for name, variable in sorted(
        variables_of(trace).items(), key=lambda item: -len(plates_of(trace, item[0]))
    ):
        remaining = eliminate(remaining, variable, plates - plates_of(trace, name))
    total = sum((to_data(trace, factor) for factor in remaining[1:]), to_data(trace, remaining[0]))
    return total * common_scale(samples(trace))


# E_q of a term: only the sources of its variables and their ancestors matter, all others sum to 1.
def _expectation(term: Factor, sources: dict[str, Factor], variables: dict[str, str]) -> Factor:
    letters = set(variables.values())
    needed = set(term.dims) & letters
    used: list[Factor] = []
    for name, variable in reversed(variables.items()):
        if variable in needed:
            used.append(sources[name])
            needed |= set(sources[name].dims) & letters
    if not used:
        return term
    if {d for source in used for d in source.dims} - letters - set(term.dims):
        raise UsageError("a term outside a plate depends on an enumerated latent inside it")
    for variable in variables.values():  # in program order: a chain stays linear in its length
        if variable in needed and variable not in term.dims:
            used = eliminate(used, variable, frozenset())
    weight = spread(align(used), term.dims).exp()
    # A value of probability zero adds nothing, however impossible the model finds it.
    value = term.log_value.where(weight > 0, term.log_value.new_zeros(()))
    return without(Factor(weight * value, term.dims), letters, log_space=False)
