"""Signs by which a training that goes wrong can be told early, read off a table of weights.

They train nothing. Objectives compute them of those estimates of which someone wants to know (`tells`).

    guide_entropy   mean of -log q(z) over latents that were drawn, nats: near 0 one value is always drawn
    guide_to_prior  mean of |log q(z) - log p(z)| over them, nats: near 0 the guide is the prior
    instance_ess    mean effective number of particles of an instance's weights: near 1 one has it all
    unexplained     what a baseline leaves of the mean square of the returns: at 1 it explains nothing

Shapes: K particles, I instances, N stages (see `hardpp.inference.weights.weight_table`).
"""

from contextlib import suppress

import torch
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.weights.sample_sites import Site
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.ops.weights import effective_sample_size


@torch.no_grad()
def vital_signs(table: WeightTable) -> dict[str, Tensor]:
    """The signs that a table has, each (); NaN where it has no latent or instance that counts.

    Latents that are not discrete have no entropy that could be told from 0, and a guide that is the model's
    own prior, drawn by one run of it, is not held against it.
    """
    live, log_q, signs = table.live, table.log_q.detach(), dict[str, Tensor]()
    if all(_is_discrete(latent.guide) for latent in table.latents):
        signs["guide_entropy"] = -_mean(log_q, live)
    if not table.guide_is_prior:
        with suppress(UsageError):  # the prior's own term is within a sum
            signs["guide_to_prior"] = _mean((log_q - table.log_prior.detach()).abs(), live)
    if len(log_q) > 1:
        log_weights = table.log_weights
        counts = (log_weights != 0).any(0)  # what is padded weighs exactly nothing
        signs["instance_ess"] = _mean(effective_sample_size(log_weights), counts)
    return signs


def share_left(signal: Tensor, returns: Tensor, counts: Tensor) -> Tensor:
    """The share of the mean square of returns that is left of it once they are compared with a baseline, ().

    Args:
        signal: returns less their baseline, (K, *I, N).
        returns: what they are compared with nothing, broadcasts to (K, *I, N).
        counts: which of them count, bool, likewise.
    """
    signal, returns = signal.detach(), returns.detach()
    none = signal.new_zeros(())
    return signal.where(counts, none).square().sum() / returns.where(counts, none).square().sum()


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    counts = counts & values.isfinite()
    return values.where(counts, values.new_zeros(())).sum() / counts.sum()


def _is_discrete(site: Site) -> bool:
    if site["is_observed"]:
        return True
    try:
        return bool(site["fn"].support.is_discrete)
    except (AttributeError, NotImplementedError):
        return False
