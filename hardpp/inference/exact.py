"""Exact answers by enumeration: the marginal likelihood, and the bound with the guide summed out.

`ExactMarginal` computes log p(y) = log sum_z p(y, z) of any model whose latents are discrete (chains
in `pyro.markov`), `EnumeratedELBO` the expectation E_q[log p(y, z) - log q(z)] with q enumerated.
Both are deterministic, and their difference is KL(q || p(z | y)): the judges of all other objectives.

One pass of `hardpp.ops.elimination` sums the latents out in program order, by logsumexp: on a chain the
forward recursion. (Pyro's log-einsum has no gradient on peaked models.) The same pass gives

- marginals p(z = s | y): the gradient of log p(y) with respect to log p(z = s | its parents);
- draws from p(z | y): every latent given those that were summed out after it, in reverse (forward
  filtering, backward sampling);
- the mode argmax_z p(z, y): the same with max in place of sum (Viterbi);
- and, with the guide's factors summed out, expectations of the bound's terms.

A latent that holds all decisions of a path is summed out by `hardpp.inference.sums.lattice_marginal` instead.

Shapes: plates as in the program, the data plate outermost; S values of a latent, K draws.
"""

from typing import Any, Unpack

import torch
from pyro.poutine import Trace
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.control.schedules import KLWarmUp
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.options import PlateOptions
from hardpp.inference.sums.enumeration import enumerated_trace, replayed_trace
from hardpp.inference.sums.factor_graph import FactorGraph, times
from hardpp.inference.sums.factorise import factor_graph, named_dims, scale_of
from hardpp.inference.sums.lattice_marginal import AnyPath, Lattice, check_possible, lattice_of
from hardpp.inference.sums.markov_reach import check_reach
from hardpp.inference.sums.one_value import check_one_value, check_sums
from hardpp.inference.sums.own_latents import factors_given
from hardpp.inference.weights.independence import check_independence
from hardpp.inference.weights.model_guide_match import check_same_latents
from hardpp.inference.weights.sample_sites import prior_unknown, sample_sites, site_log_prob
from hardpp.ops.elimination import expectation, trace_back
from hardpp.ops.marginal import DRAWS, Factor, drawn, largest, spread, without
from hardpp.types import Estimate, Program

TOLERANCE = 1e-5  # nats


