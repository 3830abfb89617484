"""One batch: the guide's draws of an alignment, their weights, and every view of where a step looks.

Four answers to "where does step t look" stand side by side:

    prior     p(z[t] = s | x, y[<t])      the model before it sees the symbol
    guide     q(z[t] = s | x, y)          the guide's own distribution
    marginal  sum_k w[k] 1[z[k, t] = s]   the draws, importance-weighted: the model's posterior, estimated
    exact     p(z[t] = s | x, y)          the model's posterior, by enumeration

The weights of `marginal` are those of the smallest unit that both programs treat as independent: of
single steps where steps are a plate (`log_weight_step` holds them), else of the whole sentence.

Shapes: K draws, B data, T steps, S source positions.
"""

from typing import Any, NamedTuple

import torch
from pyro import poutine
from pyro.poutine import Trace
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.exact import ExactMarginal
from hardpp.inference.objective import SampledObjective
from hardpp.inference.weights.particles import particle_trace
from hardpp.inference.weights.weight_table import per_instance_sum, tabulate
from hardpp.types import Program, QuestionBatch, SequenceBatch

Positions = SequenceBatch | QuestionBatch | SequenceBatch  # what has `target` and `source_mask`


class AlignmentDraws(NamedTuple):
    """What is known of a batch's alignments; log values in nats, per sentence unless they say step."""

    alignment: Tensor  # (K, B, T) int64
    log_p: Tensor  # (K, B) model, observations included
    log_q: Tensor  # (K, B) guide
    log_weight_step: Tensor | None  # (K, B, T) log p - log q of a step, where steps are independent
    prior: Tensor | None  # (B, T, S), where the model has one before it sees the symbol
    guide: Tensor  # (B, T, S)
    marginal: Tensor  # (B, T, S)
    exact: Tensor | None  # (B, T, S)
    log_marginal: Tensor | None  # (B,) log p(y)

    def cpu(self) -> "AlignmentDraws":
        """The same on the host."""
        parts: list[Any] = [None if part is None else part.cpu() for part in self]
        return AlignmentDraws(*parts)


def draw_alignments(
    model: Program,
    guide: Program,
    batch: Positions,
    *,
    site: str,
    draws: int,
    at_once: int,
    exact: bool,
) -> AlignmentDraws:
    """Runs the guide `draws` times and scores what it drew under the model.

    Args:
        model, guide: Pyro programs in evaluation mode, over the same latent sites.
        batch: B sentences, or images with T questions each.
        site: the alignment's name; a Categorical over S positions at each of (B, T).
        draws: K.
        at_once: how many of them share a run, which is what memory grows with.
        exact: also enumerate the model.

    Raises:
        UsageError: no such site, or one of another kind; fewer than one draw.
    """
    if draws < 1 or at_once < 1:
        raise UsageError(f"at least 1 draw is needed, and 1 at once, got {draws} and {at_once}")
    with torch.no_grad():
        sizes = [min(at_once, draws - start) for start in range(0, draws, at_once)]
        chunks = [_chunk(model, guide, batch, site, k) for k in sizes]
        alignment = torch.cat([chunk.alignment for chunk in chunks])  # (K, B, T)
        log_p = torch.cat([chunk.log_p for chunk in chunks])  # (K, B) or (K, B, T)
        log_q = torch.cat([chunk.log_q for chunk in chunks])
        prior, guided = chunks[0].prior, chunks[0].guide
        log_weight = log_p - log_q
        stepwise = log_weight.shape == alignment.shape
        weight = log_weight if stepwise else per_instance_sum(log_weight, 1).unsqueeze(-1)  # (K, B, 1 or T)
        weight = weight.softmax(0).expand(alignment.shape).movedim(0, -1)  # (B, T, K)
        marginal = torch.zeros_like(guided).scatter_add_(-1, alignment.movedim(0, -1), weight)
        enumerated = log_marginal = None
        if exact:
            enumerated = ExactMarginal().posterior(model, guide, batch)[site]
            log_marginal = ExactMarginal().estimate(model, guide, batch).bound
    return AlignmentDraws(
        alignment,
        per_instance_sum(log_p, 1),
        per_instance_sum(log_q, 1),
        log_weight if stepwise else None,
        prior,
        guided,
        marginal,
        enumerated,
        log_marginal,
    )


class _Chunk(NamedTuple):
    alignment: Tensor  # (k, B, T)
    log_p: Tensor  # (k, *I), I the plates all sites share
    log_q: Tensor  # (k, *I)
    prior: Tensor  # (B, T, S)
    guide: Tensor  # (B, T, S)


def _chunk(model: Program, guide: Program, batch: Positions, site: str, k: int) -> _Chunk:
    objective = SampledObjective(k)
    nesting = objective.program_nesting(model, guide, (batch,), {})
    guide_trace = particle_trace(guide, k, nesting, (batch,), {})
    model_trace = particle_trace(poutine.replay(model, trace=guide_trace), k, nesting, (batch,), {})
    table = tabulate(model_trace, guide_trace, k, nesting)
    shape = (*batch.target.shape, batch.source_mask.shape[1])
    prior = _probabilities(model_trace, site, "model", shape)
    guided = _probabilities(guide_trace, site, "guide", shape)
    alignment = guide_trace.nodes[site]["value"].reshape(-1, *batch.target.shape).expand(k, -1, -1)
    return _Chunk(alignment, table.log_p.sum(-1), table.log_q.sum(-1), prior, guided)


def _probabilities(trace: Trace, site: str, program: str, shape: tuple[int, ...]) -> Tensor:
    if site not in trace.nodes:
        raise UsageError(f"the {program} has no site {site!r}")
    fn = trace.nodes[site]["fn"]
    if not isinstance(fn, torch.distributions.Categorical) or fn.logits.shape[-3:] != shape:
        given = f"{type(fn).__name__} of shape {tuple(fn.batch_shape)}"
        raise UsageError(
            f"site {site!r} of the {program} must be Categorical over {shape[2]} positions at each of "
            f"{shape[:2]} (data, steps), got a {given}"
        )
    logits = fn.logits.reshape(-1, *shape)  # (k, B, T, S)
    if not torch.equal(logits, logits[:1].expand_as(logits)):
        raise UsageError(
            f"site {site!r} of the {program} depends on other draws, so its own distribution is no marginal"
        )
    return logits[0].softmax(-1)
