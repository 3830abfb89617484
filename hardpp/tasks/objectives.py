"""The objectives on offer: their names, and the options that their constructors take.

`[inference]` of a configuration holds the options of one objective. Their schema is the signature of its
constructor, so a new option is on offer without a line here. `num_particles` is `particles` for the
user; None, which TOML has not, is "none" among words.
"""

import inspect
import types
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from pydantic import Field, create_model

from hardpp.config import Section, nearest, problems
from hardpp.inference.dirichlet import ImplicitDirichlet
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.gumbel import GumbelSoftmax
from hardpp.inference.hybrid import Hybrid
from hardpp.inference.importance_weighted import IWAE, VIMCO
from hardpp.inference.nvil import NVIL
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.ovis import OVIS
from hardpp.inference.reinforce import REINFORCE
from hardpp.inference.rloo import RLOO
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.soft_attention import SoftAttention
from hardpp.inference.sum_and_sample import SumAndSample
from hardpp.inference.tracegraph import TraceGraph
from hardpp.inference.trajectory_balance import TrajectoryBalance
from hardpp.inference.wake_sleep import ReweightedWakeSleep


class ObjectiveSpec(NamedTuple):
    """An objective under a name of the command line."""

    kind: type[SurrogateObjective]
    settings: Mapping[str, Any]  # of its options, where the command line's defaults are not the class's


OBJECTIVES: dict[str, ObjectiveSpec] = {
    "elbo": ObjectiveSpec(ScoreFunctionELBO, {"particles": 4, "baseline": "leave-one-out"}),
    "tracegraph": ObjectiveSpec(TraceGraph, {"particles": 4}),
    "reinforce": ObjectiveSpec(REINFORCE, {"particles": 4}),
    "hybrid": ObjectiveSpec(Hybrid, {"particles": 4}),
    "rloo": ObjectiveSpec(RLOO, {"particles": 4}),
    "nvil": ObjectiveSpec(NVIL, {"particles": 4}),
    "iwae": ObjectiveSpec(IWAE, {"particles": 4}),
    "vimco": ObjectiveSpec(VIMCO, {"particles": 4}),
    "vimco-temporal": ObjectiveSpec(VIMCO, {"particles": 4, "control": "temporal"}),
    "ovis": ObjectiveSpec(OVIS, {"particles": 4}),
    # WS-RAM's control variates are for a proposal that is the prior; a guide's draws they bias (docs).
    "rws": ObjectiveSpec(ReweightedWakeSleep, {"particles": 4, "control_variates": False}),
    "trajectory-balance": ObjectiveSpec(TrajectoryBalance, {"particles": 4}),
    "sum-and-sample": ObjectiveSpec(SumAndSample, {}),
    "exact": ObjectiveSpec(ExactMarginal, {}),
    "enum": ObjectiveSpec(EnumeratedELBO, {}),
    "soft": ObjectiveSpec(SoftAttention, {}),
    "gumbel": ObjectiveSpec(GumbelSoftmax, {}),
    "dirichlet": ObjectiveSpec(ImplicitDirichlet, {}),
}

SINGLE_PARTICLE_BASELINE = "soft-attention"  # unless the model family has another one
Plain = (int, float, bool, str, type(None))


def options_of(offer: ObjectiveSpec) -> type[Section]:
    """The schema of an objective's options."""
    hints = get_type_hints(offer.kind.__init__)
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(offer.kind.__init__).parameters.items():
        plain = [kind for kind in _alternatives(hints.get(name)) if _is_plain(kind)]
        if name in ("self", "max_plate_nesting") or set(plain) <= {type(None)}:
            continue
        shown = "particles" if name == "num_particles" else name
        words = any(get_origin(kind) is Literal for kind in plain)
        if words:
            plain = [Literal["none"] if kind is type(None) else kind for kind in plain]
        default = offer.settings.get(shown, parameter.default)
        if default is inspect.Parameter.empty:
            default = ...
        elif words and default is None:
            default = "none"
        least = 1 if shown == "particles" else None
        fields[shown] = (Union[tuple(plain)], Field(default, ge=least))  # noqa: UP007 - built at run time
    return create_model(f"{offer.kind.__name__}Options", __base__=Section, **fields)


def build(offer: ObjectiveSpec, options: Mapping[str, Any]) -> SurrogateObjective:
    """The objective with these options, which its schema has passed; those left out are the offer's.

    Raises:
        UsageError: the options do not go together.
    """
    hints = get_type_hints(offer.kind.__init__)
    given = options_of(offer)(**options).model_dump()
    for name, value in given.items():
        if value == "none" and type(None) in _alternatives(hints.get(name)):
            given[name] = None
    if "particles" in given:
        given["num_particles"] = given.pop("particles")
    return offer.kind(**given)


def described_options(offer: ObjectiveSpec) -> list[dict[str, str]]:
    """A row for every option: its name, what it may be, and its value where none is given."""
    rows = []
    for name, field in options_of(offer).model_fields.items():
        kinds = [kind for kind in _alternatives(field.annotation) if kind is not type(None)]
        words = [str(value) for kind in kinds if get_origin(kind) is Literal for value in get_args(kind)]
        words += [kind.__name__ for kind in kinds if get_origin(kind) is not Literal]
        default = "" if field.default is None else str(field.default)
        rows.append({"option": name, "values": ", ".join(words), "default": default})
    return rows


def with_settings(
    offer: ObjectiveSpec, options: Mapping[str, Any], lone: str | None = None
) -> dict[str, Any]:
    """The user's options on top of the offer's.

    Args:
        offer: of an objective.
        options: the user's.
        lone: the baseline that a leave-one-out baseline which nobody asked for makes way for, if there is
            one particle only, which has nothing to be compared with.
    """
    settings = dict(offer.settings)
    if settings.get("baseline") == "leave-one-out" and options.get("particles") == 1:
        settings["baseline"] = lone or SINGLE_PARTICLE_BASELINE
    return {**settings, **options}


def option_problems(name: str, offer: ObjectiveSpec, options: Mapping[str, Any]) -> list[str]:
    """One phrase for every option that the objective of that name has not, and every wrong value."""
    schema = options_of(offer)
    known = list(schema.model_fields)
    others = f" (it has: {', '.join(known)})" if known else ""
    unknown = [key for key in options if key not in known]
    found = [f"objective {name!r} has no option {key!r}{nearest(key, known) or others}" for key in unknown]
    return found + problems(schema, {k: v for k, v in options.items() if k in known}, "inference")


def _alternatives(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) is Literal:  # a Literal may hold None itself
        values = [value for value in get_args(hint) if value is not None]
        none = [type(None)] if None in get_args(hint) else []
        return (Literal[tuple(values)], *none)
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(kind for part in get_args(hint) for kind in _alternatives(part))
    return (hint,)


def _is_plain(kind: Any) -> bool:
    return kind in Plain or get_origin(kind) is Literal
