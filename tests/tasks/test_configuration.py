"""How layers become a configuration: what a data set recommends stands under what the user says."""

from pathlib import Path
from typing import Any

import pytest
from corpora import fail, hardpp, settings, write_corpus

from hardpp.config import read_toml, to_toml
from hardpp.errors import UsageError
from hardpp.tasks.catalogue import FAMILIES, OBJECTIVES, family
from hardpp.tasks.catalogue import objective as make_objective
from hardpp.tasks.configuration import resolve, stored
from hardpp.tasks.family import Family
from hardpp.tasks.listing import list_settings


class Unfinished(Family):
    """A family that declares something and answers nothing."""

    name = summary = unit = "unfinished"


def refusal(*layers: dict[str, Any]) -> str:
    with pytest.raises(UsageError) as caught:
        resolve([{"data": {"name": "."}}, *layers])
    return str(caught.value)


def test_preset_file_set_and_flags_in_this_order(tmp_path: Path) -> None:
    # Each layer is the last word on one key; the dev bound is printed only if all were accepted.
    write_corpus(tmp_path / "data")
    file = tmp_path / "run.toml"
    file.write_text("seed = 5\n[network]\ndropout = 0.1\ndecoder = 16\n[training]\nmax_steps = 5\n")
    paper = resolve([{"preset": "paper", "data": {"name": "."}}])
    layers = [{"preset": "paper", "data": {"name": "."}}, read_toml(file), {"network": {"decoder": 24}}]
    config = resolve([*layers, {"training": {"max_steps": 9}}])
    assert (config.network["decoder"], config.network["dropout"]) == (24, 0.1)
    assert config.network["embedding"] == paper.network["embedding"]
    assert config.optimiser == paper.optimiser
    assert (config.seed, config.training.max_steps) == (5, 9)

    run = tmp_path / "run"
    words = ["train", "--data", tmp_path / "data", "--config", file, *settings(), "--out", run]
    words += ["--set", "network.decoder=6", "--set", "seed=6", "--seed", "7", "--max-steps", "1"]
    assert hardpp(*words, "--device", "cpu").exit_code == 0
    stored = read_toml(run / "config.toml")
    assert stored["network"]["decoder"] == 6  # --set over the file
    assert stored["network"]["dropout"] == 0.1  # the file over the preset
    assert (stored["seed"], stored["training"]["max_steps"]) == (7, 1)  # flags over --set and file


