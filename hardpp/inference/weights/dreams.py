"""Dreams: latents and observations drawn from the model, to train a guide on.

    z ~ p(z | x),  y' ~ p(y | z, x),  and the guide learns q(z | x, y')

x, whatever of the arguments the model does not observe, stays as it is. The model runs once with its
observations drawn in place of the data, in the shape of the data, so that a guide reads y' as it reads y.

That is a draw from the joint distribution where the observations are independent given the latents and x:
a classifier, a chain that emits. A teacher-forced program computes step t from the *real* symbols before
t, which it finds in its arguments; what is dreamt then is y'[t] ~ p(y[t] | real y[:t], z[t]) step by step,
and no draw of the sequence as a whole. Such a program should bring its own ancestral sampler (`Dreamer`).

Source: Hinton, Dayan, Frey and Neal (1995), The Wake-Sleep Algorithm; Le et al. (2017), Inference
Compilation, where only what the model observes is dreamt.
Shapes: those of the data, without particles.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from pyro import poutine
from pyro.infer.util import is_validation_enabled
from pyro.poutine.messenger import Messenger
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.weights.sample_sites import common_scale, sample_sites, site_log_prob
from hardpp.types import Program

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


class Dream(NamedTuple):
    """What was dreamt, as a guide needs it."""

    latents: dict[str, Tensor]  # by site, in the shape of the data; also which data a plate subsampled
    args: Args  # of the guide, with y' in place of y
    kwargs: Kwargs


Dreamer = Callable[[Program, Args, Kwargs], Dream]  # of a model and its arguments
Dreamt = Callable[[dict[str, Tensor], Args, Kwargs], tuple[Args, Kwargs]]  # puts y', by site, into arguments


def dream(model: Program, args: Args, kwargs: Kwargs, dreamt: Dreamt | None = None) -> Dream:
    """Runs a model with its observations drawn.

    Args:
        model: the program.
        args, kwargs: what it takes.
        dreamt: puts the dreamt observations, by site, into the arguments. By default they take the
            place of the observed tensors wherever those stand, also in named tuples, tuples, lists
            and dicts: the very same tensor, or a view of all of it.

    Raises:
        UsageError: an observed tensor is not among the arguments, or a site is a factor, or has a
            distribution that cannot be drawn from.
    """
    with torch.no_grad(), _Drawn() as drawn_from:
        try:
            trace = poutine.trace(poutine.uncondition(model)).get_trace(*args, **kwargs)
        except NotImplementedError as error:
            raise UsageError(
                f"site {drawn_from.last!r} cannot be drawn, so nothing can be dreamt ({error}): pass dream="
            ) from error
    data, drawn = {}, {}
    for name, site in sample_sites(trace).items():
        if site["infer"].get("is_auxiliary"):
            raise UsageError(f"site {name!r} is a factor, which cannot be dreamt: pass dream=")
        if site["infer"].get("was_observed"):
            data[name], drawn[name] = site["infer"]["obs"], site["value"]
    latents = {
        name: site["value"]
        for name, site in trace.nodes.items()
        if site["type"] == "sample" and not site["is_observed"] and name not in data
    }
    placed = _in_place_of(data, drawn, args, kwargs) if dreamt is None else dreamt(drawn, args, kwargs)
    return Dream(latents, *placed)


def sleep_phi(guide: Program, dream: Dream) -> Tensor:
    """log q(z | x, y') of a dream, masked and scaled, in nats, summed over the batch; a scalar.

    Raises:
        UsageError: the guide draws what was not dreamt; or, while Pyro's validation is on, it gives what was
            dreamt no probability.
    """
    conditioned = poutine.condition(guide, data=dream.latents)
    sites = sample_sites(poutine.trace(conditioned).get_trace(*dream.args, **dream.kwargs))
    for name in sites:
        if name not in dream.latents:
            raise UsageError(f"the dream has no value of latent site {name!r}, which the guide draws")
    terms = {name: site_log_prob(site) for name, site in sites.items()}
    for name, term in terms.items():
        if is_validation_enabled() and (term == -torch.inf).any():
            raise UsageError(
                f"the guide gives what the model dreams at site {name!r} no probability, so that sleep-phi "
                "is infinite: it wants a guide that knows all values of the model, or insomnia=1"
            )
    total = sum((term.sum() for term in terms.values()), torch.zeros(()))
    return total * common_scale(list(sites.values()))


class _Drawn(Messenger):
    """Remembers which site was drawn last."""

    last = ""

    def _pyro_sample(self, msg: Any) -> None:
        self.last = msg["name"]


# The arguments with dreamt values where the observed ones stand.
def _in_place_of(
    data: dict[str, Any], drawn: dict[str, Tensor], args: Args, kwargs: Kwargs
) -> tuple[Args, Kwargs]:
    placed_sites: set[str] = set()

    def put(part: Any) -> Any:
        if isinstance(part, Tensor):
            for name, value in data.items():
                if _same(part, value):
                    placed_sites.add(name)
                    return drawn[name].to(part.dtype)
        elif isinstance(part, tuple) and hasattr(part, "_fields"):
            return type(part)(*map(put, part))
        elif isinstance(part, tuple | list):
            return type(part)(map(put, part))
        elif isinstance(part, dict):
            return {key: put(value) for key, value in part.items()}
        return part

    placed = put(args), put(kwargs)
    for name in data:
        if name not in placed_sites:
            raise UsageError(
                f"what site {name!r} observes is no tensor among the arguments, so the guide cannot "
                "be shown a dreamt value: pass dreamt="
            )
    return placed


def _same(part: Tensor, value: Any) -> bool:
    return part is value or (
        isinstance(value, Tensor)
        and part.device == value.device
        and part.shape == value.shape
        and part.stride() == value.stride()
        and part.dtype == value.dtype
        and part.data_ptr() == value.data_ptr() != 0
    )
