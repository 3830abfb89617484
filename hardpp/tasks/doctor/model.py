"""The doctor of model families: `hardpp check model`.

A family of another package declares as ours do (`hardpp.tasks.family.Family`). What its runs need of the
model beside its sites stands in a `typing.Protocol`, its `protocol`: for sequences that is
`hardpp.decoding.predictive.Decodable`.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch

from hardpp.errors import UsageError
from hardpp.tasks.doctor import guide_sites, run_answers
from hardpp.tasks.doctor.findings import Check, Finding, Skip, examine
from hardpp.tasks.doctor.recorded import SEED
from hardpp.tasks.doctor.subject import ToyPrograms, subject_of, toy_of
from hardpp.tasks.family import Family


def check_model(
    model: str | type[Family] = "alignment", settings: Mapping[str, Any] | None = None
) -> list[Finding]:
    """Looks a model family over on its toy data; a finding or more for each check.

    Args:
        model: a name of `hardpp models`, `package.module:Class`, or the class itself.
        settings: of the configuration, on top of the toy's.

    Raises:
        UsageError: there is no such family, it does not declare all that a family must, has no toy data, or
            refuses its own settings.
    """
    on = toy_of(model, settings)
    of_guides = [
        Check(f"guide {guide}", "its sites are the model's", partial(_guide, guide), ("model",))
        for guide in on.family.guides
    ]
    return examine(on, [*_CHECKS, *of_guides, *run_answers.CHECKS])


def _description(on: ToyPrograms) -> Iterator[str]:
    stored = on.description.model_dump_json()
    if on.family.description.model_validate_json(stored) != on.description:
        yield "describe(data) is not what comes back from its JSON: let its fields be plain values and lists"


def _batches(on: ToyPrograms) -> Iterator[str]:
    made = (on.config, on.toy.data, on.description)
    parts = {
        "epoch_batches": [make() for make in on.family.epoch_batches(*made)(0)],
        "dev_batches": list(on.family.dev_batches(*made)),
    }
    for name, batches in parts.items():
        if not batches:
            yield f"{name} gives no batch of the toy data"
            continue
        missing = [each for each in ("size", "symbols", "to") if not hasattr(batches[0], each)]
        if missing:
            yield f"a batch of {name} has no {', '.join(missing)}: see hardpp.types.Batch"
        elif not hasattr(batches[0], "_asdict"):
            yield f"a batch of {name} is a {type(batches[0]).__name__}: a NamedTuple of tensors is wanted"


def _runs(on: ToyPrograms) -> Iterator[str]:
    prior = subject_of(on).prior
    if prior.error:
        yield f"the model fails {prior.error}"
        return
    if not any(site["is_observed"] for site in prior.sites):
        yield "the model observes nothing: give the site of the target obs="
    for site in prior.sites:
        if bool(site["fn"].log_prob(site["value"]).isnan().any()):
            yield f"site {site['name']!r} of the model has a log-probability of NaN at the start"


def _guide(name: str, on: ToyPrograms) -> Iterator[str]:
    try:
        subject = subject_of(on, name)
    except UsageError as error:
        raise Skip(f"not with the toy's settings: {error}") from error
    for finding in examine(subject, guide_sites.CHECKS):
        if finding.status == "failed":
            yield f"{finding.check}: {finding.finding}"


def _training(on: ToyPrograms) -> Iterator[str]:
    family, run = on.family, subject_of(on).run
    data = family.prepared(on.config, on.toy.data, run.programs)
    batch = family.epoch_batches(on.config, data, on.description)(0)[0]()
    trained = run.objective(*run.programs).train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        loss = trained(batch)
    if not bool(loss.isfinite()):
        yield f"objective {on.config.objective} has a loss of {float(loss)} on the first batch"
        return
    loss.backward()
    gradients = {name: p.grad for name, p in trained.named_parameters() if p.grad is not None}
    if not gradients:
        yield f"objective {on.config.objective} gives no parameter a gradient"
    for name, gradient in gradients.items():
        if not bool(gradient.isfinite().all()):
            yield f"the gradient of parameter {name!r} is not finite in the first step"
            return


_CHECKS: list[Check[ToyPrograms]] = [
    Check("description", "what a run keeps of the data survives JSON", _description),
    Check("batches", "training and dev part come in batches", _batches),
    Check("model", "the model runs on a batch", _runs, ("batches",)),
    Check("training", "a training step has a finite loss and gradient", _training, ("model",)),
]