class ExactMarginal(SurrogateObjective):
    """log p(y), every latent of the model summed out; the guide is not used.

    Args:
        tolerance: nats by which log p(y) may come out too low, for each element of the plates of a latent.
            Distributions may save time by it (see `hardpp.inference.sums.pruned_terms`). Posterior
            probabilities are off by no more, gradients by ten times that, relatively. With 0 nothing is
            left out.

    Raises:
        UsageError: a latent cannot be enumerated (see `hardpp.inference.sums.enumeration`), or is in plates
            over which the sum does not factorise (see `hardpp.inference.sums.factor_graph`).
    """

    name = "exact"
    needs = frozenset({"marginal"})
    bound = "exact"
    trains_guide = False

    def __init__(self, *, tolerance: float = TOLERANCE, **options: Unpack[PlateOptions]):
        super().__init__(**options)
        self.tolerance = _checked(tolerance)

    def estimate(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Estimate:
        log_p = self._graph(model, args, kwargs).log_marginal()
        surrogate = log_p.where(log_p.isfinite(), log_p.new_zeros(())).sum()
        return Estimate(log_p.detach(), surrogate, None, {})

    def posterior(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """p(z = s | y) of every latent site: probabilities (*plates, S), 0 where the site is masked.

        Of decisions those of every step, (*plates, N, 2).
        """
        with torch.no_grad():
            graph = self._graph(model, args, kwargs)
        if isinstance(graph, Lattice):
            return graph.posterior()
        with torch.enable_grad():
            leaves = [graph.factors[name].log_value.detach().requires_grad_() for name in graph.latents]
            for name, leaf in zip(graph.latents, leaves, strict=True):
                graph.factors[name] = Factor(leaf, graph.factors[name].dims)
            total = graph.per_datum(graph.eliminate().left).sum()
            gradients = torch.autograd.grad(total, leaves) if leaves else ()
        probabilities = {}
        for (name, variable), gradient in zip(graph.latents.items(), gradients, strict=True):
            dims = graph.plates_in_order(name) + variable
            marginal = Factor(gradient, graph.factors[name].dims)
            marginal = without(marginal, set(marginal.dims) - set(dims))
            probabilities[name] = spread(marginal, dims).to(graph.dtype)
            if name in graph.masks:
                probabilities[name] = probabilities[name] * spread(graph.masks[name], dims)
        return probabilities

    def sample_posterior(
        self, model: Program, guide: Program, *args: Any, num_samples: int = 1, **kwargs: Any
    ) -> dict[str, Tensor]:
        """Exact draws from p(z | y), all latents together.

        For every latent site the drawn values, by their place in the list of its values, which for
        Categorical, Bernoulli and Binomial is the value itself: (K, *plates) int64. Where the site is masked
        they are 0.

        Raises:
            NumericalError: the data are impossible under the model.
        """
        if num_samples < 1:
            raise UsageError(f"at least 1 sample is needed, got {num_samples}")
        with torch.no_grad():
            graph = self._graph(model, args, kwargs)
            if isinstance(graph, Lattice):
                return graph.sample(num_samples)
            steps, left = graph.eliminate()
            check_possible(graph.per_datum(left).reshape(-1))
            values = trace_back(steps, drawn(graph.plates, graph.sizes | {DRAWS: num_samples}))
        return {name: _values(graph, name, values, (num_samples,)) for name in graph.latents}

    def mode(
        self, model: Program, guide: Program, *args: Any, **kwargs: Any
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The latents that are jointly most probable given y, and how probable they and y are.

        They need not be the most probable values one by one, which `posterior` has. For every latent site
        (*plates) int64 as in `sample_posterior`; log p(z, y) of each datum is scaled as the bound is, (B,).
        """
        with torch.no_grad():
            graph = self._graph(model, args, kwargs)
            if isinstance(graph, Lattice):
                return graph.mode()
            steps, left = graph.eliminate(torch.amax)
            values = trace_back(steps, largest)
            log_joint = graph.scaled(left)
        return {name: _values(graph, name, values) for name in graph.latents}, log_joint

    def _graph(self, model: Program, args: Any, kwargs: Any) -> FactorGraph | Lattice:
        check = self.check_is_due()

        def graph(nesting: int) -> FactorGraph | Lattice:
            trace = enumerated_trace(AnyPath()(model), nesting, args, kwargs)
            if check and lattice_of(trace) is None:
                check_independence(model, None, args, kwargs, loops=False)
                check_sums("model", model, nesting, args, kwargs)
            return lattice_of(trace) or factor_graph(
                trace, tolerance=self.tolerance, data_plate=self.data_plate
            )

        return self.nesting.enough_for(graph, model, None, args, kwargs)


class EnumeratedELBO(SurrogateObjective):
    """E_q[log p(y, z) - log q(z)], every latent of the guide summed out.

    Args:
        tolerance: nats by which the bound may be off, for each element of the plates of a latent.
        kl: schedule of the weight of the KL term in the gradient; the bound keeps it at 1.
    """

    name = "enum"
    needs = frozenset({"latents", "enumerable"})
    bound = "elbo"

    def __init__(
        self, *, tolerance: float = TOLERANCE, kl: KLWarmUp | None = None, **options: Unpack[PlateOptions]
    ):
        super().__init__(**options)
        self.tolerance, self.kl_weight = _checked(tolerance), kl

    def estimate(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Estimate:
        check = self.check_is_due()

        def both(nesting: int) -> tuple[Trace, Trace]:
            guide_trace = enumerated_trace(guide, nesting, args, kwargs)
            return replayed_trace(model, guide_trace, nesting, args, kwargs), guide_trace

        def traces(nesting: int) -> tuple[Trace, Trace]:
            found = both(nesting)
            if check:
                check_independence(model, guide, args, kwargs, loops=False)
                check_sums("guide", guide, nesting, args, kwargs)
                check_reach(model, lambda kept: enumerated_trace(kept, nesting, args, kwargs))
                check_one_value("model", model, lambda: both(nesting)[0], args, kwargs)
            return found

        model_trace, guide_trace = self.nesting.enough_for(traces, model, guide, args, kwargs)
        check_same_latents(sample_sites(model_trace), sample_sites(guide_trace))
        if not sample_sites(guide_trace):
            return _likelihood(model_trace, self.data_plate)
        drawn = {n: site for n, site in sample_sites(guide_trace).items() if not site["is_observed"]}
        q = factor_graph(guide_trace, sites=drawn, additive=True, data_plate=self.data_plate)
        letters = dict(guide_trace.plate_to_symbol)
        p = factors_given(model_trace, q, letters, tolerance=self.tolerance, data_plate=self.data_plate)
        steps = q.eliminate().steps
        graph = p._replace(dtype=torch.promote_types(p.dtype, q.dtype))  # every guide site is a model's, too

        def mean(terms: list[Factor]) -> Tensor:
            return graph.per_datum(expectation(steps, terms, q.plates))

        log_p = {name: times(factor, p.scales[name]) for name, factor in p.factors.items()}
        ratio = [log_p[name] for name in q.factors if name in log_p]  # log p(z) - log q(z)
        ratio += [times(Factor(-log_q, dims), q.scales[name]) for name, (log_q, dims) in q.factors.items()]
        ratio += [
            times(Factor(-log_f, dims), scale_of(site))
            for site in sample_sites(guide_trace).values()
            if site["is_observed"]  # a factor of the guide
            for log_f, dims in [named_dims(site, site_log_prob(site).double())]
        ]
        observed = [factor for name, factor in log_p.items() if name not in q.factors]
        if self.kl_weight is None:
            bound = weighed = mean(observed + ratio)
        else:
            for name in q.factors.keys() & sample_sites(model_trace).keys() - log_p.keys():
                raise prior_unknown(name)
            kl = mean(ratio)
            bound = kl + mean(observed) if observed else kl
            weighed = self.kl_weight.weighed(bound, kl)
        self._advance()
        surrogate = weighed.where(bound.isfinite(), weighed.new_zeros(())).sum()
        return Estimate(bound.detach(), surrogate, None, {})


# Of programs without latents.
def _likelihood(trace: Trace, data_plate: str | None) -> Estimate:
    graph = factor_graph(trace, additive=True, data_plate=data_plate)
    bound = graph.per_datum([times(factor, graph.scales[name]) for name, factor in graph.factors.items()])
    return Estimate(bound.detach(), bound.sum(), None, {})


def _checked(tolerance: float) -> float:
    if not 0 <= tolerance < 1:
        raise UsageError(f"tolerance is at least 0 and below 1 nat, not {tolerance}")
    return tolerance


# The chosen values of a site as its plates stand in the program; one that no factor knows has one value.
def _values(graph: FactorGraph, name: str, values: dict[str, Factor], draws: tuple[int, ...] = ()) -> Tensor:
    dims = graph.plates_in_order(name)
    shape = (*draws, *(graph.sizes[d] for d in dims))
    value = values.get(graph.latents[name])
    if value is None:
        return torch.zeros(shape, dtype=torch.int64, device=graph.factors[name].log_value.device)
    return spread(value, DRAWS * len(draws) + dims).expand(shape).contiguous()
