"""Training in stages: each goes on from the best weights so far, and a run that is stopped anywhere goes on.

A run of three stages is the same to the bit, with the same lines of metrics, wherever it was cut.
"""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from corpora import TINY, fail, hashes, metrics, settings, succeed, train_command, write_corpus
from image_files import write_idx
from safetensors.torch import load_file
from torch import Tensor, nn

import hardpp
from hardpp.config import RunConfig
from hardpp.errors import CheckpointError, Interrupted, UsageError
from hardpp.runs import checkpoint, training_stages
from hardpp.runs.checkpoint_format import Checkpoint
from hardpp.runs.folder import open_run
from hardpp.runs.stage import Place, carry_over, place_of
from hardpp.runs.training import run_in_folder
from hardpp.tasks.configuration import resolve
from hardpp.tasks.family import Programs
from hardpp.tasks.stages import planned
from hardpp.types import Record

WORDS: dict[str, Any] = {
    "network": {**TINY["network"], "dropout": 0.3},
    "training": {"batch_size": 8, "log_every": 1, "max_epochs": 2},  # of 5 batches each
    "optimiser": {"warmup_steps": 2},
    "device": "cpu",
}
THEN = ["elbo guide=variational training.max_epochs=1 optimiser.learning_rate=0.01", "enum guide=variational"]
NAMES = ["exact", "elbo", "enum"]
STEPS = [10, 5, 10]

IMAGES: dict[str, Any] = {
    "model": "saccader",
    "data": {"side": 21},
    "network": {"stem": 4, "planes": [4], "blocks": [1], "strides": [2], "wide": [1], "glimpses": 2},
    "training": {"batch_size": 12, "log_every": 1, "max_epochs": 2},  # of 4 batches each
    "optimiser": {"warmup_steps": 1},
    "stage": {"locations": {"network": {"glimpses": 4}}},
    "device": "cpu",
}


class Killed(BaseException):
    """Stands for the end of the process, wherever it is."""


def run(config: RunConfig, folder: Path) -> None:
    run_in_folder(config, folder, resume=True, force=False, report=lambda text: None)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def configs(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunConfig]:
    """Of words: exact, elbo, enum. Of images: representation, locations, joint."""
    pictures = write_idx(tmp_path_factory.mktemp("images") / "idx", side=21)
    words = {"data": {"name": str(corpus)}, "objective": "exact", "then": THEN}
    return {
        "words": resolve([WORDS, words]),
        "images": resolve([IMAGES, {"data": {"name": str(pictures)}}]),
    }


@pytest.fixture(scope="module")
def whole(configs: dict[str, RunConfig], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {}
    for name, config in configs.items():
        folders[name] = tmp_path_factory.mktemp(name) / "run"
        run(config, folders[name])
    return folders


def best(folder: Path) -> str:
    return (folder / "checkpoints" / "best").read_text()


def assert_equal_runs(left: Path, right: Path) -> None:
    assert metrics(left) == metrics(right)
    assert hashes(left) == hashes(right)
    assert hashes(left, "best") == hashes(right, "best")
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in (left, right)]
    assert summaries[0] == summaries[1]


# --- the run that nothing disturbs ------------------------------------------------------------------------


def test_steps_count_on_through_the_stages(whole: dict[str, Path]) -> None:
    lines = metrics(whole["words"])
    trained = [(line["stage"], line["step"]) for line in lines if line["split"] == "train"]
    expected = [stage for stage, steps in zip(NAMES, STEPS, strict=True) for _ in range(steps)]
    assert trained == list(zip(expected, range(1, 26), strict=True))
    looked = [(line["stage"], line["step"]) for line in lines if line["split"] == "dev"]
    assert looked == [("exact", 5), ("exact", 10), ("elbo", 15), ("enum", 20), ("enum", 25)]
    assert [line["epoch"] for line in lines if line["split"] == "dev"] == [1, 2, 1, 1, 2]


