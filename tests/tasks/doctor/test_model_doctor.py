"""The doctor of model families names what is wrong with one; ours, and their guides, are sound."""

import re
from typing import Any

import pyro
import pytest
import torch
from corpora import fail
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp.errors import UsageError
from hardpp.tasks import catalogue
from hardpp.tasks.alignment.family import AlignmentFamily
from hardpp.tasks.alignment.network import AlignmentParts
from hardpp.tasks.alignment.run import AlignmentRun
from hardpp.tasks.doctor.findings import Finding, faults
from hardpp.tasks.doctor.guide import check_guide
from hardpp.tasks.doctor.model import check_model
from hardpp.tasks.doctor.run_answers import members
from hardpp.tasks.family import Family, GuideSpec, Toy, prior_guide
from hardpp.types import SequenceBatch


class Bare(PyroModule):
    """A model that trains, and has nothing of what decoding needs."""

    max_plate_nesting = 2

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, batch: SequenceBatch) -> Tensor:
        return self.inner(batch)


class WithoutProtocol(AlignmentFamily):
    guides = {"prior": GuideSpec("the model's own", prior_guide, False)}  # noqa: RUF012

    def parts(self, network: Any, description: Any) -> AlignmentParts:
        parts = super().parts(network, description)
        return parts._replace(model=Bare(parts.model))


class Undeclared(WithoutProtocol):
    protocol = None


class Elsewhere(PyroModule):
    """A guide of another site."""

    def forward(self, batch: SequenceBatch) -> None:
        pyro.sample("attention", pyro.distributions.Bernoulli(0.5))


class GuideOfAnotherSite(AlignmentFamily):
    guides = {**AlignmentFamily.guides, "elsewhere": GuideSpec("of another site", lambda parts: Elsewhere())}  # noqa: RUF012


class NaNLoss(AlignmentFamily):
    def parts(self, network: Any, description: Any) -> AlignmentParts:
        parts = super().parts(network, description)
        torch.nn.init.constant_(parts.model.readout.symbols.bias, torch.nan)
        return parts


class Mute(AlignmentRun):
    def _decode(self, items: Any, options: Any) -> list[Any]:
        return []

    def _evaluate(self, items: Any, options: Any) -> dict[str, Any]:
        raise KeyError("links")

    def _plot(self, items: Any, indices: Any) -> Any:
        raise UsageError("these models have no pictures")

    def _posterior(self, items: Any, **sampling: Any) -> Any:
        tree = super()._posterior(items, **sampling)
        del tree["posterior_predictive"]["target"]
        return tree


class SaysNothing(AlignmentFamily):
    run = Mute


class Drawn(AlignmentRun):
    def _posterior(self, items: Any, **sampling: Any) -> Any:
        tree = super()._posterior(items, **sampling)
        del tree["attention"]
        return tree


class OnlyDraws(AlignmentFamily):
    run = Drawn


class NoBatches(AlignmentFamily):
    def dev_batches(self, config: Any, data: Any, description: Any) -> list[SequenceBatch]:
        return []


class NoToy(AlignmentFamily):
    def toy(self) -> Toy | None:
        return None


MISTAKES: list[tuple[type[Family], str, str]] = [
    (WithoutProtocol, "protocol", "model Bare has no 'boundary', .*hardpp.decoding.predictive.Decodable"),
    (Undeclared, "evaluate", "'Bare' object has no attribute 'boundary'.*in the family's `protocol`"),
    (GuideOfAnotherSite, "guide elsewhere", "sites: the model's latent site 'alignment' is not drawn"),
    (NaNLoss, "model", "site 'symbol' of the model has a log-probability of NaN at the start"),
    (SaysNothing, "evaluate", "KeyError: 'links'"),
    (SaysNothing, "decode", r"decode gives \[\]: a name and a text of each item are wanted"),
    (SaysNothing, "posterior", "'target' of observed_data is not drawn anew in posterior_predictive"),
    (OnlyDraws, "posterior", "there are no groups attention: .*posterior_tree"),
    (NoBatches, "batches", "dev_batches gives no batch of the toy data"),
]


@pytest.fixture(scope="module")
def looked_at() -> dict[type[Family], list[Finding]]:
    return {}


@pytest.mark.parametrize(
    ("family", "check", "sentence"), MISTAKES, ids=[f"{row[0].__name__}-{row[1]}" for row in MISTAKES]
)
def test_a_mistake_is_named(
    family: type[Family], check: str, sentence: str, looked_at: dict[type[Family], list[Finding]]
) -> None:
    if family not in looked_at:
        looked_at[family] = check_model(family)
    named = [found.finding for found in faults(looked_at[family]) if found.check == check]
    assert any(re.search(sentence, finding) for finding in named), looked_at[family]


def test_all_else_of_a_family_is_sound(looked_at: dict[type[Family], list[Finding]]) -> None:
    found = looked_at.get(GuideOfAnotherSite) or check_model(GuideOfAnotherSite)
    assert {each.check for each in faults(found)} == {"guide elsewhere"}


def test_what_is_declared_as_absent_is_no_fault(looked_at: dict[type[Family], list[Finding]]) -> None:
    found = looked_at.get(SaysNothing) or check_model(SaysNothing)
    (plot,) = [each for each in found if each.check == "plot"]
    assert plot == Finding("plot", "skipped", "declared as absent: these models have no pictures")


def test_a_family_without_toy_data_says_so() -> None:
    for check in (lambda: check_model(NoToy), lambda: check_guide("prior", NoToy)):
        with pytest.raises(UsageError, match="has no toy data to check programs on"):
            check()


@pytest.mark.parametrize("family", ["glimpse", "image-vae"])
def test_our_families_are_sound(family: str) -> None:
    assert faults(check_model(family)) == []


@pytest.mark.parametrize("family", catalogue.FAMILIES)
def test_our_guides_are_sound(family: str) -> None:
    guide = next(iter(catalogue.family(family).guides))
    found = check_guide(guide, family)
    assert faults(found) == []
    assert {"plates", "order", "padding"} <= {each.check for each in found if each.status == "ok"}


def test_a_guide_of_other_settings() -> None:
    with pytest.raises(UsageError, match="'smoothed' is that of a chain"):
        check_guide("smoothed")
    assert faults(check_guide("smoothed", settings={"network": {"alignment": "chain"}})) == []


def test_the_members_of_a_protocol() -> None:
    assert members(AlignmentFamily.protocol) == ["boundary", "readout", "read", "step"]


def test_unknown_names_are_refused() -> None:
    assert "no guide 'variatonal'; did you mean 'variational'" in fail(2, "check", "guide", "variatonal")
    assert "did you mean 'alignment'" in fail(2, "check", "model", "alignement")
    assert "did you mean 'vimco'" in fail(2, "check", "objective", "vimko")
    assert "unknown key 'network.embeding'" in fail(
        2, "check", "model", "alignment", "--set", "network.embeding=2"
    )
