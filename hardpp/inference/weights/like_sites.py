"""Many sites of one kind, at the price of a few: categoricals that are normalised once and scored together.

A loop of T steps has a site a step, and mostly these are categoricals of one shape. Pyro's own normalises
its logits in two passes and draws by S exponential variables an element, so while a program runs
`pyro.distributions.Categorical(logits=...)` makes ours (`hardpp.distributions.categorical`), which is the
same distribution. Then the log-probabilities of all sites of one shape are one lookup in a stack of theirs:
of small tables what costs is the number of operations, forward and backward.

Shapes: n sites; ... = particles and plates, S values.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions.distribution import COERCIONS
from torch import Tensor

from hardpp.distributions.categorical import Categorical
from hardpp.inference.weights.sample_sites import Site
from hardpp.ops.broadcast_shape import broadcast_shape

LARGEST = 2**16  # entries of a table; of larger ones a copy costs more than the operations it saves
FEWEST = 3  # sites that are worth a stack


@contextmanager
def cheap_categoricals() -> Iterator[None]:
    """Within it, Pyro's Categorical of logits is ours; one of probabilities stays as it is."""
    COERCIONS.append(_ours)
    try:
        yield
    finally:
        COERCIONS.remove(_ours)


def _ours(cls: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Categorical | None:
    if cls is not dist.Categorical or args or not kwargs.keys() <= {"logits", "validate_args"}:
        return None
    logits = kwargs.get("logits")
    if not isinstance(logits, Tensor) or not logits.dim():
        return None
    # In half precision a program may count on values and log-probabilities of that type.
    return Categorical(**kwargs) if logits.dtype in (torch.float32, torch.float64) else None


def log_probs_together(sites: Mapping[str, Site]) -> dict[str, Tensor]:
    """Log-probabilities of the sites that are alike, as `site_log_prob` gives them; others are left out."""
    groups: dict[Any, list[str]] = {}
    for name, site in sites.items():
        fn = site["fn"]
        # An objective may have put scores of its own into the site.
        if type(fn) is Categorical and "log_prob" not in vars(fn):
            key = _kind(fn, site["value"], site["mask"])
            if key is not None:
                groups.setdefault(key, []).append(name)
    found: dict[str, Tensor] = {}
    for names in groups.values():
        if len(names) < FEWEST:
            continue
        try:
            found |= zip(names, _looked_up([sites[name] for name in names]).unbind(0), strict=True)
        except (RuntimeError, LookupError):  # one by one, the site is told that is at fault
            continue
    return found


# What sites share that can be scored together; None if a site is to be scored by itself.
def _kind(fn: Categorical, value: Any, mask: Any) -> Any:
    table = fn.logits
    if not isinstance(value, Tensor) or hasattr(value, "_pyro_categorical_support"):
        return None
    if fn._validate_args:
        try:
            fn._validate_sample(value)
        except ValueError:  # by itself the site says what is wrong
            return None
    if isinstance(mask, bool):
        if not mask:
            return None
        mask = None
    if table.numel() > LARGEST:
        return None
    of_mask = None if mask is None else (mask.shape, mask.device)
    return table.shape, table.dtype, table.device, value.shape, value.dtype, value.device, of_mask


# The log-probabilities of n sites of one kind, (n, ...).
def _looked_up(sites: list[Site]) -> Tensor:
    tables = torch.stack([site["fn"].logits for site in sites])  # (n, ..., S)
    values = torch.stack([site["value"] for site in sites]).long()
    n, *batch, S = tables.shape
    shape = broadcast_shape(values.shape[1:], batch)
    tables = tables.reshape(n, *(1,) * (len(shape) - len(batch)), *batch, S).expand(n, *shape, S)
    values = values.reshape(n, *(1,) * (len(shape) + 1 - values.dim()), *values.shape[1:]).expand(n, *shape)
    terms = tables.gather(-1, values.unsqueeze(-1)).squeeze(-1)
    mask = sites[0]["mask"]
    if not isinstance(mask, Tensor):
        return terms
    masks = torch.stack([site["mask"] for site in sites])
    masks = masks.reshape(n, *(1,) * (terms.dim() - masks.dim()), *masks.shape[1:])
    return terms.where(masks, terms.new_zeros(()))
