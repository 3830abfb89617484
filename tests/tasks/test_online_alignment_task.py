"""The family from the command line, on tones made up here: the online form, transducer and CTC."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
import xarray as xr
from corpora import fail, hardpp, hashes, metrics, settings, succeed
from pydantic import ValidationError
from speech_files import write_digits, write_labels
from tone_speech import MODEL, TINY, TONES, write_tones

from hardpp.data.speech import corpora, log_mel, spoken_digits
from hardpp.data.speech.utterances import Segment, Utterance
from hardpp.data.vocabulary import BOUNDARY
from hardpp.diagnostics.emissions import Boundary, exact_emissions
from hardpp.errors import DataError, UsageError
from hardpp.runs import checkpoint
from hardpp.runs.folder import create, open_run
from hardpp.runs.recorded_training import train
from hardpp.runs.session import Session
from hardpp.tasks import catalogue
from hardpp.tasks.answers.calibration import tempering
from hardpp.tasks.answers.certainty import MASS
from hardpp.tasks.configuration import resolve
from hardpp.tasks.metrics.error_rates import phone_error_rate
from hardpp.tasks.online_alignment import data as speech_data
from hardpp.tasks.online_alignment import evaluation
from hardpp.tasks.online_alignment.boundary_calibration import Heard, fits_of
from hardpp.tasks.online_alignment.data import SpeechDescription
from hardpp.tasks.online_alignment.emission_times import TokenTimes, quantiles, sound_seconds
from hardpp.tasks.online_alignment.evaluation import OnlineDecoding, likelihood, recognise
from hardpp.tasks.online_alignment.family import OnlineAlignmentFamily
from hardpp.tasks.online_alignment.network import OnlineNetwork, speech_parts, target_informed_guide
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import Need

pytest.importorskip("soundfile")

TRANSDUCER, CTC = ["--set", "network.form=transducer"], ["--set", "network.form=ctc"]
EXACT = ["--objective", "exact"]
EXACT_CLASS = "hardpp.inference.exact:ExactMarginal"


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARDPP_DATA", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tones(tmp_path_factory.mktemp("data") / "TIMIT")


def command(data: Path | str, out: Path, *more: str) -> list[str]:
    words = ["train", "--model", MODEL, "--data", str(data), "--out", str(out), "--device", "cpu"]
    return [*words, *settings(TINY), *more]


RUNS: dict[str, Sequence[str]] = {
    "online": ["--max-epochs", "4", "--set", "optimiser.learning_rate=0.03"],
    "transducer": [*EXACT, *TRANSDUCER, "--max-epochs", "20", "--set", "optimiser.learning_rate=0.03"],
    "ctc": [*EXACT, *CTC, "--max-epochs", "20", "--set", "optimiser.learning_rate=0.03"],
}


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, OpenedRun]:
    folder = tmp_path_factory.mktemp("runs")
    for name, words in RUNS.items():
        succeed(*command(data, folder / name, *words))
    return {name: open_run(folder / name, "cpu") for name in RUNS}


@pytest.fixture(scope="module")
def test_items(runs: dict[str, OpenedRun]) -> list[Utterance]:
    return runs["online"].select()


@pytest.mark.parametrize(
    "words",
    [
        ["vimco", "--set", "inference.control=temporal"],
        ["elbo", "--set", "inference.baseline=temporal"],
        ["elbo", "--set", "inference.entropy_bonus=1.0", "--set", "inference.entropy_bonus_steps=2"],
        ["reinforce", "--guide", "prior", "--set", "inference.baseline=leave-one-out"],
        ["vimco", "--set", "network.dwell=false"],
        ["rws", *TRANSDUCER],
        ["exact", *TRANSDUCER, "--set", "network.dwell=false"],
        [EXACT_CLASS, *CTC],
    ],
    ids=" ".join,
)
def test_objectives_train_with_options(data: Path, tmp_path: Path, words: list[str]) -> None:
    out = tmp_path / "run"
    succeed(*command(data, out, "--objective", *words, "--max-steps", "2"))
    assert [record["bound"] is not None for record in metrics(out)] == [True] * 3
    summary = json.loads((out / "summary.json").read_text())
    assert summary["utterances"] == 3
    assert summary["nll"] > 0
    summed = {"network.form=transducer", "network.form=ctc"} & set(words)
    assert summary["nll_is"] == ("exact" if summed else "bound of 16")


def test_more_training_is_better(runs: dict[str, OpenedRun]) -> None:
    for name in ("transducer", "ctc"):
        records = [record["bound"] for record in metrics(runs[name].path) if record["split"] == "dev"]
        assert records[-1] > records[0] + 0.1


def test_a_bound_of_many_particles_is_nearly_exact(
    runs: dict[str, OpenedRun], test_items: list[Utterance], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs["transducer"]
    other = run.config.model_copy(update={"network": runs["online"].config.network})
    exact = likelihood(run, test_items)
    monkeypatch.setattr(evaluation, "PARTICLES", 2000)
    bound = likelihood(replace(run, config=other), test_items)  # as if its form had no sum over paths
    assert (exact["nll_is"], bound["nll_is"]) == ("exact", "bound of 2000")
    assert bound["nll"] == pytest.approx(exact["nll"], abs=0.02)


def once_at(step: int) -> Any:
    asked = iter(range(1, 1000))
    return lambda: next(asked) == step


def test_a_run_with_noise_on_its_weights_goes_on_bit_for_bit(data: Path, tmp_path: Path) -> None:
    stop = 3
    noise = ["training.weight_noise=0.1", "training.weight_noise_steps=3", "inference.entropy_bonus=0.5"]
    words = ["--objective", "reinforce", "--guide", "prior", "--max-epochs", "2"]
    words += [word for one in noise for word in ("--set", one)]
    succeed(*command(data, tmp_path / "whole", *words))
    config = resolve(
        [
            TINY,
            {"model": MODEL, "data": {"name": str(data)}, "device": "cpu", "objective": "reinforce"},
            {"guide": "prior", "inference": {"entropy_bonus": 0.5}, "training": {"max_epochs": 2}},
            {"training": {"weight_noise": 0.1, "weight_noise_steps": 3}},
        ]
    )
    session, out = Session(config, lambda text: None), tmp_path / "run"
    create(out, config, session.description)
    train(session, session.trainer(), out, stop=once_at(stop), watch=lambda record: None, report=print)
    latest = checkpoint.newest_sound(out)
    assert latest is not None
    assert latest.folder.name.endswith(f"{stop:08d}")
    succeed(*command(data, out, *words))
    assert hashes(out) == hashes(tmp_path / "whole")
    assert metrics(out) == metrics(tmp_path / "whole")


@pytest.mark.parametrize("name", RUNS)
def test_decode_says_what_evaluate_scores(
    runs: dict[str, OpenedRun], test_items: list[Utterance], name: str
) -> None:
    run = runs[name]
    said = run.decode(test_items)
    assert [which for which, _ in said] == [utterance.name for utterance in test_items]
    heard = [text.split() for _, text in said]
    rates = phone_error_rate(heard, [one.tokens for one in test_items], run.description.folding)
    assert rates.symbol == pytest.approx(run.evaluate(test_items)["PER"])
    assert succeed("decode", run.path).splitlines() == [text for _, text in said]


@pytest.mark.parametrize("name", RUNS)
def test_evaluate(runs: dict[str, OpenedRun], name: str) -> None:
    common: dict[str, Any] = {}
    ways = [[], ["--threshold", "0.3"], ["--beam", "3"], ["--sample"]]
    for way in ways[:1] if name == "ctc" else ways:
        (row,) = json.loads(succeed("evaluate", runs[name].path, "--format", "json", *way))
        assert 0 <= row["PER"] <= 3
        assert row["nll_is"] == ("bound of 16" if name == "online" else "exact")
        assert 0 <= row["coverage"] <= 1
        assert abs(row["lag"]) <= row["boundary"] + 1e-9
        assert 0 <= row["boundary_aligned"] <= row["boundary"] + abs(row["lag"]) + 1e-9
        assert row["utterances"] == 3
        apart = {"PER", "WER", "delay"}  # the others do not depend on what is recognised
        rest = {key: value for key, value in row.items() if key not in apart}
        common = common or rest
        assert rest == common


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("which", ["posterior", "guide"])
def test_align_says_when_each_token_was_said(
    runs: dict[str, OpenedRun], test_items: list[Utterance], name: str, which: str
) -> None:
    if (name, which) == ("ctc", "guide"):
        refused = hardpp("align", runs[name].path, "--of", which)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert "CTC has no guide" in refused.stderr
        return
    header, *lines = succeed("align", runs[name].path, "--of", which).splitlines()
    bounds = ["start", "start_low", "start_high", "end", "end_low", "end_high"]
    assert header.split("\t") == ["utterance", "token", *bounds, "probability"]
    rows = [line.split("\t") for line in lines]
    assert [row[:2] for row in rows] == [[one.name, token] for one in test_items for token in one.tokens]
    lasts = {one.name: one.frames.head.seconds for one in test_items}  # type: ignore[union-attr]
    before: dict[str, list[float]] = {}
    for utterance, _, *cells in rows:
        *start, time, low, high, probability = map(float, cells)
        assert 0 <= low < time <= high <= lasts[utterance] + 1e-9
        assert 0 < probability <= 1 + 1e-6
        # A token starts where the one before ends, the first one at any time before it does.
        assert start == before.get(utterance, [0.0, 0.0, high])
        before[utterance] = [time, low, high]


def test_align_as_ctm(runs: dict[str, OpenedRun], test_items: list[Utterance], tmp_path: Path) -> None:
    path = tmp_path / "out.ctm"
    succeed("align", runs["transducer"].path, "--format", "ctm", "--out", path)
    said = [line.split() for line in path.read_text().splitlines()]
    first, *more = succeed("align", runs["transducer"].path, "--format", "ctm-intervals").splitlines()
    assert first.startswith(";; RECORDING")
    tsv = succeed("align", runs["transducer"].path).splitlines()[1:]
    for row, longer, line in zip(said, more, tsv, strict=True):
        assert longer.split()[:6] == row
        cells = line.split("\t")
        assert longer.split()[6:] == [*cells[3:5], *cells[6:8]]
    assert [(cell[0], cell[4]) for cell in said] == [(u.name, t) for u in test_items for t in u.tokens]
    for one, other in pairwise(said):
        if one[0] == other[0]:
            assert float(other[2]) == pytest.approx(float(one[2]) + float(one[3]), abs=1e-9)
        else:
            assert float(other[2]) == 0


def test_align_as_textgrid(runs: dict[str, OpenedRun], test_items: list[Utterance], tmp_path: Path) -> None:
    out, words = tmp_path / "grids", ["align", str(runs["online"].path), "--format", "textgrid"]
    assert "give --out FOLDER" in fail(2, *words)
    succeed(*words, "--out", out)
    assert {path.relative_to(out).as_posix() for path in out.rglob("*.TextGrid")} == {
        f"{one.name}.TextGrid" for one in test_items
    }
    text = (out / f"{test_items[0].name}.TextGrid").read_text(encoding="utf-8")
    for tier in ("tokens", "reference", "start low", "start high", "end low", "end high"):
        assert f'name = "{tier}"' in text
    assert text.count(f"points: size = {len(test_items[0].tokens)}") == 4
    for token in test_items[0].tokens:
        assert f'text = "{token}"' in text
    fail(2, *words, "--out", out)  # nothing is overwritten without being asked
    succeed(*words, "--out", out, "--force")


def test_times_that_are_not_in_order_are_brought_into_it() -> None:
    """Lags of tokens may part two of them; a TextGrid has no place for that."""
    ends = [Boundary(0.06, 0.05, 0.07), Boundary(0.03, 0.0, 0.04)]
    times = TokenTimes.of([Boundary(0.0, 0.0, 0.01), Boundary(0.08, 0.07, 0.09)], ends, [0.5, 0.5])
    assert times.starts == [Boundary(0.0, 0.0, 0.01), Boundary(0.08, 0.0, 0.09)]
    assert times.ends == [Boundary(0.06, 0.0, 0.07), Boundary(0.08, 0.0, 0.09)]
    assert times.segments(["s", "iy"]) == [Segment(0.0, 0.06, "s"), Segment(0.08, 0.08, "iy")]


def test_wider_intervals_of_more_mass(runs: dict[str, OpenedRun], test_items: list[Utterance]) -> None:
    def widths(mass: float) -> list[float]:
        rows = [line.split("\t") for line in runs["ctc"].align(test_items, mass=mass)[1:]]
        return [float(row[7]) - float(row[6]) for row in rows]

    narrow, usual, wide = (widths(mass) for mass in (0.2, 0.89, 0.999))
    assert usual == widths(MASS)
    assert all(a <= b <= c for a, b, c in zip(narrow, usual, wide, strict=True))
    assert sum(narrow) < sum(usual) < sum(wide)
    for mass in (0, 1.0, True, "0.5"):
        with pytest.raises(UsageError, match="lies between 0 and 1"):
            runs["ctc"].align(test_items, mass=mass)


@pytest.mark.parametrize("name", RUNS)
def test_calibrated_times(
    runs: dict[str, OpenedRun], test_items: list[Utterance], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too few are known of the dev part for it to mean much; what is written is what was fitted to them."""
    run = runs[name]
    assert "50 known times are needed" in fail(3, "align", run.path, "--calibrated")
    monkeypatch.setattr(tempering, "FEWEST", 1)
    dev = run.select(part="dev")
    fits = fits_of(Heard.by(run, dev, "posterior"), 0.03, MASS)
    assert fits.whole.starts is None  # tones have no gaps between them
    assert fits.whole.ends.fitted_to == sum(len(one.tokens) for one in dev)
    shown = [line.split("\t") for line in run.align(test_items, calibrated=True)[1:]]
    plain = [line.split("\t") for line in run.align(test_items)[1:]]
    assert [row[:2] for row in shown] == [row[:2] for row in plain]
    assert [row[5:8] for row in shown] != [row[5:8] for row in plain]
    heard = Heard.by(run, test_items[:1], "posterior")
    assert heard.drawn == (name == "online")
    tokens = test_items[0].tokens
    times = fits.whole.times(heard.smooth()[0], tokens, 0.03, MASS)
    lasts = sound_seconds(test_items[0], 0.03)
    assert shown[0][5:8] == [f"{min(value, lasts):.3f}" for value in times.ends[0]]
    kinds = {curve["what"]: curve for curve in run.reliability(test_items)}
    assert len(kinds) == 4
    assert {what.partition(",")[0] for what in kinds} == set(run.family.reliability)
    ends, starts = (kinds[f"{which} of tokens, posterior, raw"] for which in ("ends", "starts"))
    assert ends["count"] == sum(len(one.tokens) for one in test_items) == starts["count"] + len(test_items)
    assert [row["predicted"] for row in ends["rows"]] == [0.25, 0.5, 0.75, 0.89, 0.95]
    (row,) = [row for row in ends["rows"] if row["predicted"] == MASS]
    if not heard.drawn:
        assert row["observed"] == pytest.approx(run.evaluate(test_items)["coverage"])


