"""The table of objectives: what its rows say of themselves, and the options that they offer."""

import json
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from hardpp.errors import UsageError
from hardpp.inference import VIMCO, LearnedBaseline, ScoreFunctionELBO, SurrogateObjective
from hardpp.inference.control.schedules import EntropyBonus, KLWarmUp
from hardpp.inference.weights.proposals import Proposal
from hardpp.tasks.configuration import resolve, stored
from hardpp.tasks.listing import list_options
from hardpp.tasks.objectives import OBJECTIVES, ObjectiveSpec, build, options_of
from hardpp.types import Need

every_row = pytest.mark.parametrize("name", OBJECTIVES)
SCORE_FUNCTION = ["elbo", "reinforce", "rloo", "nvil", "hybrid"]

# bound, unbiased, trains the guide, needs besides latents
ROWS: dict[str, tuple[str, bool, bool, set[Need]]] = {
    "elbo": ("elbo", True, True, set()),
    "tracegraph": ("elbo", False, True, set()),
    "reinforce": ("elbo", True, True, set()),
    "hybrid": ("elbo", False, True, {"predictions"}),
    "rloo": ("elbo", True, True, set()),
    "nvil": ("elbo", False, True, set()),
    "iwae": ("iw", True, True, set()),
    "vimco": ("iw", True, True, set()),
    "vimco-temporal": ("iw", True, True, {"emission-counts"}),
    "ovis": ("iw", False, True, set()),
    "rws": ("iw", False, True, set()),
    "trajectory-balance": ("iw", False, True, set()),
    "imitation": ("none", False, False, {"policy"}),
    "sum-and-sample": ("elbo", True, True, {"enumerable", "independent"}),
    "unordered-set": ("elbo", True, True, {"enumerable"}),
    "disarm": ("elbo", True, True, {"enumerable"}),
    "exact": ("exact", True, False, {"marginal"}),
    "enum": ("elbo", True, True, {"enumerable"}),
    "soft": ("none", False, False, {"relaxable"}),
    "rebar": ("elbo", True, True, {"relaxable", "independent"}),
    "gumbel": ("none", False, True, {"relaxable"}),
    "dirichlet": ("none", False, True, {"relaxable"}),
}


@every_row
def test_rows_say_what_they_are_and_need(name: str) -> None:
    before = torch.get_rng_state()
    declared = OBJECTIVES[name].declared
    assert torch.equal(torch.get_rng_state(), before)
    bound, unbiased, trains_guide, needs = ROWS[name]
    assert (declared.bound, declared.unbiased, declared.trains_guide) == (bound, unbiased, trains_guide)
    assert declared.needs == needs | (set() if name == "exact" else {"latents"})
    assert declared.prediction == ("expected" if name == "soft" else "marginal")


@pytest.mark.parametrize(
    ("name", "options", "needs"),
    [
        ("elbo", {"baseline": "temporal"}, {"emission-counts"}),
        ("elbo", {"baseline": "soft-attention"}, {"relaxable"}),
        ("hybrid", {"baseline": "temporal"}, {"emission-counts"}),
        ("vimco", {"control": "temporal"}, {"emission-counts"}),
        ("rws", {"insomnia": 0.5}, {"dreams"}),
        ("rws", {"insomnia": 0.5, "train_guide": False}, set()),
    ],
)
def test_options_add_to_what_is_needed(name: str, options: dict[str, Any], needs: set[Need]) -> None:
    assert build(OBJECTIVES[name], options).needs == needs | OBJECTIVES[name].kind.needs
    assert not OBJECTIVES[name].kind.needs & needs  # the class stays as it is


def test_a_class_with_options_that_must_be_given_speaks_for_itself() -> None:
    assert ObjectiveSpec(VIMCO).declared is VIMCO
    assert isinstance(OBJECTIVES["vimco"].declared, VIMCO)


@every_row
def test_every_option_is_explained(name: str) -> None:
    for row in list_options(OBJECTIVES[name]):
        assert row["what"], row["option"]
        assert len(row["what"]) < 110, row["option"]
        assert not row["what"].endswith(".")


@every_row
def test_the_defaults_build_the_objective(name: str) -> None:
    spec = OBJECTIVES[name]
    objective = build(spec, options_of(spec)().model_dump())
    assert isinstance(objective, spec.kind)
    assert json.loads(options_of(spec)().model_dump_json()) == options_of(spec)().model_dump()


def test_named_settings_are_settings() -> None:
    reinforce, rloo, nvil = (build(OBJECTIVES[name], {}) for name in ("reinforce", "rloo", "nvil"))
    assert isinstance(reinforce, ScoreFunctionELBO)
    assert (reinforce.credit, reinforce.baseline, reinforce.moments) == ("global", None, None)
    assert isinstance(rloo, ScoreFunctionELBO)
    assert (rloo.credit, rloo.baseline, rloo.moments) == ("causal", "leave-one-out", None)
    assert isinstance(nvil, ScoreFunctionELBO)
    assert nvil.credit == "causal"
    assert isinstance(nvil.baseline, LearnedBaseline)
    assert nvil.moments is not None
    assert not {"baseline", "normalize"} & set(options_of(OBJECTIVES["rloo"]).model_fields)
    for name, options in (("nvil", {"baseline": "temporal"}), ("rloo", {"particles": 1})):
        with pytest.raises(UsageError, match="baseline"):
            resolve([{"objective": name, "inference": options, "data": {"name": "."}}])


