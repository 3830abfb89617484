"""What the stages of a run are, which settings each has, and what is refused."""

import tomllib
from typing import Any

import pytest

from hardpp.config import RunConfig, read_toml, to_toml
from hardpp.errors import UsageError
from hardpp.runs.new_run import configuration
from hardpp.tasks.configuration import resolve, stored
from hardpp.tasks.stages import parse_then

THREE = ["representation", "locations", "joint"]


def saccader(*layers: dict[str, Any]) -> list[RunConfig]:
    return resolve([{"model": "saccader"}, *layers]).stages()


def words(*layers: dict[str, Any]) -> list[RunConfig]:
    return resolve([{"data": {"name": "."}}, *layers]).stages()


def names(stages: list[RunConfig]) -> list[str]:
    return [stage.stage for stage in stages]


def refusal(*layers: dict[str, Any], model: str = "saccader") -> str:
    data = {} if model == "saccader" else {"data": {"name": "."}}
    with pytest.raises(UsageError) as found:
        resolve([{"model": model, **data}, *layers])
    return str(found.value)


def test_data_that_are_not_there_are_all_that_is_wrong() -> None:
    """A stage that goes on with the guide of one that was refused is not blamed for that."""
    with pytest.raises(UsageError) as found:
        resolve([{"model": "image-vae", "data": {"name": "none/at-all"}}])
    assert str(found.value) == "there is no file or folder 'none/at-all'"


# --- which stages there are -------------------------------------------------------------------------------


def test_a_family_s_own_stages_come_first() -> None:
    stages = saccader()
    assert names(stages) == THREE
    assert [(s.objective, s.guide) for s in stages] == [
        ("exact", "prior"),
        ("imitation", "ordered-logits"),
        ("hybrid", "prior"),
    ]
    assert [s.network["reading"] for s in stages] == ["dense", "glimpses", "glimpses"]
    assert [s.network["glimpses"] for s in stages] == [6, 12, 6]
    assert [s.training.frozen for s in stages] == [[], ["representation"], []]
    assert [s.training.max_epochs for s in stages] == [10, 5, 5]
    assert [s.optimiser.learning_rate for s in stages] == [3e-3, 1e-3, 3e-4]


def test_a_run_without_stages_has_one_without_a_name() -> None:
    assert names(words()) == [""]
    assert resolve([{"data": {"name": "."}}]).before == []


def test_those_that_follow_are_named_by_their_objective() -> None:
    assert names(words({"objective": "soft", "then": ["enum", "rloo guide=prior"]})) == [
        "soft",
        "enum",
        "rloo",
    ]
    assert names(words({"then": ["enum"]})) == ["first", "enum"]
    named = {"then": [{"objective": "enum", "name": "sharper"}, {"objective": "enum", "name": ""}]}
    assert names(words({"objective": "soft"}, named)) == ["soft", "sharper", "enum"]
    assert names(saccader({"then": ["rloo"]})) == [*THREE, "rloo"]


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        (["exact", "exact"], ["exact", "exact-2", "exact-3"]),
        (["enum", {"objective": "enum", "name": "exact"}], ["exact", "enum", "exact-2"]),
        ([{"objective": "enum", "name": "exact-2"}, "exact"], ["exact", "exact-2", "exact-3"]),
        (["exact", {"objective": "enum", "name": "exact-2"}], ["exact", "exact-3", "exact-2"]),
    ],
)
def test_no_two_stages_have_one_name(then: list[Any], expected: list[str]) -> None:
    assert names(words({"objective": "exact", "then": then})) == expected


@pytest.mark.parametrize("chosen", [["joint", "locations"], "locations,joint", " locations , joint "])
def test_some_stages_are_run_in_the_order_of_the_plan(chosen: Any) -> None:
    assert names(saccader({"stages": chosen})) == ["locations", "joint"]
    assert names(saccader({"stages": []})) == THREE


def test_one_stage_alone_is_a_run_like_any_other() -> None:
    (dense,) = saccader({"stages": "representation"})
    whole = saccader()[0]
    assert dense == whole.model_copy(update={"stage": ""})
    (last,) = words({"objective": "soft", "then": ["enum training.max_epochs=3"], "stages": ["enum"]})
    assert (last.objective, last.training.max_epochs) == ("enum", 3)


def test_a_line_is_a_table() -> None:
    assert parse_then("rloo guide=prior training.max_epochs=5 inference.particles=4 name='a b'") == {
        "objective": "rloo",
        "guide": "prior",
        "training": {"max_epochs": 5},
        "inference": {"particles": 4},
        "name": "a b",
    }
    assert parse_then("enum") == {"objective": "enum"}