def test_reliability_of_times_wants_known_times(
    runs: dict[str, OpenedRun], test_items: list[Utterance]
) -> None:
    with pytest.raises(DataError, match="no times are known"):
        runs["ctc"].reliability([one._replace(segments=()) for one in test_items])


def test_sampled_tokens_have_a_seed(runs: dict[str, OpenedRun], test_items: list[Utterance]) -> None:
    said = []
    for seed in (0, 0, 1):
        torch.rand(len(said))
        said.append(runs["online"].decode(test_items, sample=True, seed=seed))
    assert said[0] == said[1] != said[2]


def test_align_and_posterior_speak_of_the_same_draws(
    runs: dict[str, OpenedRun], test_items: list[Utterance]
) -> None:
    run, asked = runs["online"], {"draws": 20, "seed": 3}
    tree = run.posterior(test_items, **asked)
    _, *lines = run.align(test_items, **asked)
    for place, one in enumerate(test_items[:3]):
        mine = [line for line in lines if line.startswith(f"{one.name}\t")]
        _, *alone = run.align([one], **asked)
        assert alone == mine  # whichever others are asked about
        n = len(one.tokens)
        frames = torch.from_numpy(tree["attention/marginal"].values[place, :n, : one.length])
        medians = (quantiles(frames)[0] + 1) * run.description.frame_seconds
        assert [line.split("\t")[5] for line in mine] == [f"{float(time):.3f}" for time in medians]
    assert run.align(test_items, draws=20, seed=4) != run.align(test_items, **asked)
    words = ["align", run.path, "--draws", "20", "--seed", "3"]
    assert succeed(*words).splitlines()[1:] == lines
    told = hardpp(*words).stderr
    assert "posterior: 20 draws of the guide (seed 3), averaged by their importance weights" in told
    assert "posterior:" not in hardpp("align", runs["transducer"].path, "--limit", "1").stderr


