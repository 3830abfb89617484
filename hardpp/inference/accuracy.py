"""How often a model's likeliest value is what was observed: a reward in [0, 1] that is no likelihood.

    reward[k] = mean over observed elements of 1[value = argmax of the distribution]

Source: Mnih, Heess, Graves and Kavukcuoglu (2014), Recurrent Models of Visual Attention, section 3.2, who
reward glimpses with a right classification.
Shapes: K particles, I instances (see `hardpp.inference.weight_table`), T steps, S values.
"""

import torch
from pyro.poutine import Trace
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.sample_sites import Site, sample_sites, steps_of
from hardpp.inference.weight_table import Layout, elements


def accuracy(model_trace: Trace, layout: Layout, particles: int) -> Tensor:
    """The reward above of every particle, (K, *I), detached.

    Args:
        model_trace: of the model at the draws.
        layout: its plates.
        particles: K.

    Raises:
        UsageError: nothing is observed, or a site that is has no values of which one is likeliest.
    """
    found = [
        _right(name, site, layout) for name, site in sample_sites(model_trace).items() if site["is_observed"]
    ]
    if not found:
        raise UsageError("a reward for accuracy needs an observed site, and there is none")
    right = torch.stack(torch.broadcast_tensors(*(one for one, _ in found))).sum(0)
    counted = torch.stack(torch.broadcast_tensors(*(count for _, count in found))).sum(0)
    share = right / counted.clamp(min=1)
    return share[:particles].expand(particles, *share.shape[1:])


# How many elements of a site are right, and how many there are: (K or 1, *I) each.
@torch.no_grad()
def _right(name: str, site: Site, layout: Layout) -> tuple[Tensor, Tensor]:
    fn, counts = elements(site)
    logits, stepwise = getattr(fn, "logits", None), steps_of(site) is not None
    if logits is None or not getattr(fn, "has_enumerate_support", False):
        raise UsageError(f"observed site {name!r} is no Categorical, of whose values one is likeliest")
    value = site["value"]
    likeliest = logits.argmax(-1)
    # A value that is observed once at every step has no dim for them.
    value = value.unsqueeze(-1) if stepwise and value.dim() < likeliest.dim() else value
    right = (likeliest == value).to(logits.dtype)
    counts = torch.ones_like(right) if counts is None else counts.to(right.dtype).expand_as(right)
    right, counts = layout.place(right * counts, stepwise), layout.place(counts, stepwise)
    return (right.sum(-1), counts.sum(-1)) if stepwise else (right, counts)
