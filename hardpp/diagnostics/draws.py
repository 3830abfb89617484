"""Draws of the guide on one batch, their weights, and four views of the attention at each output step.

    prior     p(z[t] = s | x, y[<t])      the model before it sees the symbol
    guide     q(z[t] = s | x, y)          the guide's own distribution, or how often it draws s
    marginal  sum_k w[k] 1[z[k, t] = s]   the draws, importance-weighted: the model's posterior, estimated
    exact     p(z[t] = s | x, y)          the model's posterior, by enumeration

The weights of `marginal` are those of the smallest unit that both programs treat as independent: of
single steps where steps are a plate (`log_weight_step` holds them), else of the whole sentence. Where steps
of the guide depend on one another, `guide` is made of the draws, too.

Shapes: K draws, B data, T steps, S source positions.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from pyro import poutine
from torch import Tensor
from torch.distributions import Categorical

from hardpp.diagnostics.replicates import replicates
from hardpp.errors import UsageError
from hardpp.inference.exact import ExactMarginal
from hardpp.inference.weights.sample_sites import Site, elements, sample_sites
from hardpp.inference.weights.weigh import weigh
from hardpp.inference.weights.weight_table import Latent, WeightTable
from hardpp.types import Program, QuestionBatch, SequenceBatch

VIEWS = ("prior", "guide", "marginal", "exact")


class AlignmentDraws(NamedTuple):
    """Alignments of a batch, with their weights and views; log values in nats, of sentences or of steps."""

    alignment: Tensor  # (K, B, T) int64
    target: Tensor  # (B, T) int64, what was observed
    source_mask: Tensor  # (B, S) bool
    target_mask: Tensor  # (B, T) bool
    log_p: Tensor  # (K, B) model, observations included
    log_q: Tensor  # (K, B) guide
    guide: Tensor  # (B, T, S)
    marginal: Tensor  # (B, T, S)
    exact: Tensor | None  # (B, T, S)
    log_marginal: Tensor | None  # (B,) log p(y)
    prior: Tensor | None = None  # (B, T, S), where the model has one before it sees the symbol
    log_weight_step: Tensor | None = None  # (K, B, T) log p - log q, where steps are independent
    log_marginal_step: Tensor | None = None  # (B, T) log p(y[t]), exact, where steps are independent
    replicated: Tensor | None = None  # (K, B, T) int64, what was observed drawn anew by the model
    guide_drawn: bool = False  # is `guide` the frequencies of the draws?

    @property
    def views(self) -> dict[str, Tensor]:
        """Those of `VIEWS` that there are, by name: (B, T, S)."""
        return {name: getattr(self, name) for name in VIEWS if getattr(self, name) is not None}

    def cpu(self) -> "AlignmentDraws":
        parts: list[Any] = [part.cpu() if isinstance(part, Tensor) else part for part in self]
        return AlignmentDraws(*parts)


def weight_tables(
    model: Program, guide: Program, batch: Any, draws: int, at_once: int
) -> Iterator[WeightTable]:
    """Weight tables of K draws of the guide, at most `at_once` in each: memory grows with these.

    Raises:
        UsageError: fewer than one draw.
    """
    if draws < 1 or at_once < 1:
        raise UsageError(f"at least 1 draw is needed, and 1 at once, got {draws} and {at_once}")
    for start in range(0, draws, at_once):
        yield weigh(model, guide, min(at_once, draws - start), (batch,))


@torch.no_grad()
def draw_alignments(
    model: Program,
    guide: Program,
    batch: SequenceBatch | QuestionBatch,
    *,
    site: str,
    draws: int,
    at_once: int = 32,
    exact: ExactMarginal | None = None,
    observed: str | None = None,
) -> AlignmentDraws:
    """Draws alignments from the guide and scores them under the model.

    Args:
        model, guide: Pyro programs in evaluation mode, over the same latent sites.
        batch: B sentences, or images with T questions each.
        site: the alignment's name; a Categorical over S positions at each of (B, T).
        draws: K, at most `at_once` of them in one run.
        exact: what enumerates the model, too, if that is wanted.
        observed: the name of the observation; where it is given, it is drawn anew as often.

    Raises:
        UsageError: no such site, or one of another kind; fewer than one draw.
    """
    shape = (*batch.target.shape, batch.source_mask.shape[1])
    portions = []
    for table in weight_tables(model, guide, batch, draws, at_once):
        latent, layout = latent_at(table, site), table.layout
        assert latent.model is not None  # no auxiliary site is an alignment
        prior = _probabilities(latent.model, "model", shape)
        if prior is None:
            raise UsageError(f"{_about(latent.model, 'model')} depends on other draws: it is no marginal")
        guided = _probabilities(latent.guide, "guide", shape)
        log_p, log_q = table.log_p.sum(-1), table.log_q.sum(-1)  # (k, B) or (k, B, T)
        drawn = latent.guide["value"].reshape(-1, *batch.target.shape).expand(len(log_q), -1, -1)
        portions.append((drawn, log_p, log_q))
    alignment, log_p, log_q = (torch.cat(parts) for parts in zip(*portions, strict=True))
    log_weight = log_p - log_q
    stepwise = log_weight.shape == alignment.shape
    weight = log_weight if stepwise else layout.per_datum(log_weight, 1).unsqueeze(-1)  # (K, B, 1 or T)
    if guide_drawn := guided is None:
        even = weight.new_full((draws, 1, 1), 1 / draws)
        guided = weighted_frequencies(alignment, even, shape[-1])
    posterior = None if exact is None else exact.posterior(model, guide, batch)[site]
    return AlignmentDraws(
        alignment,
        batch.target,
        batch.source_mask,
        batch.target_mask,
        log_p=layout.per_datum(log_p, 1),
        log_q=layout.per_datum(log_q, 1),
        guide=guided,
        marginal=weighted_frequencies(alignment, weight.softmax(0), shape[-1]),
        exact=posterior,
        log_marginal=None if exact is None else exact.estimate(model, guide, batch).bound,
        prior=prior,
        log_weight_step=log_weight if stepwise else None,
        log_marginal_step=_by_step(model, batch, site, posterior) if stepwise else None,
        replicated=None if observed is None else replicates(
            model, guide, batch, observed, batch.target, draws, at_once
        ),
        guide_drawn=guide_drawn,
    )  # fmt: skip


# log p(y[t]), (B, T), of steps that are a plate: log p(y[t], s) - log p(s | y[t]) at the likeliest s. It is
# NaN where nothing was observed. None where the posterior is not known.
def _by_step(model: Program, batch: Any, site: str, posterior: Tensor | None) -> Tensor | None:
    if posterior is None:
        return None
    probability, likeliest = posterior.max(-1)
    trace = poutine.trace(poutine.condition(model, {site: likeliest})).get_trace(batch)
    trace.compute_log_prob()
    joint = sum(node["log_prob"] for node in sample_sites(trace).values())
    return torch.where(batch.target_mask, joint - probability.log(), torch.nan)


def weighted_frequencies(alignment: Tensor, weight: Tensor, S: int) -> Tensor:
    """How often each position is drawn, of draws (K, B, T) that weigh (K, B, T or 1): (B, T, S)."""
    index, weight = alignment.movedim(0, -1), weight.expand(alignment.shape).movedim(0, -1)  # (B, T, K)
    return weight.new_zeros(*index.shape[:-1], S).scatter_add(-1, index, weight)


def latent_at(table: WeightTable, site: str) -> Latent:
    """The latent of that name; raises UsageError if the programs have none."""
    latents = {latent.guide["name"]: latent for latent in table.latents}
    if site not in latents:
        raise UsageError(
            f"the programs have no latent site {site!r}, theirs are {', '.join(map(repr, latents))}"
        )
    return latents[site]


# (B, T, S); None where it depends on other draws, so that one draw's own distribution is no marginal.
def _probabilities(site: Site, program: str, shape: tuple[int, ...]) -> Tensor | None:
    if hasattr(site["fn"], "marginals"):  # of steps that depend on one another, where they are known
        known: Tensor | None = site["fn"].marginals()
        return known
    fn, _ = elements(site)
    if fn.event_shape and not isinstance(fn, Categorical):
        return None  # several steps are one draw
    if not isinstance(fn, Categorical) or fn.logits.shape[-3:] != shape:
        raise UsageError(
            f"{_about(site, program)} must be Categorical over {shape[2]} positions at each of {shape[:2]} "
            f"(data, steps), got a {type(fn).__name__} of shape {tuple(fn.batch_shape)}"
        )
    logits = fn.logits.reshape(-1, *shape)  # (k, B, T, S)
    if not torch.equal(logits, logits[:1].expand_as(logits)):
        return None
    return logits[0].softmax(-1)


def _about(site: Site, program: str) -> str:
    return f"site {site['name']!r} of the {program}"