def test_the_posterior_file(runs: dict[str, OpenedRun], test_items: list[Utterance], tmp_path: Path) -> None:
    run, out = runs["transducer"], tmp_path / "posterior.nc"
    succeed("posterior", run.path, "--out", out, "--draws", "5")
    batch = run.batch(test_items)
    exact, log_p = exact_emissions(run.programs.model, batch)
    with xr.open_datatree(out, engine="h5netcdf") as tree:
        for place, one in enumerate(test_items):
            found = tree["attention"]["exact"].values[place, : len(one.tokens) + 1, : one.length]
            expected = exact[place, : len(one.tokens) + 1, : one.length].numpy()
            np.testing.assert_allclose(found, expected, atol=1e-5)
            drawn = tree["posterior"]["alignment"].values[0, :, place, : len(one.tokens) + 1]
            assert (np.diff(drawn, axis=-1) >= 0).all()  # tokens are said in order
            assert drawn.max() < one.length
        np.testing.assert_allclose(tree["log_likelihood"]["target"].values[0], log_p.numpy(), rtol=1e-4)
        assert tree.attrs["frame_seconds"] == pytest.approx(0.03)
        assert tree["attention"]["sentence"].values.tolist() == [one.name for one in test_items]
    succeed("posterior", runs["online"].path, "--out", tmp_path / "online.nc", "--draws", "3")
    with xr.open_datatree(tmp_path / "online.nc", engine="h5netcdf") as tree:
        assert {"guide", "marginal"} <= set(tree["attention"].data_vars)
        assert "exact" not in tree["attention"].data_vars
    assert "none to draw" in fail(2, "posterior", runs["ctc"].path, "--out", tmp_path / "ctc.nc")
    assert not (tmp_path / "ctc.nc").exists()


