"""The objectives on offer: their names, and the options that their constructors take.

`[inference]` of a configuration holds the options of one objective. Their schema is the signature of its
constructor, so a new option is on offer without a line here, and what they are is said by the docstring of
its class. Three things are spelt differently: `num_particles` is `particles`; None, which TOML has not, is
"none" among words; and a schedule, which is an object, is a few plain numbers
(`hardpp.tasks.schedule_options`).
"""

import inspect
import re
import types
from collections import ChainMap
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import torch
from pydantic import Field, ValidationError, create_model

from hardpp.config import Section, nearest, problems
from hardpp.errors import UsageError
from hardpp.inference.dirichlet import ImplicitDirichlet
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.gumbel import GumbelSoftmax
from hardpp.inference.hybrid import Hybrid
from hardpp.inference.importance_weighted import IWAE, VIMCO
from hardpp.inference.objective import PlateOptions, SurrogateObjective
from hardpp.inference.ovis import OVIS
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.soft_attention import SoftAttention
from hardpp.inference.sum_and_sample import SumAndSample
from hardpp.inference.tracegraph import TraceGraph
from hardpp.inference.trajectory_balance import TrajectoryBalance
from hardpp.inference.wake_sleep import ReweightedWakeSleep
from hardpp.tasks.schedule_options import SCHEDULES, ScheduleOptions

NOTHING: Mapping[str, Any] = MappingProxyType({})


class ObjectiveSpec(NamedTuple):
    """An objective under a name of the command line."""

    kind: type[SurrogateObjective]
    settings: Mapping[str, Any] = NOTHING  # defaults of options that are not those of the class
    fixed: Mapping[str, Any] = NOTHING  # arguments of the class that are no options here
    choices: Mapping[str, tuple[str, ...]] = NOTHING  # words of an option, where the class takes more
    summary: str = ""  # what it is, where the class is more
    retired: tuple[str, ...] = ()  # options that once had no effect; stored configurations may have them

    @property
    def what(self) -> str:
        """What it is, in a few words, and its settings."""
        words = self.summary or (inspect.getdoc(self.kind) or "").split("\n")[0].rstrip(".")
        settings = [f"{name}={value}" for name, value in self.settings.items() if name != "particles"]
        return f"{words} ({', '.join(settings)})" if settings and not self.summary else words

    @property
    def declared(self) -> SurrogateObjective | type[SurrogateObjective]:
        """What says `needs`, `bound`, `unbiased`, `trains_guide` and `prediction` of it.

        The objective without any option; its class if an option has no default. No random number is used.
        """
        with torch.random.fork_rng(devices=[]):
            try:
                return build(self, {})
            except (UsageError, ValidationError):
                return self.kind


OBJECTIVES: dict[str, ObjectiveSpec] = {
    "elbo": ObjectiveSpec(ScoreFunctionELBO, {"particles": 4, "baseline": "leave-one-out"}),
    "tracegraph": ObjectiveSpec(TraceGraph, {"particles": 4}),
    "reinforce": ObjectiveSpec(
        ScoreFunctionELBO,
        {"particles": 4, "credit": "global"},
        summary="All of log w as the return of every latent, compared with nothing: Williams (1992)",
    ),
    "hybrid": ObjectiveSpec(Hybrid, {"particles": 4}),
    "rloo": ObjectiveSpec(
        ScoreFunctionELBO,
        {"particles": 4},
        fixed={"baseline": "leave-one-out", "normalize": False},
        summary="Each particle compared with the mean of the others: Kool et al. (2019)",
    ),
    "nvil": ObjectiveSpec(
        ScoreFunctionELBO,
        {"particles": 4, "baseline": "learned", "normalize": True},
        choices={"baseline": ("learned", "average")},
        summary="A baseline learned along with the programs, a normalised signal: Mnih and Gregor (2014)",
    ),
    "iwae": ObjectiveSpec(IWAE, {"particles": 4}),
    "vimco": ObjectiveSpec(VIMCO, {"particles": 4}),
    "vimco-temporal": ObjectiveSpec(VIMCO, {"particles": 4, "control": "temporal"}),
    "ovis": ObjectiveSpec(OVIS, {"particles": 4}),
    # WS-RAM's control variates are for a proposal that is the prior; a guide's draws they bias (docs).
    "rws": ObjectiveSpec(ReweightedWakeSleep, {"particles": 4, "control_variates": False}),
    "trajectory-balance": ObjectiveSpec(TrajectoryBalance, {"particles": 4}),
    "sum-and-sample": ObjectiveSpec(SumAndSample),
    "exact": ObjectiveSpec(ExactMarginal),
    "enum": ObjectiveSpec(EnumeratedELBO),
    "soft": ObjectiveSpec(SoftAttention, retired=("particles",)),
    "gumbel": ObjectiveSpec(GumbelSoftmax),
    "dirichlet": ObjectiveSpec(ImplicitDirichlet),
}

SINGLE_PARTICLE_BASELINE = "soft-attention"  # unless the model family has another one
PLAIN = (int, float, bool, str, type(None))