# --- what settings each has -------------------------------------------------------------------------------


def test_what_is_said_of_the_run_holds_for_all_but_its_method_for_its_own_stage() -> None:
    said = {
        "optimiser": {"learning_rate": 0.5},
        "training": {"max_epochs": 3},
        "network": {"stem": 4},
        "objective": "rloo",
        "guide": "label-aware",
        "inference": {"particles": 7},
        "seed": 5,
    }
    stages = saccader(said, {"then": ["vimco"]})
    for stage in stages:
        assert (stage.optimiser.learning_rate, stage.training.max_epochs) == (0.5, 3)
        assert (stage.network["stem"], stage.seed) == (4, 5)
    assert [stage.objective for stage in stages] == ["exact", "imitation", "rloo", "vimco"]
    assert [stage.guide for stage in stages] == ["prior", "ordered-logits", "label-aware", "label-aware"]
    assert [stage.inference.get("particles") for stage in stages] == [None, 1, 7, 4]


PRESET = "small112"


def test_the_order_of_strength_of_settings() -> None:
    """Recommended; preset; the run's; what makes the stage what it is; the stage's."""

    def of_locations(*layers: dict[str, Any]) -> RunConfig:
        return saccader(*layers)[1]

    # What is recommended for a stage is over what is recommended for the run, and under what is said of it.
    assert saccader()[0].optimiser.learning_rate == 3e-3
    assert saccader({"optimiser": {"learning_rate": 0.1}})[0].optimiser.learning_rate == 0.1
    # A preset's number of glimpses for the stage gives way to the run's, and that to the stage's.
    assert of_locations({"preset": PRESET}).network["glimpses"] == 12
    assert of_locations({"preset": "tiny64"}).network["glimpses"] == 6
    run = {"preset": PRESET, "network": {"glimpses": 3}}
    assert of_locations(run).network["glimpses"] == 3
    own = {"stage": {"locations": {"network": {"glimpses": 4}}}}
    assert [stage.network["glimpses"] for stage in saccader(run, own)] == [3, 4, 3]
    # A preset lies over what is recommended.
    assert [stage.training.max_epochs for stage in saccader({"preset": "paper"})] == [120] * 3
    # What makes a stage what it is is stronger than what is said of the run, and weaker than of the stage.
    said = {"network": {"reading": "glimpses"}, "training": {"frozen": []}}
    stages = saccader(said)
    assert stages[0].network["reading"] == "dense"
    assert stages[1].training.frozen == ["representation"]
    own = {"stage": {"locations": {"training": {"frozen": ["attention"]}}}}
    assert saccader(said, own)[1].training.frozen == ["attention"]
    own = {"stage": {"locations": {"guide": "centre"}}}
    assert saccader(own)[1].guide == "centre"
    # Of a stage that follows, its line is part of what makes it what it is.
    then = {"then": ["rloo training.max_epochs=2"], "training": {"max_epochs": 9}}
    assert [stage.training.max_epochs for stage in saccader(then)] == [9, 9, 9, 2]
    own = {"stage": {"rloo": {"training": {"max_epochs": 4}}}}
    assert saccader(then, own)[3].training.max_epochs == 4


def test_a_stage_that_follows_has_what_is_recommended_with_its_objective() -> None:
    stages = saccader({"then": ["rloo", "rws", "hybrid"]})
    assert [stage.guide for stage in stages[3:]] == ["prior", "label-aware", "prior"]
    assert stages[3].inference["particles"] == 2
    assert stages[5].inference["baseline"] == "batch"


def test_the_file_of_a_configuration_is_the_configuration(tmp_path: Any) -> None:
    for config in (
        resolve([{"model": "saccader", "then": ["rws", "rloo optimiser.kind=sgd"]}]),
        resolve([{"model": "saccader", "stages": "representation"}]),
        resolve([{"data": {"name": "."}, "objective": "soft", "then": ["enum guide=prior"]}]),
    ):
        path = tmp_path / "config.toml"
        path.write_text(to_toml(config))
        again = stored(read_toml(path))
        assert again == config
        assert again.stages() == config.stages()


def test_a_file_may_have_stages_as_tables() -> None:
    text = """
        model = "saccader"
        stages = ["locations", "rloo"]
        [[then]]
        objective = "rloo"
        training.max_epochs = 3
        [stage.locations.network]
        glimpses = 5
    """
    locations, last = resolve([tomllib.loads(text)]).stages()
    assert (locations.stage, locations.network["glimpses"]) == ("locations", 5)
    assert (last.stage, last.training.max_epochs) == ("rloo", 3)