def test_pictures(runs: dict[str, OpenedRun], test_items: list[Utterance], tmp_path: Path) -> None:
    named = test_items[1].name
    for name, run in runs.items():
        (figure,) = run.plot(named, items=test_items).values()
        titles = [axis.get_title(loc="left") for axis in figure.axes if axis.get_title(loc="left")]
        sound = "log-mel spectrogram"
        if name == "online":
            drawn = ["guide, 100 draws", "posterior, 100 weighted draws of the guide"]
        else:
            drawn = ["exact posterior"]
        assert titles == [sound, *drawn]
        top = figure.axes[0]
        ticks = dict(
            zip(top.get_yticks(), [label.get_text() for label in top.get_yticklabels()], strict=True)
        )
        bands = log_mel.centres()
        for band, hertz in ticks.items():
            below, above = bands[int(band)], bands[min(int(band) + 1, 39)]
            assert below <= float(hertz.replace(",", "")) <= above
        assert figure.axes[0].images[0].get_array().max() == 0  # decibels below the loudest


def test_gradients_of_estimators_that_these_programs_take(runs: dict[str, OpenedRun], tmp_path: Path) -> None:
    words = ["compare", "gradients", str(runs["online"].path), "--limit", "1", "--draws", "20"]
    found = succeed(*words, "--objectives", "vimco,soft", "--format", "json", "--out", tmp_path / "a.png")
    rows = json.loads(found)
    assert [(row["objective"], row["parameters"]) for row in rows] == [
        ("vimco", "model"),
        ("vimco", "guide"),
    ]
    assert all(row["variance"] > 0 and row["gap"] is None for row in rows)
    refused = fail(2, *words, "--objectives", "soft", "--out", str(tmp_path / "b.png"))
    assert "no objective of soft can train these programs" in refused
    words[2] = str(runs["ctc"].path)
    found = succeed(*words, "--objectives", "vimco,rws", "--format", "json", "--out", tmp_path / "c.png")
    for row in json.loads(found):  # nothing is drawn
        assert row["parameters"] == "model"
        assert row["variance"] < 1e-10