def test_each_stage_has_a_warm_up_and_a_decay_of_its_own(whole: dict[str, Path]) -> None:
    rates: dict[str, list[float]] = {}
    for line in metrics(whole["words"]):
        if line["split"] == "train":
            rates.setdefault(line["stage"], []).append(line["learning_rate"])
    for name, top in (("exact", 4e-3), ("elbo", 1e-2), ("enum", 4e-3)):
        found = rates[name]
        warmup, total = min(2, len(found) // 5), len(found)
        cosine = (1 + torch.cos(torch.pi * torch.arange(total, dtype=torch.float64) / total)) / 2
        warm = ((torch.arange(total) + 1) / max(1, warmup)).clamp(max=1)
        assert found == pytest.approx((top * cosine * warm).tolist(), rel=1e-6)


def test_the_configuration_survives_its_file(configs: dict[str, RunConfig], whole: dict[str, Path]) -> None:
    for name, config in configs.items():
        opened = open_run(whole[name], "cpu").config
        assert opened == config
        tables = tomllib.loads((whole[name] / "config.toml").read_text())
        assert [stage["name"] for stage in tables["before"]] == [stage.name for stage in config.before]
        assert tables["stage"] == config.stage


def test_the_same_run_by_the_command_line_and_from_python(
    corpus: Path, configs: dict[str, RunConfig], whole: dict[str, Path], tmp_path: Path
) -> None:
    words = ["train", "--data", corpus, "--device", "cpu", "--objective", "exact", "--out", tmp_path / "a"]
    succeed(
        *words,
        *settings({k: v for k, v in WORDS.items() if k != "device"}),
        "--then",
        THEN[0],
        "--then",
        THEN[1],
    )
    assert_equal_runs(tmp_path / "a", whole["words"])
    file = tmp_path / "run.toml"
    file.write_text(
        'objective = "exact"\n[[then]]\nobjective = "elbo"\nguide = "variational"\n'
        'training.max_epochs = 1\noptimiser.learning_rate = 0.01\n[[then]]\nobjective = "enum"\n'
        'guide = "variational"\n'
    )
    quick = settings({k: v for k, v in WORDS.items() if k != "device"})
    succeed("train", "--data", corpus, "--device", "cpu", "--config", file, "--out", tmp_path / "b", *quick)
    assert hashes(tmp_path / "b") == hashes(whole["words"])
    python = hardpp.train(
        data=corpus,
        objective="exact",
        settings=WORDS,
        then=[THEN[0], {"objective": "enum", "guide": "variational"}],
        out=tmp_path / "c",
        report=lambda text: None,
    )
    assert python.config == configs["words"]
    assert hashes(tmp_path / "c") == hashes(whole["words"])


# --- a run that is cut ------------------------------------------------------------------------------------

# What the run had done when it was cut: so many looks at its log, saves, marks or stages begun.
CUTS = {
    "within the first stage": ("show", 3),
    "at the look that ends the first stage": ("show", 12),
    "before the first stage's last checkpoint": ("save", 2),
    "between the stages": ("begin", 1),
    "while weights are carried over": ("carry", 1),
    "at the first step of the second stage": ("show", 13),
    "before the second stage's first checkpoint": ("save", 3),
    "before the second stage's best is marked": ("best", None),
    "between the second and the third": ("begin", 2),
    "within the third": ("show", 21),
    "before the last checkpoint": ("save", 5),
}


def cut(config: RunConfig, folder: Path, where: str, number: int | None, patch: pytest.MonkeyPatch) -> None:
    """Trains until the process ends in that place."""
    calls = 0

    def killing(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            if name == where:
                calls += 1
                if calls == number:
                    raise Killed
            return original(*args, **kwargs)

        return call

    def mark(run: Path, name: str, saved: Path) -> None:
        if where == "best" and name == "best":
            step = int(saved.name.rpartition("-")[2])
            if step > config_steps(config)[0]:
                raise Killed
        marked(run, name, saved)

    marked = checkpoint.mark
    with patch.context() as during:
        during.setattr(
            training_stages.TrainingProgress, "show", killing("show", training_stages.TrainingProgress.show)
        )
        during.setattr(checkpoint, "save", killing("save", checkpoint.save))
        during.setattr(checkpoint, "mark", mark)
        during.setattr(training_stages, "begin_stage", killing("begin", training_stages.begin_stage))
        during.setattr(training_stages, "carry_over", killing("carry", training_stages.carry_over))
        with pytest.raises(Killed):
            run(config, folder)


def config_steps(config: RunConfig) -> list[int]:
    batches = 5 if config.model == "alignment" else 4
    return [batches * stage.training.max_epochs for stage in config.stages()]


@pytest.mark.parametrize("cuts", CUTS)
def test_a_run_that_is_killed_goes_on(
    cuts: str,
    configs: dict[str, RunConfig],
    whole: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut(configs["words"], tmp_path / "run", *CUTS[cuts], monkeypatch)
    run(configs["words"], tmp_path / "run")
    assert_equal_runs(tmp_path / "run", whole["words"])


@pytest.mark.parametrize(
    "where", [("show", 4), ("begin", 1), ("show", 13), ("show", 17), ("begin", 2), ("show", 24)], ids=str
)
def test_a_run_of_images_that_is_killed_goes_on(
    where: tuple[str, int],
    configs: dict[str, RunConfig],
    whole: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a stage on features, which are computed anew."""
    cut(configs["images"], tmp_path / "run", *where, monkeypatch)
    run(configs["images"], tmp_path / "run")
    assert_equal_runs(tmp_path / "run", whole["images"])


class TakenSteps:
    """Stands for `Signals`, one of which comes after so many steps."""

    def __init__(self, count: int):
        self.left = count

    def __enter__(self) -> "TakenSteps":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def show(self, record: Record) -> None:
        self.left -= record.split == "train"

    @property
    def number(self) -> int:
        return 15 if self.left <= 0 else 0


@pytest.mark.parametrize("steps", [[3], [10], [11], [13, 2], [15], [18], [25], [4, 4, 4, 4]], ids=str)
def test_a_run_that_is_interrupted_goes_on(
    steps: list[int],
    configs: dict[str, RunConfig],
    whole: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a signal that is there after so many steps: at their end it is heeded with a checkpoint."""
    for count in steps:
        taken = TakenSteps(count)
        with monkeypatch.context() as patch:
            patch.setattr(training_stages, "Signals", lambda taken=taken: taken)
            patch.setattr(training_stages.TrainingProgress, "show", taken.show)
            with pytest.raises(Interrupted):
                run(configs["words"], tmp_path / "run")
    at = sum(steps)
    assert metrics(tmp_path / "run")[-1]["step"] == at
    run(configs["words"], tmp_path / "run")
    assert_equal_runs(tmp_path / "run", whole["words"])


# --- what is taken over -----------------------------------------------------------------------------------


def tensors(folder: Path, marker: str = "latest", file: str = "model") -> dict[str, Tensor]:
    name = (folder / "checkpoints" / marker).read_text().strip()
    return load_file(folder / "checkpoints" / name / f"{file}.safetensors")


class Watched:
    """Weights of both programs at the start of every stage, and those of the best checkpoint then."""

    def __init__(self, patch: pytest.MonkeyPatch):
        self.begun: list[dict[str, Tensor]] = []
        self.best: list[dict[str, Tensor]] = []
        self.best_step: list[str] = []
        begin = training_stages.begin_stage

        def watched(session: Any, stages: Any, number: int, folder: Path, report: Any) -> Place:
            fresh = {name: value.clone() for name, value in self.weights(session).items()}
            place = begin(session, stages, number, folder, report)
            self.fresh, self.places = fresh, [*getattr(self, "places", []), place]
            self.begun.append({name: value.clone() for name, value in self.weights(session).items()})
            self.best.append(tensors(folder, "best"))
            self.best_step.append(best(folder).strip())
            return place

        patch.setattr(training_stages, "begin_stage", watched)

    @staticmethod
    def weights(session: Any) -> dict[str, Tensor]:
        found: dict[str, Tensor] = nn.ModuleDict(session.programs._asdict()).state_dict()
        return found


def of(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name: value for name, value in weights.items() if name.startswith(prefix)}


def overfitted(corpus: Path, then: str) -> RunConfig:
    """A first stage whose best weights are not its last: 4 epochs of 5 steps, the best of step 10."""
    optimiser = {"learning_rate": 0.3, "warmup_steps": 0, "average": 0.0}
    first = {"optimiser": optimiser, "training": {"max_epochs": 4, "checkpoint_every": 1}}
    tables = {"stage": {"elbo": first}, "data": {"name": str(corpus)}, "objective": "elbo", "then": [then]}
    return resolve([TINY, {"device": "cpu", "training": {"log_every": 1}}, tables])


def test_the_best_averaged_weights_are_taken_over(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch)
    run(overfitted(corpus, "vimco training.max_steps=2 optimiser.learning_rate=1e-9"), tmp_path / "run")
    dev = [
        (r["bound"], r["step"])
        for r in metrics(tmp_path / "run")
        if (r["split"], r["stage"]) == ("dev", "elbo")
    ]
    step = max(dev)[1]
    assert step == 10
    assert watched.best_step == [f"step-{step:08d}"]
    (begun,), (expected,) = watched.begun, watched.best
    for name, value in begun.items():
        assert torch.equal(value, expected[name]), name
    assert watched.places == [Place(1, 20)]
    # Steps so small that nothing else moves the weights: the best of the next stage are still those.
    for name, value in of(tensors(tmp_path / "run", "best"), "model.").items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("steps", [0, 1])
def test_a_second_stage_that_is_killed_early_begins_with_the_best_again(
    steps: int, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where those are not the last ones, and the second stage has no checkpoint of its own yet."""
    config = overfitted(corpus, "vimco training.max_steps=3")
    run(config, tmp_path / "whole")
    before = 20 + 4  # records of the first stage
    cut(config, tmp_path / "run", "show", before + 1 + steps, monkeypatch)
    run(config, tmp_path / "run")
    assert_equal_runs(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize(("first", "second"), [("variational", "variational"), ("prior", "variational")])
def test_a_guide_of_the_same_name_is_kept_and_another_begins_anew(
    first: str, second: str, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch)
    tables = {"data": {"name": str(corpus)}, "objective": "elbo", "guide": first}
    then = {"then": [f"vimco guide={second}"]}
    run(resolve([WORDS, {"training": {"max_steps": 1}}, tables, then]), tmp_path / "run")
    (begun,), (before,) = watched.begun, watched.best
    of_model = of(begun, "model.")
    assert all(torch.equal(value, before[name]) for name, value in of_model.items())
    assert any(not torch.equal(value, watched.fresh[name]) for name, value in of_model.items())
    own = {name: value for name, value in of(begun, "guide.").items() if "scorer" in name}
    assert own
    given = before if first == second else watched.fresh
    assert all(torch.equal(value, given[name]) for name, value in own.items())


def test_frozen_modules_keep_weights_and_statistics_to_the_bit_and_have_no_moments(
    configs: dict[str, RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch)
    config = configs["images"]
    two = config.model_copy(update={**dict(config.stages()[1]), "before": config.before[:1]})
    run(two, tmp_path / "run")
    frozen = of(watched.begun[0], "model.representation.")
    assert any("running_mean" in name for name in frozen)
    optim = tensors(tmp_path / "run", file="optim")
    for found in (tensors(tmp_path / "run"), tensors(tmp_path / "run", "best")):
        for name, value in frozen.items():
            assert torch.equal(found[name], value), name
            assert torch.equal(optim[f"weights.{name}"], value), name
    moments = [name for name in optim if name.startswith("exp_avg.")]
    assert moments
    assert not [name for name in moments if "representation" in name]
    moved = [
        n for n in of(watched.begun[0], "model.attention.") if not torch.equal(watched.begun[0][n], found[n])
    ]
    assert any("running_mean" in name for name in moved)
    assert any("weight" in name for name in moved)


def test_part_of_a_module_is_frozen_though_the_guide_runs_it(
    configs: dict[str, RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configs["images"].stages()[2].model_copy(update={"guide": "label-aware", "objective": "elbo"})
    training = config.training.model_copy(update={"frozen": ["representation.trunk"]})
    run(config.model_copy(update={"training": training, "inference": {}}), tmp_path / "run")
    optim = tensors(tmp_path / "run", file="optim")
    means = {
        name: value
        for name, value in optim.items()
        if name.endswith("running_mean") and "weights.model" in name
    }
    trunk = {name for name in means if ".trunk." in name}
    assert trunk
    assert all((value == 0).all() == (name in trunk) for name, value in means.items())


# --- refusals, before anything is trained -----------------------------------------------------------------

REFUSED = {
    "an unknown module": (
        ["stage.enum.training.frozen=['encodre']"],
        "the model has no module 'encodre' (there are: ",
    ),
    "nothing left": (
        [
            "stage.enum.training.frozen=['embedding', 'encoder', 'decoder', 'readout']",
            "stage.enum.guide=prior",
        ],
        "nothing is left to train",
    ),
    "another size": (
        ["stage.enum.network.embedding=9"],
        "stages exact and enum: model.embedding.0.weight has shape",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_stages_that_cannot_follow_are_refused_before_the_first_is_trained(
    case: str, corpus: Path, tmp_path: Path
) -> None:
    more, sentence = REFUSED[case]
    words = [word for setting in more for word in ("--set", setting)]
    command = train_command(corpus, tmp_path / "run", "--objective", "exact", "--then", "enum", *words)
    assert sentence in fail(2, *command)
    assert not (tmp_path / "run").exists()


def test_other_stages_are_another_configuration(
    corpus: Path, configs: dict[str, RunConfig], whole: dict[str, Path], tmp_path: Path
) -> None:
    config = configs["words"]
    for other in (
        config.model_copy(update={"before": config.before[:1]}),
        config.model_copy(
            update={"before": [config.before[0], config.before[1].model_copy(update={"guide": "prior"})]}
        ),
    ):
        with pytest.raises(UsageError, match="holds a run with another configuration"):
            run(other, whole["words"])


# --- runs that were left in an early stage, and older ones --------------------------------------------------


@pytest.mark.parametrize("stage", [0, 1])
def test_a_run_left_in_an_early_stage_is_opened_as_that_stage(
    stage: int, configs: dict[str, RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first look of the stage, whose checkpoint is the best one."""
    config = configs["images"]
    batches = config_steps(config)[0] // 2
    cut(config, tmp_path / "run", "show", (batches + 1) * (1 + 2 * stage) + 1, monkeypatch)
    told: list[str] = []
    opened = open_run(tmp_path / "run", "cpu", report=told.append)
    name = config.stages()[stage].stage
    assert f"its best weights are still those of stage {name}, which is not the last" in told[0]
    assert opened.config == config.stages()[stage]
    assert opened.step == batches * (1 + 2 * stage)
    figures = opened.evaluate()
    assert ("classified" in figures) == (stage == 1)
    with pytest.warns(UserWarning, match="is not the last"):
        open_run(tmp_path / "run", "cpu")


def test_a_run_from_before_there_were_stages_opens_and_goes_on(corpus: Path, tmp_path: Path) -> None:
    command = train_command(corpus, tmp_path / "run", "--objective", "exact")
    succeed(*command)
    folder = tmp_path / "run"
    expected, config = hashes(folder), folder / "config.toml"
    lines = config.read_text().splitlines()
    assert not any(line.startswith(("stage", "[[before")) for line in lines)
    newer = ("kind = ", "decayed = ", "frozen = ")
    config.write_text("\n".join(line for line in lines if not line.startswith(newer)))
    for saved in checkpoint.complete(folder):
        found = checkpoint.newest_sound(folder, print)
        assert found is not None
        state = {key: value for key, value in found.checkpoint.state.items() if key not in Place._fields}
        if saved == found.folder:
            checkpoint.save(folder, found.checkpoint.state["step"], Checkpoint(*found.checkpoint[:2], state))
    assert open_run(folder, "cpu").step == 10
    succeed(*command)
    again = hashes(folder)
    assert {**again, "state.json": ""} == {**expected, "state.json": ""}


@pytest.mark.parametrize(
    "state", [{"stage": 3}, {"stage": -1}, {"stage": "x"}, {"before": -1}, {"before": 1.5}]
)
def test_a_checkpoint_of_no_stage_of_the_run_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match=r"state.json has no (stage|before) of this run"):
        place_of(Checkpoint({}, {}, state), 3, "somewhere")
    assert place_of(Checkpoint({}, {}, {}), 1, "somewhere") == Place(0, 0)


# --- weights, taken over by hand ----------------------------------------------------------------------------


def test_only_modules_of_the_same_name_are_taken_over() -> None:
    old = Programs(nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 3)}), nn.Linear(2, 1))
    new = Programs(nn.ModuleDict({"a": nn.Linear(2, 2), "c": nn.Linear(2, 3)}), nn.Linear(2, 1))
    fresh = {name: value.clone() for name, value in nn.ModuleDict(new._asdict()).state_dict().items()}
    weights = nn.ModuleDict(old._asdict()).state_dict()
    carry_over(new, weights, same_guide=False, names="x and y")
    found = nn.ModuleDict(new._asdict()).state_dict()
    for name, value in found.items():
        assert torch.equal(value, weights[name] if name.startswith("model.a") else fresh[name])
    carry_over(new, weights, same_guide=True, names="x and y")
    assert torch.equal(new.guide.weight, old.guide.weight)
    other = new._replace(guide=nn.Linear(3, 1))
    with pytest.raises(UsageError, match=r"stages x and y: guide.weight has shape"):
        carry_over(other, weights, same_guide=True, names="x and y")


# --- other families -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["alignment", "caption"])
def test_attention_begins_softly(name: str, tmp_path: Path) -> None:
    """Soft attention first, then every position weighed: `--then enum`."""
    from tiny_families import TinyRun, available, tiny_settings

    tiny = TinyRun(name, tmp_path / "data", tmp_path / "run")
    available(name).write(tiny.data)
    words = ["train", "--model", name, "--data", tiny.data, "--out", tiny.folder, "--device", "cpu"]
    words += ["--objective", "soft", "--max-steps", "2", *settings(tiny_settings(name))]
    succeed(*words, "--then", "enum training.max_steps=3")
    trained = [(r["stage"], r["step"]) for r in metrics(tiny.folder) if r["split"] == "train"]
    assert trained == [("soft", 1), ("soft", 2), ("enum", 3), ("enum", 4), ("enum", 5)]
    opened = tiny.open()
    assert (opened.config.objective, opened.step) == ("enum", 5)
    (figures,) = json.loads(succeed("evaluate", tiny.folder, "--format", "json"))
    assert figures["step"] == 5


def test_the_stages_that_are_named_are_run(configs: dict[str, RunConfig], tmp_path: Path) -> None:
    data = configs["images"].data.name
    config = resolve([IMAGES, {"data": {"name": data}, "stages": "representation"}])
    run(config, tmp_path / "dense")
    opened = open_run(tmp_path / "dense", "cpu")
    assert (opened.config.stage, opened.config.objective) == ("", "exact")
    more = {"stages": ["locations", "joint"], "init_from": str(tmp_path / "dense")}
    config = resolve([IMAGES, {"data": {"name": data}}, more])
    run(config, tmp_path / "rest")
    stages = [record["stage"] for record in metrics(tmp_path / "rest")]
    assert list(dict.fromkeys(stages)) == ["locations", "joint"]


def test_names_of_stages_are_of_their_plan() -> None:
    from hardpp.tasks.catalogue import family

    names = [stage.name for stage in planned(family("saccader"), {"then": ["rloo", "rloo"]})]
    assert names == ["representation", "locations", "joint", "rloo", "rloo-2"]