# --- schedules --------------------------------------------------------------------------------------


def weights(objective: Any) -> list[float]:
    bonus, found = objective.entropy_bonus, []
    assert isinstance(bonus, EntropyBonus)
    for _ in range(6):
        found.append(float(bonus()))
        bonus.advance()
    return found


@pytest.mark.parametrize("name", SCORE_FUNCTION)
def test_an_entropy_bonus_of_plain_numbers(name: str) -> None:
    spec = OBJECTIVES[name]
    falls = {"entropy_bonus": 2.0, "entropy_bonus_steps": 4}
    assert weights(build(spec, falls)) == pytest.approx([2, 1.55, 1.1, 0.65, 0.2, 0.2])
    ends = build(spec, falls | {"entropy_bonus_final": 0.0})
    assert weights(ends) == pytest.approx([2, 1.5, 1.0, 0.5, 0.0, 0.0])
    stays = build(spec, {"entropy_bonus": 2.0})
    assert weights(stays) == [2.0] * 6
    assert (ends.unbiased, stays.unbiased) == (spec.declared.unbiased, False)
    assert build(spec, {}).entropy_bonus is None  # type: ignore[attr-defined]
    for wrong, words in (
        ({"entropy_bonus": -1.0}, "0 or more"),
        ({"entropy_bonus": 1.0, "entropy_bonus_steps": -1}, "0 or more"),
        ({"entropy_bonus": 1.0, "entropy_bonus_final": 1.5}, "a share of entropy_bonus, 0 to 1, not 1.5"),
    ):
        with pytest.raises(UsageError, match=words):
            build(spec, wrong)


@pytest.mark.parametrize("name", ["elbo", "reinforce", "rloo", "nvil", "enum", "gumbel", "dirichlet"])
def test_a_warm_up_of_plain_numbers(name: str) -> None:
    warm: Any = build(OBJECTIVES[name], {"kl_warmup": 7})
    assert isinstance(warm.kl_weight, KLWarmUp)
    assert warm.kl_weight.steps == 7
    cold: Any = build(OBJECTIVES[name], {})
    assert cold.kl_weight is None
    with pytest.raises(UsageError, match="kl_warmup is a number of steps, 0 or more, not -1"):
        build(OBJECTIVES[name], {"kl_warmup": -1})


@pytest.mark.parametrize("name", ["rws", "trajectory-balance"])
def test_a_proposal_of_plain_values(name: str) -> None:
    def proposal(**options: Any) -> Any:
        return build(OBJECTIVES[name], options).proposal  # type: ignore[attr-defined]

    assert proposal() == Proposal("none")
    assert proposal(proposal="temperature") == Proposal("temperature")
    assert proposal(proposal="mixture", mixture=0.3) == Proposal("mixture", mixture=0.3)
    with pytest.raises(UsageError, match="a temperature that flattens is at least 1"):
        proposal(proposal="temperature", temperature=0.5)
    with pytest.raises(UsageError, match="mixture is a share above 0 and at most 1"):
        proposal(mixture=-1.0)
    with pytest.raises(ValidationError, match="'temperature', 'mixture' or 'none'"):
        proposal(proposal="flat")


# --- strangers and old runs -------------------------------------------------------------------------


class Stranger(SurrogateObjective):
    """Somebody else's.

    Args:
        sharpness: how sharp. More of it here.
    """

    def __init__(self, sharpness: float = 1.0, *, kl_warmup: int = 3, max_plate_nesting: float = 2):
        super().__init__(max_plate_nesting=max_plate_nesting)
        self.numbers = (sharpness, kl_warmup)


def test_the_options_of_a_stranger_are_its_own() -> None:
    spec = ObjectiveSpec(Stranger)
    rows = {row["option"]: row["what"] for row in list_options(spec)}
    assert rows == {"sharpness": "how sharp", "kl_warmup": ""}
    assert build(spec, {"kl_warmup": 5}).numbers == (1.0, 5)  # type: ignore[attr-defined]
    assert spec.what == "Somebody else's"


def test_an_option_that_never_had_an_effect_is_refused_but_opens_old_runs() -> None:
    given = {"objective": "soft", "inference": {"particles": 1}, "data": {"name": "."}}
    with pytest.raises(UsageError, match="objective 'soft' has no option 'particles'"):
        resolve([given])
    new = resolve([given | {"inference": {}}])
    assert new.inference == {}
    old = json.loads(new.model_dump_json(exclude_none=True)) | {"inference": {"particles": 1}}
    assert stored(old) == new