def test_other_data(runs: dict[str, OpenedRun], tmp_path: Path) -> None:
    run, more = runs["online"], write_tones(tmp_path / "more", train=1, dev=1, test=5)
    assert len(run.select(str(more))) == 5
    assert len(run.select(part="all")) == 11
    assert len(run.select(part="train", limit=2)) == 2
    with pytest.raises(Exception, match="no utterances"):
        run.batch([])


def test_other_data_are_normalised_as_those_that_trained_the_run(
    runs: dict[str, OpenedRun], data: Path, tmp_path: Path
) -> None:
    """What lies beside a sound decides nothing; a run that kept no mean takes the folder's."""
    run, other = runs["online"], shutil.copytree(data, tmp_path / "other")
    for path in (other / "TRAIN").rglob("SX[3-5].*"):
        path.unlink()
    (mine, *_), (theirs, *_) = (run.select(name) for name in (None, str(other)))
    assert mine.name == theirs.name
    assert torch.equal(mine.read(), theirs.read())
    fields = run.description.model_dump(mode="json", exclude={"normalisation"})
    older = replace(run, description=SpeechDescription(**fields))
    assert torch.equal(mine.read(), older.select()[0].read())
    assert not torch.allclose(mine.read(), older.select(str(other))[0].read())


def test_what_is_recognised_does_not_depend_on_the_other_utterances(
    runs: dict[str, OpenedRun], test_items: list[Utterance]
) -> None:
    """Not even where an utterance ends at its limit of tokens."""
    run, eager = runs["online"], OnlineDecoding(threshold=0.0)
    run.programs.model.readout.bias.data[BOUNDARY] -= 30.0  # no end mark
    together = recognise(run, test_items, eager)
    alone = [recognise(run, [one], eager)[0] for one in test_items]
    run.programs.model.readout.bias.data[BOUNDARY] += 30.0
    assert together == alone
    assert len({one.length for one in test_items}) > 1