def options_of(spec: ObjectiveSpec) -> type[Section]:
    """The schema of an objective's options."""
    explained = ChainMap(*(_arguments(inspect.getdoc(kind) or "") for kind in spec.kind.__mro__))
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(spec.kind.__init__).parameters.items():
        kinds = _kinds(spec.kind, name)
        for section in _sections(kinds):
            fields |= {flat: (field.annotation, field) for flat, field in section.model_fields.items()}
        plain = [kind for kind in kinds if kind in PLAIN or get_origin(kind) is Literal]
        if name in {*spec.fixed, *PlateOptions.__annotations__} or set(plain) <= {type(None)}:
            continue
        shown = "particles" if name == "num_particles" else name
        words = any(get_origin(kind) is Literal for kind in plain)
        if shown in spec.choices:
            plain = [Literal[spec.choices[shown]]]
        elif words:
            plain = [Literal["none"] if kind is type(None) else kind for kind in plain]
        default = spec.settings.get(shown, parameter.default)
        if default is inspect.Parameter.empty:
            default = ...
        elif words and default is None:
            default = "none"
        least = 1 if shown == "particles" else None
        field = Field(default, ge=least, description=explained.get(name))
        fields[shown] = (Union[tuple(plain)], field)  # noqa: UP007 - built at run time
    return create_model(f"{spec.kind.__name__}Options", __base__=Section, **fields)


def build(spec: ObjectiveSpec, options: Mapping[str, Any]) -> SurrogateObjective:
    """The objective with these options, which its schema has passed; those left out are the row's.

    Raises:
        UsageError: the options do not go together.
    """
    given = options_of(spec)(**options).model_dump()
    if "particles" in given:
        given["num_particles"] = given.pop("particles")
    for name in inspect.signature(spec.kind.__init__).parameters:
        kinds = _kinds(spec.kind, name)
        for section in _sections(kinds):
            given[name] = section(**{flat: given.pop(flat) for flat in section.model_fields}).schedule()
        if given.get(name) == "none" and type(None) in kinds:
            given[name] = None
    return spec.kind(**given, **spec.fixed)


def described_options(spec: ObjectiveSpec) -> list[dict[str, str]]:
    """A row for every option: its name, what it may be, its value where none is given, and what it is."""
    rows = []
    for name, field in options_of(spec).model_fields.items():
        kinds = [kind for kind in _alternatives(field.annotation) if kind is not type(None)]
        words = [str(value) for kind in kinds if get_origin(kind) is Literal for value in get_args(kind)]
        words += [kind.__name__ for kind in kinds if get_origin(kind) is not Literal]
        default = "" if field.default is None else str(field.default)
        what = field.description or ""
        rows.append({"option": name, "values": ", ".join(words), "default": default, "what": what})
    return rows


def with_settings(
    spec: ObjectiveSpec, options: Mapping[str, Any], single_particle: str | None = None
) -> dict[str, Any]:
    """The user's options on top of the row's.

    Args:
        spec: of an objective.
        options: the user's.
        single_particle: the baseline of a single particle, which has no others to be compared with. It
            takes the place of "leave-one-out" where that is the row's and not the user's.
    """
    settings = dict(spec.settings)
    if settings.get("baseline") == "leave-one-out" and options.get("particles") == 1:
        settings["baseline"] = single_particle or SINGLE_PARTICLE_BASELINE
    return {**settings, **options}


def without_retired(spec: ObjectiveSpec, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a stored configuration, without those that never had an effect and are gone."""
    return {name: value for name, value in options.items() if name not in spec.retired}


def option_problems(name: str, spec: ObjectiveSpec, options: Mapping[str, Any]) -> list[str]:
    """One phrase for every option that the objective of that name has not, and every wrong value."""
    schema = options_of(spec)
    names = list(schema.model_fields)
    others = f" (it has: {', '.join(names)})" if names else ""
    unknown = [key for key in options if key not in names]
    phrases = [f"objective {name!r} has no option {key!r}{nearest(key, names) or others}" for key in unknown]
    return phrases + problems(schema, {k: v for k, v in options.items() if k in names}, "inference")


# The first sentence of what a docstring says of each argument; sentences end in a full stop and a space.
def _arguments(docstring: str) -> dict[str, str]:
    section = re.search(r"^Args:\n((?:    .*\n|\n)*)", docstring + "\n", re.MULTILINE)
    entries = re.findall(r"^    (\w+): (.*(?:\n     .*)*)", section[1] if section else "", re.MULTILINE)
    return {name: " ".join(text.split()).split(". ")[0].rstrip(".") for name, text in entries}


def _sections(kinds: tuple[Any, ...]) -> list[type[ScheduleOptions]]:
    return [SCHEDULES[kind] for kind in kinds if kind in SCHEDULES]


def _kinds(objective: type[SurrogateObjective], argument: str) -> tuple[Any, ...]:
    return _alternatives(get_type_hints(objective.__init__).get(argument))


def _alternatives(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) is Literal:  # a Literal may hold None itself
        values = [value for value in get_args(hint) if value is not None]
        none = [type(None)] if None in get_args(hint) else []
        return (Literal[tuple(values)], *none)
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(kind for part in get_args(hint) for kind in _alternatives(part))
    return (hint,)