def test_lines_and_tables_are_the_same_from_python() -> None:
    line = configuration([], model="saccader", then=["rloo guide=prior training.max_epochs=5"])
    table = {"objective": "rloo", "guide": "prior", "training": {"max_epochs": 5}}
    assert configuration([], model="saccader", then=[table]) == line
    assert configuration([{"then": [table]}], model="saccader") == line


# --- refusals ---------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a stage that is not there": (
        {"stage": {"jiont": {}}},
        "there is no stage 'jiont'; did you mean 'joint'?",
    ),
    "a stage to run that is not there": (
        {"stages": ["x"]},
        "there is no stage 'x' (there are: representation, locations, joint)",
    ),
    "stages that are no list": ({"stages": 3}, "stages is a list, not 3"),
    "then that is no list": ({"then": "rloo"}, "then is a list, not 'rloo'"),
    "then without an objective": (
        {"then": [{"guide": "prior"}]},
        "a stage of `then` is a table with an objective, not {'guide': 'prior'}",
    ),
    "then of something else": ({"then": [3]}, "a stage of `then` is a table with an objective, not 3"),
    "then with data": (
        {"then": ["rloo data.side=3"]},
        "a stage of `then` has no 'data' of its own (it may have name, guide, objective, inference, network, "
        "optimiser, training)",
    ),
    "a line without an objective": (
        {"then": ["guide=prior"]},
        "--then 'guide=prior' does not begin with an objective",
    ),
    "an empty line": ({"then": [" "]}, "--then ' ' does not begin with an objective"),
    "an open quote": (
        {"then": ["rloo 'x"]},
        '--then "rloo \'x" is not of the form OBJECTIVE KEY=VALUE ... (No closing quotation)',
    ),
    "no setting": ({"then": ["rloo x"]}, "--set 'x' is not of the form section.key=value"),
    "a stage that is no table": ({"stage": {"joint": 3}}, "stage.joint is a table of settings, not 3"),
    "stages of settings that are none": (
        {"stage": 3},
        "stage is a table of stages (stage.NAME.SECTION.KEY), not 3",
    ),
    "data of a stage": (
        {"stage": {"joint": {"data": {"side": 4}}}},
        "stage.joint has no 'data' of its own (it may have guide, objective, inference, network, optimiser, "
        "training)",
    ),
    "stages before": (
        {"before": []},
        "unknown key 'before'; stages that follow are given as `then`",
    ),
    "a wrong key of one stage": (
        {"stage": {"joint": {"optimiser": {"lerning_rate": 1}}}},
        "stage joint: unknown key 'optimiser.lerning_rate'; did you mean 'optimiser.learning_rate'?",
    ),
    "a wrong key of all": (
        {"optimiser": {"lerning_rate": 1}},
        "unknown key 'optimiser.lerning_rate'; did you mean 'optimiser.learning_rate'?",
    ),
    "a wrong objective": (
        {"then": ["rlo"]},
        "stage rlo: there is no objective 'rlo'; did you mean 'rloo'?",
    ),
    "a guide that is not trained": (
        {"then": ["exact guide=label-aware"]},
        "stage exact: objective 'exact' trains no guide: leave --guide out or give prior, not label-aware, "
        "or go on from a run that has trained it (--init-from)",
    ),
    "an option of another objective": (
        {"stage": {"locations": {"inference": {"baseline": "average"}}}},
        "stage locations: objective 'imitation' has no option 'baseline' "
        "(it has: particles, supervision, supervision_steps)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_said_in_a_sentence(case: str) -> None:
    given, sentence = REFUSED[case]
    assert refusal(given) == sentence


@pytest.mark.parametrize("given", [{"stages": "x"}, {"stage": {"x": {}}}])
def test_a_run_without_stages_has_none_to_name(given: dict[str, Any]) -> None:
    assert refusal(given, model="alignment") == "this run has no stages"


def test_what_is_wrong_with_several_stages_is_said_of_each() -> None:
    stage = {"joint": {"network": {"glimpses": 0}}, "locations": {"training": {"max_epochs": 0}}}
    said = refusal({"stage": stage, "optimiser": {"average": 2}})
    assert set(said.split("; ")) == {
        "optimiser.average: input should be less than 1, got 2",
        "stage locations: training.max_epochs: input should be greater than or equal to 1, got 0",
        "stage joint: network.glimpses: input should be greater than or equal to 1, got 0",
    }