# --- bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (EXACT, "exact has no sum over them"),
        (["--objective", EXACT_CLASS], "has no sum over them"),
        (CTC, "nothing for objective 'vimco' to draw"),
        ([*CTC, "--guide", "prior", "--objective", "elbo"], "nothing for objective 'elbo' to draw"),
        (["--objective", "rws", "--set", "inference.insomnia=0.5"], "give --set inference.insomnia=1"),
        ([*EXACT, *CTC, "--guide", "variational"], "trains no guide"),
        (["--objective", "enum"], "one latent, which objective 'enum' cannot sum over"),
        (["--objective", "sum-and-sample", *TRANSDUCER], "'sum-and-sample' cannot sum over"),
        (["--objective", "soft"], "objective 'soft' cannot relax it"),
        (["--objective", "gumbel", *TRANSDUCER], "objective 'gumbel' cannot relax it"),
        (["--objective", "dirichlet"], "objective 'dirichlet' cannot relax it"),
        (["--objective", "elbo", "--set", "inference.baseline=soft-attention"], "not soft-attention"),
        (["--set", "network.form=rnn"], "network.form"),
        (["--objective", "vimco", "--particles", "1"], "needs at least 2"),
        (["--set", "training.weight_noise=-1"], "training.weight_noise"),
        (["--set", "inference.entropy_bonus=1.0"], "no option 'entropy_bonus'"),  # vimco has none
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_does_not_go_together(data: Path, tmp_path: Path, words: list[str], sentence: str) -> None:
    message = fail(2, *command(data, tmp_path / "run", *words))
    assert sentence in message
    assert not (tmp_path / "run").exists()


