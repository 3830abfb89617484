"""The names that the command line takes for model families, guides, objectives and data sets.

They are looked up here and nowhere else. A name may also be `package.module:Class`, or an entry point of the
groups `hardpp.tasks`, `hardpp.guides`, `hardpp.objectives` and `hardpp.datasets`: see
`hardpp.tasks.named_classes`. Most guides are the family's to name.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import nn

from hardpp.config import RunConfig
from hardpp.data.kinds import KINDS, field_separator, kinds_of, names_recordings
from hardpp.errors import HardppError, UsageError, closest, unknown
from hardpp.inference.objective import SurrogateObjective
from hardpp.tasks.family import Family, GuideSpec, Lack, Programs
from hardpp.tasks.file_names import may_be_path
from hardpp.tasks.named_classes import import_class, load_plugin, named, offered_alone, package_of, plugins
from hardpp.tasks.objectives import OBJECTIVES, ObjectiveSpec, build, options_of, with_settings
from hardpp.tasks.own_guides import check_model, class_of, lacks_of, made, summary_of

OwnGuides = Mapping[str, type | nn.Module]  # classes, or guides, by the names that a run has for them
NONE: OwnGuides = MappingProxyType({})

# By the name of their class, so that a family is imported only if it is asked for.
FAMILIES: dict[str, str] = {
    "alignment": "hardpp.tasks.alignment.family:AlignmentFamily",
    "online-alignment": "hardpp.tasks.online_alignment.family:OnlineAlignmentFamily",
    "question-answering": "hardpp.tasks.question_answering.family:QuestionAnsweringFamily",
    "glimpse": "hardpp.tasks.glimpse.family:GlimpseFamily",
    "saccader": "hardpp.tasks.saccader.family:SaccaderFamily",
    "masked-image": "hardpp.tasks.masked_image.family:MaskedImageFamily",
    "image-vae": "hardpp.tasks.image_vae.family:ImageVAEFamily",
    "caption": "hardpp.tasks.caption.family:CaptionFamily",
}


def family(name: str, own_guides: OwnGuides = NONE) -> Family:
    """The model family of that name.

    Args:
        name: ours, of an entry point, or `package.module:Class`.
        own_guides: given as such, so that they need no import.

    Raises:
        UsageError: there is none, and the message has the nearest name; or it is no model family.
    """
    kind: Any = FAMILIES.get(name) or named("model", name, FAMILIES)
    if isinstance(kind, str):
        kind = import_class("model", kind)
    if not (isinstance(kind, type) and issubclass(kind, Family)):
        raise UsageError(f"model {name!r} is no model family: it is no subclass of {Family.__name__}")
    undeclared = [key for key in Family.__annotations__ if not hasattr(kind, key)]
    if missing := sorted(kind.__abstractmethods__) or undeclared:
        raise UsageError(f"model {name!r} is no model family: it has no {', '.join(missing)}")
    made_family = kind()
    made_family.own_guides = own_guides
    return made_family


def families() -> list[Family]:
    """All model families, ours first; those of installed packages that are broken are not there."""
    offered = offered_alone("model", FAMILIES, lambda entry: family(entry.name), lambda text: None)
    return [*map(family, FAMILIES), *offered]


def guide_spec(family: Family, name: str) -> GuideSpec:
    """The guide of that name for a model family, with what it can do.

    Of a class of the user's own (`hardpp.tasks.own_guides`) it is known once the guide is made whether it has
    parameters of its own; the class itself may say what it lacks.

    Raises:
        UsageError: there is none, and the message has the nearest name; or it is no guide of this family.
    """
    if name in family.guides:
        return family.guides[name]
    told, imported = f"guide {name!r}", name not in family.own_guides
    given = named("guide", name, family.guides) if imported else family.own_guides[name]
    kind = class_of(given, told, imported=imported)
    check_model(kind, told, family.name)
    hint = "give an objective that does not need it"
    reasons = {need: why.replace("{", "{{").replace("}", "}}") for need, why in lacks_of(kind, told).items()}
    lacks = {need: Lack(f"{{objective}} needs {need}: {why}", hint) for need, why in reasons.items()}
    build = partial(made, given, told)
    return GuideSpec(summary_of(kind), build, trained=None, lacks=lacks, described=True)


def programs(family: Family, config: RunConfig, description: Any) -> Programs:
    """The model and the guide of a configuration.

    Raises:
        UsageError: there is no such guide, it cannot be made, or sizes do not go together.
    """
    return family.build(config, description, guide_spec(family, config.guide))


def data_set(name: str) -> str:
    """The file or folder that an installed package has under the name of a data set; another name as it is.

    An entry point of the group `hardpp.datasets` is a function without arguments that gives the path, laid
    out as `--data` takes a user's own data; it may fetch them first.

    Raises:
        UsageError: it fails, or gives no path of a file or folder; or no file can have such a name.
    """
    if not may_be_path(name):
        raise UsageError(f"no file or folder can be called {name[:60]!r} ...")
    if ":" in name or Path(name).exists() or (entry := plugins("data set").get(name)) is None:
        return name
    told, find = f"data set {package_of(entry)}", load_plugin("data set", entry)
    try:
        path = Path(find())
    except HardppError:
        raise
    except Exception as error:  # whatever somebody else's function does
        raise UsageError(f"{told} cannot be had ({type(error).__name__}: {error})") from error
    if not path.exists():
        raise UsageError(f"{told}: there is no file or folder {str(path)!r}")
    return str(path)


def objective_spec(name: str) -> ObjectiveSpec:
    """What is on offer under an objective's name; a class on offer has the settings of its first row.

    Raises:
        UsageError: nothing, or something that is no objective.
    """
    spec: Any = OBJECTIVES.get(name) or named("objective", name, OBJECTIVES)
    if isinstance(spec, ObjectiveSpec):
        return spec
    if not (isinstance(spec, type) and issubclass(spec, SurrogateObjective)):
        raise UsageError(f"objective {name!r} is no subclass of {SurrogateObjective.__name__}")
    return next((row for row in OBJECTIVES.values() if row.kind is spec), ObjectiveSpec(spec))


def short_name(name: str) -> str:
    """The short name of an objective on offer, however it is spelt; another name stays as it is."""
    try:
        spec = objective_spec(name)
    except UsageError:
        return name
    return next((short for short, row in OBJECTIVES.items() if row is spec), name)


def objective(name: str, options: Mapping[str, Any]) -> SurrogateObjective:
    """The objective of that name, with the options of a resolved configuration."""
    return build(objective_spec(name), options)


def measured_objectives(
    family: Family, config: RunConfig, names: Sequence[str] | None, particles: int | None
) -> dict[str, Callable[[], SurrogateObjective]]:
    """How to make each objective: a run's own with its options, others with those of the command line.

    Args:
        family: of the run.
        config: of the run.
        names: of objectives; None: all on offer.
        particles: how many for all that draw some; None: as many as these options say.

    Raises:
        UsageError: one of the names is not on offer.
    """

    def make(name: str, spec: ObjectiveSpec) -> SurrogateObjective:
        options = dict(config.inference) if short_name(name) == short_name(config.objective) else {}
        if particles is not None and "particles" in options_of(spec).model_fields:
            options["particles"] = particles
        baseline = family.recommended(config.data.name).single_particle_baseline
        return build(spec, with_settings(spec, options, baseline))

    return {name: partial(make, name, objective_spec(name)) for name in names or OBJECTIVES}


def data_problem(model: Family, name: str) -> tuple[str, str]:
    """What is wrong with the data that a family is to read, and a hint; blank where nothing is, by names.

    There is no such data set, file or folder, or it plainly is of another kind.
    """
    if name in model.data_sets:
        return "", ""
    if not model.data.is_there(name):
        if "/" in name or "." in name:
            return f"there is no file or folder {name!r}{_beside(Path(name))}", ""
        return unknown("data set, file or folder", name, [*model.data_sets, *plugins("data set")]), ""
    path, wanted = Path(name), " or ".join(KINDS[kind] for kind in model.reads)
    if "speech" in model.reads and names_recordings(path):
        return "", ""
    if wanted and "tables" not in model.reads and (between := field_separator(path)):
        old, new = shlex.quote(name), shlex.quote(str(path.with_suffix(".tsv")))
        mark, sign = ("semicolon", "';'") if between == "semicolons" else ("comma", ",")
        hint = f"if no field has a {mark} in it: tr {sign} '\\t' < {old} > {new}"
        hint = f"mv {old} {new}" if between == "TABs" else hint
        what = (
            f"{name} is a .csv file with {between} between its fields, and model {model.name} reads {wanted}"
        )
        return what, hint if "lists" in model.reads else ""
    kinds = kinds_of(path)
    if not kinds or not wanted or set(kinds) & set(model.reads):
        return "", ""
    *others, last = [each for each in FAMILIES if kinds[0] in family(each).reads]
    readers = f"{', '.join(others)} and {last}" if others else last
    what = f"{name} seems to hold {KINDS[kinds[0]]}, and model {model.name} reads {wanted}"
    return what, f"such data are for --model {readers}"


# The file that was probably meant, in words; extensions are alike, so that names must be very much so.
def _beside(path: Path) -> str:
    names = sorted(each.name for each in path.parent.iterdir()) if path.parent.is_dir() else []
    return "".join(f"; did you mean {str(path.parent / each)!r}?" for each in closest(path.name, names, 0.8))