def test_every_problem_is_told_in_one_message_and_before_data_is_read(tmp_path: Path) -> None:
    (tmp_path / "bad.tsv").write_bytes(b"\xff\n")
    words = ["--objective", "elb", "--preset", "smal", "--guide", "variation"]
    words += ["--set", "trainig.batch_size=1", "--set", "network.embeding=3", "--set", "network.dropout=1.5"]
    words += ["--set", "training.patience=soon", "--set", "batch_size=3", "--device", "gpu"]
    message = fail(2, "train", "--data", tmp_path / "bad.tsv", *words, "--out", tmp_path / "run")
    for part in (
        "no objective 'elb'; did you mean 'elbo'?",
        "no preset 'smal'; did you mean 'small'?",
        "no guide 'variation'; did you mean 'variational'?",
        "unknown key 'trainig'; did you mean 'training'?",
        "unknown key 'network.embeding'; did you mean 'network.embedding'?",
        "network.dropout: input should be less than 1, got 1.5",
        "training.patience: input should be a valid integer, got 'soon'",
        "unknown key 'batch_size'; did you mean 'training.batch_size'?",
        "device: input should be 'auto', 'cpu' or 'cuda', got 'gpu'",
    ):
        assert part in message
    assert len(message.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("tables", "part"),
    [
        ({"inference": {"particles": 0}}, "inference.particles: input should be greater than or equal to 1"),
        ({"inference": {"basline": "none"}}, "'elbo' has no option 'basline'; did you mean 'baseline'?"),
        ({"model": "alignmnt"}, "there is no model 'alignmnt'; did you mean 'alignment'?"),
        ({"model": "zzz"}, "there is no model 'zzz' (there are: alignment, "),
        ({"model": "no_such_module:Task"}, "model 'no_such_module:Task' cannot be imported"),
        ({"model": ":Task"}, "cannot be imported"),
        ({"objective": "json:JSONDecoder"}, "is no subclass of SurrogateObjective"),
        ({"objective": "json:nothing"}, "cannot be imported"),
        ({"guide": "module:Guide"}, "guide 'module:Guide' cannot be imported"),
        ({"model": "os:abort"}, "model 'os:abort' is no model family: it is no subclass of Family"),
        ({"model": "json:JSONDecoder"}, "is no model family: it is no subclass of Family"),
        ({"model": f"{__name__}:Unfinished"}, "is no model family: it has no describe, dev_batches, "),
        ({"seed": -1}, "seed: input should be greater than or equal to 0, got -1"),
        ({"seed": True}, "seed: input should be a valid integer, got True"),
        ({"seed": "0"}, "seed: input should be a valid integer, got '0'"),
        ({"network": 3}, "network: input should be a valid dictionary, got 3"),
        ({"training": 3}, "training is a table of settings, got 3"),
        ({"inference": [1]}, "inference: input should be a valid dictionary, got [1]"),
        ({"data": {"mixed": 25}}, "unknown key 'data.mixed' (there are: data.name, "),  # it is for speech
        ({"model": "caption", "data": {"on_bad": "leave"}}, "data.on_bad: input should be 'stop' or 'skip'"),
        ({"model": "glimpse", "data": {"pieces": 10}}, "unknown key 'data.pieces'"),
        ({"data": {"pieces": 0}}, "data.pieces: input should be greater than or equal to 1"),
        ({"pieces": 10}, "unknown key 'pieces'; did you mean 'data.pieces'?"),
        ({"model": "online-alignment", "phones": 39}, "did you mean 'data.phones'?"),
        ({"beam": 5}, "unknown key 'beam'; did you mean 'decoding.beam'?"),
        ({"guid": "prior"}, "unknown key 'guid'; did you mean 'guide'?"),  # and not network.guide
        ({"data": {"name": 3}}, "data.name: input should be a valid string, got 3"),
        ({"data": {"name": False}}, "data.name: input should be a valid string, got False"),
        ({"data": "words.tsv"}, "data is a table of settings, got 'words.tsv'"),
        ({"training": {"batch_size": {"x": 1}}}, "training.batch_size: input should be a valid integer"),
        ({"optimiser": {"learning_rate": float("inf")}}, "learning_rate: input should be a finite number"),
        ({"optimiser": {"average": 1.0}}, "optimiser.average: input should be less than 1"),
        ({"network": {"scorer": "dot"}}, "network.scorer: input should be 'bilinear' or 'additive'"),
        (
            {"data": {"name": "cmudic"}},
            "there is no data set, file or folder 'cmudic'; did you mean 'cmudict'?",
        ),
        ({"data": {"name": "zzz"}}, "there is no data set, file or folder 'zzz' (there are: cmudict, "),
        ({"data": {"name": "no/words.tsv"}}, "there is no file or folder 'no/words.tsv'"),
    ],
)
def test_what_is_wrong_with_a_configuration(tables: dict[str, Any], part: str) -> None:
    assert part in refusal(tables)


@pytest.mark.parametrize(
    ("tables", "part"),
    [
        ({"objective": "exact", "guide": "variational"}, "'exact' trains no guide"),
        ({"objective": "soft", "guide": "variational"}, "'soft' trains no guide"),
        ({"inference": {"baseline": "leave-one-out", "particles": 1}}, "needs at least 2, got 1"),
        ({"objective": "enum", "inference": {"particles": 3}}, "'enum' has no option 'particles'"),
        ({"objective": "exact", "inference": {"particles": 3}}, "'exact' has no option 'particles'"),
        ({"objective": "exact", "inference": {"baseline": "none"}}, "'exact' has no option 'baseline'"),
        (
            {"objective": "tracegraph", "inference": {"baseline": "soft-attention"}},
            "has no option 'baseline'",
        ),
    ],
)
def test_impossible_pairs(tables: dict[str, Any], part: str, tmp_path: Path) -> None:
    (tmp_path / "bad.tsv").write_bytes(b"\xff\n")  # reading it would end in 3
    words = settings({**tables, "data": {"name": str(tmp_path / "bad.tsv")}})
    assert part in fail(2, "train", *words, "--out", tmp_path / "run")
    fail(3, "train", *settings({"data": {"name": str(tmp_path / "bad.tsv")}}), "--out", tmp_path / "run")


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_guide_that_is_left_out_is_the_one_that_is_trained(objective: str) -> None:
    config = resolve([{"objective": objective, "data": {"name": "."}}])
    assert config.guide == ("variational" if OBJECTIVES[objective].kind.trains_guide else "prior")
    assert isinstance(make_objective(objective, config.inference), OBJECTIVES[objective].kind)