def test_what_each_form_lacks(runs: dict[str, OpenedRun]) -> None:
    everywhere = {"enumerable", "relaxable", "predictions", "dreams"}
    lacks = {
        form: set(OnlineAlignmentFamily().lacks(OnlineNetwork(form=form)))
        for form in ("online", "transducer", "ctc")
    }
    assert lacks["transducer"] == everywhere
    assert lacks["online"] == everywhere | {"marginal"}
    assert lacks["ctc"] == set(get_args(Need)) - {"marginal"}
    run = runs["ctc"]
    with pytest.raises(UsageError, match="nothing for guide 'variational' to draw"):
        target_informed_guide(speech_parts(run.network, run.description))


@pytest.mark.parametrize(
    "wrong",
    [
        {"tokens": []},
        {"tokens": ["</s>", "<unk>", "a", "a"]},
        {"features": 0},
        {"frame_seconds": "0.03"},
        {"mean_tokens_per_frame": 0.0},
        {"normalisation": {"mean": [0.0]}},
        {"normalisation": {"mean": [0.0], "deviation": [0.0]}},
        {"normalisation": {"mean": [0.0], "deviation": [1.0, 1.0]}},
        {"folding": None},
    ],
    ids=str,
)
def test_descriptions_that_no_data_have(runs: dict[str, OpenedRun], wrong: dict[str, Any]) -> None:
    fields = runs["online"].description.model_dump(mode="json")
    assert SpeechDescription(**fields) == runs["online"].description
    with pytest.raises(ValidationError):
        SpeechDescription(**fields | wrong)


def test_what_is_recommended_for_phones_and_not_for_digits() -> None:
    phones, digits = (
        resolve([{"model": MODEL, "objective": "reinforce", "data": {"name": name}}])
        for name in ("synthetic-timit-25", "spoken-digits")
    )
    assert (phones.guide, digits.guide) == ("prior", "prior")
    assert (phones.network["even"], digits.network["even"]) == (True, False)
    assert (phones.inference["entropy_bonus"], digits.inference["entropy_bonus"]) == (1.0, 0.0)
    off = {"objective": "reinforce", "inference": {"entropy_bonus": 0.0}, "data": {"name": "festvox-ru"}}
    found = resolve([{"model": MODEL, **off}])
    assert catalogue.objective("reinforce", found.inference).entropy_bonus is None


def test_features_that_are_not_computed_from_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_digits(tmp_path / "spoken-digits" / spoken_digits.MEMBER)
    monkeypatch.setattr(corpora, "fetch", lambda name, report: tmp_path / name)
    few = ["--set", "data.train_limit=8", "--max-steps", "1"]
    told = hardpp(*command("spoken-digits", tmp_path / "run", *few))
    assert (told.exit_code, "warning" in told.stderr) == (0, False)
    for verb in ("evaluate", "decode", "align"):
        told = hardpp(verb, str(tmp_path / "run"), "--limit", "2")
        assert (told.exit_code, "than any of training" in told.stderr) == (0, False), verb
    succeed("posterior", tmp_path / "run", "--limit", "2", "--out", tmp_path / "posterior.nc")


def test_corpora_that_are_not_there(tmp_path: Path) -> None:
    assert "'spoken-digit'" in fail(2, *command("spoken-digit", tmp_path / "run"))
    assert "no file or folder" in fail(2, *command("./nowhere", tmp_path / "run"))
    (tmp_path / "empty").mkdir()
    assert "neither TIMIT nor lists" in fail(3, *command(tmp_path / "empty", tmp_path / "run"))


