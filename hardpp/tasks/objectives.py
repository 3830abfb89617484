"""The objectives on offer: their names, and the options that their constructors take.

`[inference]` of a configuration holds the options of one objective. Their schema is the signature of its
constructor, so a new option is on offer without a line here, and what they are is said by the docstring of
its class. Three things are spelt differently: `num_particles` is `particles`; None, which TOML has not, is
"none" among words; and a schedule or a proposal, which is an object, is the arguments of what makes it.
"""

import inspect
import re
import types
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Union, Unpack, get_args, get_origin, get_type_hints

import torch
from pydantic import Field, ValidationError, create_model

from hardpp.config import Section
from hardpp.config.problems import problems
from hardpp.errors import UsageError, nearest
from hardpp.inference.control.schedule_options import SCHEDULES
from hardpp.inference.dirichlet import ImplicitDirichlet
from hardpp.inference.disarm import DisARM
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.gumbel import GumbelSoftmax
from hardpp.inference.hybrid import Hybrid
from hardpp.inference.imitation import Imitation
from hardpp.inference.importance_weighted import IWAE, VIMCO
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.options import PlateOptions
from hardpp.inference.ovis import OVIS
from hardpp.inference.rebar import REBAR
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.soft_attention import SoftAttention
from hardpp.inference.sum_and_sample import SumAndSample
from hardpp.inference.tracegraph import TraceGraph
from hardpp.inference.trajectory_balance import TrajectoryBalance
from hardpp.inference.unordered_set import UnorderedSet
from hardpp.inference.wake_sleep import ReweightedWakeSleep

MOST_PARTICLES = 10_000  # a step keeps all of them in memory
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
    "imitation": ObjectiveSpec(Imitation, {"particles": 1}),
    "sum-and-sample": ObjectiveSpec(SumAndSample),
    "unordered-set": ObjectiveSpec(UnorderedSet),
    "disarm": ObjectiveSpec(DisARM, {"particles": 4}),
    "exact": ObjectiveSpec(ExactMarginal),
    "enum": ObjectiveSpec(EnumeratedELBO),
    "soft": ObjectiveSpec(SoftAttention, retired=("particles",)),
    "rebar": ObjectiveSpec(REBAR, {"particles": 4}),
    "gumbel": ObjectiveSpec(GumbelSoftmax),
    "dirichlet": ObjectiveSpec(ImplicitDirichlet),
}

PLAIN = (int, float, bool, str, type(None))
_Items = tuple[tuple[str, Any], ...]


def options_of(spec: ObjectiveSpec) -> type[Section]:
    """The schema of an objective's options."""
    kind: Any = spec.kind
    return _options(kind, *(tuple(table.items()) for table in (spec.settings, spec.fixed, spec.choices)))


@lru_cache(maxsize=64)  # a schema is asked for again and again, and making it takes longest
def _options(kind: Any, settings: _Items, fixed: _Items, choices: _Items) -> type[Section]:
    spec = ObjectiveSpec(kind, dict(settings), fixed=dict(fixed), choices=dict(choices))
    fields: dict[str, Any] = {}
    explained = _explained(spec.kind)
    for name, parameter, kinds in _parameters(spec.kind):
        for schedule in _schedules(kinds):
            for option, argument, of_option in _parameters(schedule):
                field = Field(argument.default, description=_explained(schedule).get(option))
                fields[option] = (Union[tuple(of_option)], field)  # noqa: UP007 - built at run time
        plain = [kind for kind in kinds if kind in PLAIN or get_origin(kind) is Literal]
        if name in {*spec.fixed, *PlateOptions.__annotations__} or set(plain) <= {type(None)}:
            continue
        shown = "particles" if name == "num_particles" else name
        default = spec.settings.get(shown, parameter.default)
        if shown in spec.choices:
            plain = [Literal[spec.choices[shown]]]
        elif any(get_origin(kind) is Literal for kind in plain):
            plain = [Literal["none"] if kind is type(None) else kind for kind in plain]
            default = "none" if default is None else default
        field = Field(
            ... if default is inspect.Parameter.empty else default,
            ge=1 if shown == "particles" else None,
            le=MOST_PARTICLES if shown == "particles" else None,
            description=explained.get(name),
        )
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
    for name, _, kinds in _parameters(spec.kind):
        for schedule in _schedules(kinds):
            given[name] = schedule(**{option: given.pop(option) for option, *_ in _parameters(schedule)})
        if given.get(name) == "none" and type(None) in kinds:
            given[name] = None
    return spec.kind(**given, **spec.fixed)


def with_settings(
    spec: ObjectiveSpec, options: Mapping[str, Any], single_particle: str | None = None
) -> dict[str, Any]:
    """The user's options on top of the row's.

    `single_particle` is the family's baseline for a single particle, which has no others to be compared with.
    It takes the place of "leave-one-out" where that is the row's and not the user's; None: soft attention.
    """
    settings = dict(spec.settings)
    if settings.get("baseline") == "leave-one-out" and options.get("particles") == 1:
        settings["baseline"] = single_particle or "soft-attention"
    return {**settings, **options}


def option_problems(name: str, spec: ObjectiveSpec, options: Mapping[str, Any]) -> list[str]:
    """One phrase for every option that the objective of that name has not, and every wrong value."""
    schema = options_of(spec)
    names = list(schema.model_fields)
    others = f" (it has: {', '.join(names)})" if names else ""
    unknown = [key for key in options if key not in names]
    phrases = [f"objective {name!r} has no option {key!r}{nearest(key, names) or others}" for key in unknown]
    return phrases + problems(schema, {k: v for k, v in options.items() if k in names}, "inference")


# The first sentence of what the docstrings of a function, or of a class and its bases, say of each argument;
# sentences end in a full stop and a space.
def _explained(described: Callable[..., Any]) -> dict[str, str]:
    docstrings = [inspect.getdoc(each) for each in reversed(getattr(described, "__mro__", (described,)))]
    sections = [re.search(r"^Args:\n((?:    .*\n|\n)*)", f"{text}\n", re.MULTILINE) for text in docstrings]
    entries = "".join(section[1] for section in sections if section)
    return {
        name: " ".join(text.split()).split(". ")[0].rstrip(".")
        for name, text in re.findall(r"^    (\w+): (.*(?:\n     .*)*)", entries, re.MULTILINE)
    }


# Each parameter of a class or function by its name, with the types that it may be of.
def _parameters(taking: Callable[..., Any]) -> Iterator[tuple[str, inspect.Parameter, list[Any]]]:
    for name, parameter in inspect.signature(taking, eval_str=True).parameters.items():
        if get_origin(parameter.annotation) is not Unpack:
            yield name, parameter, alternatives(parameter.annotation)
            continue
        (options,) = get_args(parameter.annotation)
        for option, kind in get_type_hints(options).items():
            yield option, inspect.Parameter(option, parameter.KEYWORD_ONLY, default=None), alternatives(kind)


def _schedules(kinds: list[Any]) -> list[Callable[..., Any]]:
    return [SCHEDULES[kind] for kind in kinds if kind in SCHEDULES]


def alternatives(hint: Any) -> list[Any]:
    """The types of which one is meant by a type, each without alternatives; NoneType for None."""
    if get_origin(hint) is Literal:  # a Literal may hold None itself
        values = [value for value in get_args(hint) if value is not None]
        return [Literal[tuple(values)], *([type(None)] if None in get_args(hint) else [])]
    if get_origin(hint) in (Union, types.UnionType):
        return [kind for part in get_args(hint) for kind in alternatives(part)]
    return [type(None) if hint is None else hint]