@pytest.mark.parametrize("model", FAMILIES)
def test_every_family_reads_data_its_own_way(model: str) -> None:
    tables = {"model": model, "data": {"train_limit": 7}}
    config = resolve([tables])
    assert type(config.data) is family(model).data
    assert (config.data.name, config.data.train_limit) == (family(model).data_sets[0], 7)
    own = set(family(model).data.model_fields)
    assert set(config.model_dump()["data"]) == own
    rows = {row["setting"] for row in list_settings(config)}
    assert {name for name in rows if name.startswith("data.")} == {f"data.{name}" for name in own}


def test_a_configuration_survives_its_file(tmp_path: Path) -> None:
    name = 'wörter "und" mehr\\.tsv'
    config = resolve([{"preset": "paper", "data": {"name": "."}, "seed": 3, "threads": 1}])
    config = config.model_copy(update={"data": config.data.model_copy(update={"name": name})})
    (tmp_path / "config.toml").write_text(to_toml(config), encoding="utf-8")
    tables = read_toml(tmp_path / "config.toml")
    assert stored(tables) == config
    tables["data"]["name"] = "."
    assert resolve([tables]).model_dump(exclude={"data"}) == config.model_dump(exclude={"data"})


@pytest.mark.parametrize(
    "update", [{"network": {"embeding": 3}}, {"guide": "x"}, {"objective": "exact"}, {"model": "x"}]
)
def test_a_stored_configuration_is_one_that_could_be_made(update: dict[str, Any]) -> None:
    config = resolve([{"data": {"name": "."}}])
    with pytest.raises(UsageError):
        stored(config.model_copy(update=update).model_dump(exclude_none=True))


def chosen(**tables: object) -> tuple[str, str]:
    config = resolve([{"model": "question-answering"}, tables])
    return config.objective, config.guide


def test_a_recommended_objective_makes_way_for_the_users() -> None:
    assert chosen() == ("exact", "prior")
    assert chosen(objective="enum") == ("enum", "variational")
    assert chosen(guide="variational") == ("elbo", "variational")
    assert chosen(guide="prior") == ("exact", "prior")
    with pytest.raises(UsageError, match="trains no guide"):
        chosen(objective="exact", guide="variational")


def test_an_objective_that_trains_no_guide_takes_one_that_was_trained_before() -> None:
    tables = {"model": "question-answering", "objective": "elbo", "guide": "variational"}
    run = resolve([{**tables, "then": ["exact guide=variational"]}])
    assert [(stage.objective, stage.guide) for stage in run.stages()] == [
        ("elbo", "variational"),
        ("exact", "variational"),
    ]
    begun = resolve([{**tables, "objective": "exact", "init_from": "/somewhere"}])
    assert (begun.objective, begun.guide) == ("exact", "variational")
    for objective, guide in (("enum", "prior"), ("exact", "prior")):
        with pytest.raises(UsageError, match="trains no guide"):
            resolve([{**tables, "objective": objective, "guide": guide, "then": ["exact guide=variational"]}])


def test_one_particle_is_compared_with_what_the_family_has() -> None:
    def baseline(model: str, **inference: object) -> object:
        found = resolve([{"model": model, "objective": "elbo", "inference": inference}])
        return found.inference["baseline"]

    assert baseline("caption", particles=1) == "soft-attention"
    assert baseline("glimpse", particles=1) == "average"
    assert baseline("glimpse", particles=2) == "leave-one-out"
    assert baseline("glimpse", particles=1, baseline="learned") == "learned"


def test_settings_lie_under_the_preset_and_the_user() -> None:
    def config(preset: str, **training: int) -> tuple[int, int, float]:
        found = resolve([{"data": {"name": "ding"}, "preset": preset, "training": training}])
        return found.training.max_epochs, found.network["decoder"], found.decoding["length_penalty"]

    epochs, decoder, penalty = config("small")
    assert penalty == 1.0
    assert decoder < 768
    assert config("paper") == (epochs, 768, 1.0)
    assert config("small", max_epochs=2) == (2, decoder, 1.0)
    assert resolve([{}]).data.name == "cmudict"