def crowded(data: Path, folder: Path, part: str) -> Path:
    """A copy of the data in which the last utterance of a folder has 40 tokens."""
    shutil.copytree(data, folder)
    path = max((folder / part).rglob("*.PHN"))
    edges = np.linspace(0, int(path.read_text().split()[-2]), 41).astype(int).tolist()
    phones = [*TONES]
    write_labels(path, [(a, b, phones[n % 5]) for n, (a, b) in enumerate(pairwise(edges))])
    return folder


@pytest.mark.parametrize("part", ["TRAIN", "TEST"])
def test_more_tokens_than_frames_are_named_before_training(data: Path, tmp_path: Path, part: str) -> None:
    folder = crowded(data, tmp_path / "TIMIT", part)
    for form, words in {
        "dwell=false": ["--set", "network.dwell=false"],
        "form=ctc": [*EXACT, *CTC],
    }.items():
        for more in ([], ["--dry-run"]):
            message = fail(3, *command(folder, tmp_path / form, *words, *more))
            assert f"{folder}/{part}/DR1/" in message
            assert f"40 tokens, for which network.{form} needs" in message
            assert not (tmp_path / form).exists()
    succeed(*command(folder, tmp_path / "dwell", "--max-steps", "1"))


def test_more_tokens_than_frames_are_named_in_other_data_too(
    runs: dict[str, OpenedRun], data: Path, tmp_path: Path
) -> None:
    folder = str(crowded(data, tmp_path / "TIMIT", "TEST"))
    with pytest.raises(DataError, match=r"40 tokens, for which network\.form=ctc needs"):
        runs["ctc"].select(folder)
    assert len(runs["ctc"].select(folder, "train")) == 6
    assert len(runs["online"].select(folder)) == 3
    assert "network.form=ctc needs" in fail(3, "evaluate", runs["ctc"].path, "--data", folder)


def test_timit_that_is_damaged(data: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(data, tmp_path / "TIMIT")
    path = next(iter(sorted((folder / "TRAIN").rglob("*.PHN"))))
    whole = path.read_text()
    for text, words in (
        (whole.replace("h#", "xx", 1), "'xx'"),
        (whole + "900000 900100 aa\n", "the labels end at 56"),
        ("", "SX0.PHN"),
    ):
        path.write_text(text)
        message = fail(3, *command(folder, tmp_path / "run"))
        assert words in message
        assert path.name in message
    path.unlink()
    assert "no .PHN file beside it" in fail(3, *command(folder, tmp_path / "run"))


def test_phones_that_training_has_not_seen_are_said_to_be_unknown(
    runs: dict[str, OpenedRun], data: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(data, tmp_path / "TIMIT")
    for path in (folder / "TEST").rglob("*.PHN"):
        path.write_text(path.read_text().replace(" iy", " ow"))
    for name, run in runs.items():
        items = run.select(str(folder))
        figures = run.evaluate(items)
        assert figures["utterances"] == 3, name


def test_the_model_has_no_times_before_it_hears(runs: dict[str, OpenedRun]) -> None:
    assert "give --of posterior" in fail(2, "align", runs["online"].path, "--of", "prior")


def test_an_utterance_is_called_by_its_tokens(
    runs: dict[str, OpenedRun], test_items: list[Utterance]
) -> None:
    run = runs["online"]
    batch = run.batch(test_items)
    expected = f"the utterance {' '.join(test_items[2].tokens)!r}"
    assert run.family.label(run.description, batch, 2) == expected


def test_figures_do_not_depend_on_batches(
    runs: dict[str, OpenedRun], test_items: list[Utterance], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("transducer", "ctc"):
        whole = runs[name].evaluate(test_items)
        monkeypatch.setattr(speech_data, "BATCH", 1)
        alone = runs[name].evaluate(test_items)
        monkeypatch.undo()
        assert set(alone) == set(whole) > {"PER", "WER", "nll", "boundary", "lag", "coverage", "interval"}
        for figure in set(whole) - {"nll_is"}:
            assert alone[figure] == pytest.approx(whole[figure], abs=1e-4), (name, figure)
