"""What every model family promises on the command line and in Python, asked of a tiny run of each."""

import io
import json
import shutil
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import arviz
import pytest
import torch
from corpora import fail, succeed
from tiny_families import FAMILIES, TinyRun

import hardpp
from hardpp.diagnostics.seeds import seeded, stream
from hardpp.errors import DataError, ResourceError, UsageError
from hardpp.runs.processes.exchange import decoded, encoded
from hardpp.tasks import catalogue
from hardpp.tasks.answers.sharing import Sharing
from hardpp.tasks.objectives import alternatives
from hardpp.tasks.opened_run import Decoded, OpenedRun

GROUPS = {"posterior", "sample_stats", "attention", "log_likelihood", "posterior_predictive"}
GROUPS |= {"observed_data", "constant_data"}
VERBS = ("evaluate", "decode", "align", "posterior", "plot")


@pytest.fixture(scope="module")
def run(trained: TinyRun) -> OpenedRun:
    return trained.open()


@pytest.fixture(scope="module")
def items(run: OpenedRun) -> Any:
    return run.select()


def evaluated(folder: Path, *words: str) -> dict[str, Any]:
    figures: dict[str, Any]
    (figures,) = json.loads(succeed("evaluate", folder, "--format", "json", *words))
    return figures


def test_every_family_has_a_tiny_case() -> None:
    assert list(FAMILIES) == list(catalogue.FAMILIES)


def test_what_a_run_folder_holds(trained: TinyRun) -> None:
    written = {"config.toml", "versions.json", "data.json", "metrics.jsonl", "checkpoints", "summary.json"}
    assert {path.name for path in trained.folder.iterdir()} - {"run.lock"} == written
    checkpoints = trained.folder / "checkpoints"
    steps = [path for path in checkpoints.iterdir() if path.is_dir()]
    assert {path.name for path in checkpoints.iterdir()} - {path.name for path in steps} == {"best", "latest"}
    contents = {"model.safetensors", "optim.safetensors", "state.json", "MANIFEST.json"}
    assert all({path.name for path in step.iterdir()} == contents for step in steps)
    records = [json.loads(line) for line in (trained.folder / "metrics.jsonl").read_text().splitlines()]
    assert [record["split"] for record in records].count("dev") == 2
    assert all(record["bound"] < 0 for record in records)


def test_the_summary_is_what_evaluate_says(trained: TinyRun) -> None:
    summary = json.loads((trained.folder / "summary.json").read_text())
    assert summary.pop("evaluation") == "full"
    assert summary == evaluated(trained.folder)


def test_evaluate_reports_only_figures_that_the_family_explains(run: OpenedRun, items: Any) -> None:
    explained = [name for names in run.family.figures for name in names.split(", ")]
    series = tuple(
        name.rstrip("0123456789") for name in explained if f"{name}, ..." in ", ".join(run.family.figures)
    )
    for name in run.evaluate(items):
        assert name in explained or name.rstrip("0123456789") in series, name


def test_decode_says_what_evaluate_scores(trained: TinyRun, run: OpenedRun, items: Any) -> None:
    decoded = run.decode(items)
    figure, value = trained.tiny.score(run, items, [text for _, text in decoded])
    figures = run.evaluate(items)
    assert figures[figure] == pytest.approx(value)
    assert figures[trained.tiny.counted] == len(decoded)
    assert succeed("decode", trained.folder).splitlines() == [text for _, text in decoded]
    lines = succeed("decode", trained.folder, "--format", "tsv").splitlines()
    assert lines == [f"{name}\t{text}" for name, text in decoded]


@pytest.mark.parametrize("part", ["train", "dev", "test"])
def test_parts_and_limits(trained: TinyRun, run: OpenedRun, part: str) -> None:
    whole = len(run.decode(run.select(part=part)))
    assert evaluated(trained.folder, "--part", part)[trained.tiny.counted] == whole
    assert evaluated(trained.folder, "--part", part, "--limit", "2")[trained.tiny.counted] == 2
    assert len(succeed("decode", trained.folder, "--part", part, "--limit", "1").splitlines()) == 1


def test_parts_and_limits_that_are_none(trained: TinyRun, run: OpenedRun) -> None:
    for words in (["--limit", "0"], ["--part", "rest"]):
        fail(2, "evaluate", trained.folder, *words)
    sizes = [len(run.decode(run.select(part=part))) for part in ("train", "dev", "test")]
    assert len(run.decode(run.select(part="all"))) == sum(sizes)


def test_the_training_part_ends_where_training_ended_and_other_data_are_whole(
    trained: TinyRun, run: OpenedRun
) -> None:
    limited = run.config.data.model_copy(update={"train_limit": 2})
    run = replace(run, config=run.config.model_copy(update={"data": limited}))
    assert len(run.decode(run.select(part="train"))) == 2
    assert len(run.decode(run.select(str(trained.data), "train"))) > 2


def test_options_of_other_families_are_refused_before_data_are_read(
    trained: TinyRun, run: OpenedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    schemas = {name: catalogue.family(name).decoding.model_fields for name in FAMILIES}
    foreign = {key: field for fields in schemas.values() for key, field in fields.items()}
    foreign = {key: field for key, field in foreign.items() if key not in run.family.decoding.model_fields}
    assert foreign
    monkeypatch.setattr(type(run.family), "load", lambda *args: pytest.fail("data were read"))
    for key, field in foreign.items():
        kinds = [kind for kind in alternatives(field.annotation) if get_origin(kind) is Literal]
        word = get_args(kinds[0])[0] if kinds else "1"
        words = [f"--{key.replace('_', '-')}", *([] if field.annotation is bool else [word])]
        for verb in ("evaluate", "decode"):
            message = fail(2, verb, trained.folder, *words)
            assert f"{words[0]} is not for model {trained.name}\n" in message
            assert f"hardpp models {trained.name} lists" in message


def test_the_posterior_file(trained: TinyRun, run: OpenedRun, tmp_path: Path) -> None:
    drawn = {}
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        path = tmp_path / f"{name}.nc"
        succeed("posterior", trained.folder, "--draws", "20", "--seed", str(seed), "--out", path)
        torch.rand(seed)
        drawn[name] = hardpp.read_posterior(path).tree
    assert (tmp_path / "first.nc").read_bytes() == (tmp_path / "again.nc").read_bytes()
    data: Any = arviz.from_netcdf(path)
    assert (data.posterior.sizes["chain"], data.posterior.sizes["draw"]) == (1, 20)
    tree, count = drawn["first"], len(run.decode())
    assert set(tree.children) >= GROUPS
    assert tree.attrs["model"] == trained.name
    assert "marginal" in tree["attention"]
    datum = tree.attrs["datum"]
    assert tree["sample_stats/trust"].sizes == {"chain": 1, datum: count}
    for name, likelihood in tree["log_likelihood"].data_vars.items():
        assert likelihood.sizes == {"chain": 1, datum: count}
        assert "latents" in likelihood.attrs
        observed = tree["observed_data"][name]
        assert tree["posterior_predictive"][name].dims[2:] == observed.dims
    posterior = hardpp.read_posterior(path)
    one = posterior.item(posterior.names[1])
    assert datum not in one.posterior.sizes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is the same in all draws has no R-hat
        assert len(arviz.summary(one)) > 0
    assert not drawn["first"]["posterior"].to_dataset().equals(drawn["other"]["posterior"].to_dataset())
    assert "exists already" in fail(2, "posterior", trained.folder, "--out", path)
    first, other = tmp_path / "first.nc", tmp_path / "other.nc"
    assert f"of {count} posteriors can be trusted" in succeed("posterior", first)
    assert "is given twice" in fail(2, "posterior", trained.folder, trained.folder, "--out", tmp_path / "2")
    assert "give --out FILE" in fail(2, "posterior", first, other)
    refused = fail(2, "posterior", first, other, "--out", tmp_path / "2")
    assert f"{first} and {other} are of different seed 1 and 2" in refused
    (tmp_path / "bad.nc").write_text("no netCDF")
    assert f"{tmp_path / 'bad.nc'} is no netCDF file" in fail(4, "posterior", tmp_path / "bad.nc")


def test_align_in_every_declared_form_and_in_no_other(
    trained: TinyRun, run: OpenedRun, items: Any, tmp_path: Path
) -> None:
    forms = {form: spec for name in FAMILIES for form, spec in catalogue.family(name).alignment_forms.items()}
    for form in forms:
        words, declared = ["align", trained.folder, "--format", form], run.family.alignment_forms.get(form)
        if declared is None:
            message = fail(2, *words, "--out", tmp_path / "refused")
            assert f"model {trained.name} has no alignments in the form {form!r}" in message
            assert not (tmp_path / "refused").exists()
        elif declared.files:
            assert "give --out FOLDER" in fail(2, *words)
            succeed(*words, "--out", tmp_path / form)
            files = [path for path in (tmp_path / form).rglob("*") if path.is_file()]
            written = {
                path.relative_to(tmp_path / form).as_posix(): path.read_text(encoding="utf-8")
                for path in files
            }
            assert written == run.align_files(items, form=form)
            assert len(written) == len(run.decode(items))
        else:
            assert succeed(*words).splitlines() == run.align(items, form=form)


class Handed(Sharing):
    """Two processes, both of which this one plays: results are what the other would be handed."""

    size = 2

    def each(self, batches: Any, compute: Any, device: Any, *, first_alone: bool = False) -> Any:
        base = torch.initial_seed()
        for number, batch in enumerate(batches):
            with seeded(stream(base, number), device):
                yield batch[0], decoded(encoded(compute(*batch)))


def test_several_processes_answer_as_one(run: OpenedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in list(sys.modules.items()):
        for constant in ("BATCH", "AT_ONCE"):
            if name.startswith("hardpp.tasks.") and isinstance(getattr(module, constant, None), int):
                monkeypatch.setattr(module, constant, 3)
    items = run.select(limit=4)
    shared, draws = replace(run, sharing=Handed()), "seed" in run.family.decoding.model_fields
    figures, found = run.evaluate(items), shared.evaluate(items)
    others = run.evaluate(items, seed=1) if draws else figures
    assert found.keys() == figures.keys()
    for name in figures:
        if others[name] == figures[name]:  # else it is made of draws for whole batches
            number = isinstance(figures[name], float)
            right = pytest.approx(figures[name], rel=1e-6, abs=1e-6) if number else figures[name]
            assert found[name] == right, name
    said = run.decode(items)
    if not draws or run.decode(items, seed=1) == said:
        assert shared.decode(items) == said
    if run.family.nbest:
        assert [each.name for each in shared.decode(items, nbest=1)] == [each.name for each in said]
    for form, declared in run.family.alignment_forms.items():
        if not declared.files:
            assert shared.align(items, form=form) == run.align(items, form=form)
    assert shared.posterior(items, draws=3).identical(run.posterior(items, draws=3))


def test_word_links_are_declared_or_refused(trained: TinyRun, run: OpenedRun) -> None:
    both = ["align", trained.folder, "--format", "pharaoh", "--both-ways", trained.folder]
    compare = ["compare", "alignments", trained.folder]
    if run.family.word_links:
        assert "does not go back" in fail(2, *both)
        assert "no known links" in fail(3, *compare)
    else:
        for words in (both, compare):
            assert f"{trained.folder}: model {trained.name} has no links of words" in fail(2, *words)


def test_reliability_is_declared_or_refused(trained: TinyRun, run: OpenedRun, items: Any) -> None:
    if not run.family.reliability:
        with pytest.raises(UsageError, match="no alignments that could be held against known ones"):
            run.reliability(items)
        return
    # Few are known of the tiny data, or none: what could be said of them would mean nothing.
    with pytest.raises(DataError, match=r"no known links|known times are needed"):
        run.reliability(items)
    with pytest.raises(UsageError, match="of is one of posterior, guide, prior, not 'gold'"):
        run.reliability(items, of="gold")
    with pytest.raises(UsageError, match="bins is a whole number from 2"):
        run.reliability(items, bins=1)


def test_intervals_and_calibration_are_declared_or_refused(trained: TinyRun, run: OpenedRun) -> None:
    for form, spec in run.family.alignment_forms.items():
        words = ["align", trained.folder, "--format", form, "--out", trained.folder / "refused"]
        if not spec.intervals:
            assert f"alignments in the form {form!r} have no intervals" in fail(2, *words, "--mass", "0.5")
        if not spec.calibrated:
            message = fail(2, *words, "--calibrated")
            assert f"alignments in the form {form!r} have no probabilities or intervals to" in message
        assert not (trained.folder / "refused").exists()


def test_plots_by_name(trained: TinyRun, run: OpenedRun, items: Any, tmp_path: Path) -> None:
    name = run.decode(items)[1].name
    (file,) = run.plot(name, items=items)
    (path,) = succeed("plot", trained.folder, "--source", name, "--out", tmp_path).splitlines()
    assert Path(path) == tmp_path / f"{file}.png"
    assert Path(path).read_bytes().startswith(b"\x89PNG")
    assert "exists already" in fail(2, "plot", trained.folder, "--source", name, "--out", tmp_path)
    assert len(run.plot(items=items, count=2)) == 2
    message = fail(2, "plot", trained.folder, "--source", "nobody", "--out", tmp_path / "none")
    assert "'nobody' is not among these" in message
    assert not (tmp_path / "none").exists()


def test_pictures_say_what_they_show_and_the_most_uncertain_come_first(run: OpenedRun, items: Any) -> None:
    ranked = run.most_uncertain(items, 3)
    assert [item.value for item in ranked] == sorted((item.value for item in ranked), reverse=True)
    every = run.most_uncertain(items, 1000)
    assert every[:3] == ranked
    assert len({item.row for item in every}) == len(every) > 2
    assert run.chosen(items, [], 2, "uncertain") == [item.row for item in ranked[:2]]
    assert run.chosen(items, [], 2, "first")[0] == 0
    (figure,) = run.plot(items=items, count=1).values()
    title = " ".join(figure.get_suptitle().split())
    assert f"run {run.path.name}, step {run.step}: " in title
    with pytest.raises(UsageError, match="order is one of uncertain, first, not 'last'"):
        run.plot(items=items, order="last")


def test_what_is_most_wrong_is_what_evaluate_counts(trained: TinyRun, run: OpenedRun, items: Any) -> None:
    judged, looked_at = run.most_wrong(items, 1000)
    if not run.error:
        assert (judged, looked_at) == ([], 0)
        return
    assert looked_at <= len(run.decode(items))
    errors = [item.error for item in judged]
    assert errors == sorted(errors, reverse=True)
    assert all(error > 0 for error in errors)
    figure, value = trained.tiny.score(run, items, [text for _, text in run.decode(items)])
    if figure in ("WER", "PER") or looked_at < len(run.decode(items)):
        return
    right = 1 - len(judged) / looked_at
    assert value == pytest.approx(right if figure in ("accuracy", "same") else 1 - right)


def test_a_page_about_the_run(trained: TinyRun, run: OpenedRun, tmp_path: Path) -> None:
    words = ["report", trained.folder, "--out", tmp_path / "a.html", "--count", "1"]
    (path,) = succeed(*words).splitlines()
    page = Path(path).read_text(encoding="utf-8")
    assert page.count('<img src="data:image/png;base64,') >= 2  # of the training, and of an item
    summary = json.loads((trained.folder / "summary.json").read_text())
    for name in summary.keys() - {"evaluation", "signature"}:
        assert name.rstrip("0123456789") in page
    for key in ("network", "optimiser.learning_rate", "pyro-ppl", "fingerprint", "hardpp train --config"):
        assert key in page
    assert "Training is complete." in page
    assert "exists already" in fail(2, *words)


def test_inputs_are_declared_or_refused(trained: TinyRun, run: OpenedRun, tmp_path: Path) -> None:
    path = tmp_path / "inputs.txt"
    texts = trained.tiny.texts(trained.data)
    path.write_text("".join(f"{text}\n" for text in texts or ["x"]), encoding="utf-8")
    if run.family.inputs is None:
        message = fail(2, "decode", trained.folder, "--input", path)
        assert f"items of model {trained.name} are no lines of a file: give --data" in message
        return
    told = succeed("decode", trained.folder, "--input", path).splitlines()
    assert told == [text for _, text in run.decode(run.read_inputs(path))]
    assert len(told) == len(texts) == 2
    assert "leave out --data" in fail(2, "decode", trained.folder, "--input", path, "--part", "dev")
    path.write_text(f"{texts[0]}\n\n{texts[1]}\n", encoding="utf-8")
    assert succeed("decode", trained.folder, "--input", path).split("\n")[:-1] == [told[0], "", told[1]]
    path.write_bytes(b"\xff\n")
    assert f"{path}:1" in fail(3, "decode", trained.folder, "--input", path)


def test_the_description_survives_json_and_a_malformed_one_is_named(
    trained: TinyRun, run: OpenedRun, tmp_path: Path
) -> None:
    stored = json.loads((trained.folder / "data.json").read_text(encoding="utf-8"))
    sha256 = stored.pop("sha256")
    assert run.family.description.model_validate(stored) == run.description
    assert run.description.model_dump(mode="json", exclude_none=True) == stored
    folder = shutil.copytree(trained.folder, tmp_path / "run")
    path = folder / "data.json"
    wrong: list[Any] = [[], {}, {**stored, "sha256": sha256, "fingerprint": "x"}, {**stored, "unheard-of": 1}]
    wrong += [{**stored, key: value} for key in stored for value in (None, [{}])]
    for contents in wrong:
        path.write_text(json.dumps(contents), encoding="utf-8")
        assert str(path) in fail(4, "evaluate", folder), contents
    path.write_text("{", encoding="utf-8")
    assert str(path) in fail(4, "evaluate", folder)


def test_gradients_of_objectives_are_compared(trained: TinyRun, tmp_path: Path) -> None:
    words = ["--part", "test", "--limit", "2", "--draws", "20", "--format", "json"]
    words += ["--objectives", "reinforce,rws", "--out", str(tmp_path / "gradients.png")]
    rows = json.loads(succeed("compare", "gradients", trained.folder, *words))
    assert {row["objective"] for row in rows} == {"reinforce", "rws"}
    assert all(row["variance"] > 0 for row in rows)
    assert (tmp_path / "gradients.png").read_bytes().startswith(b"\x89PNG")


def png(figure: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def answer(run: OpenedRun, verb: str) -> Any:
    match verb:
        case "evaluate":
            return run.evaluate()
        case "plot":
            return {name: png(figure) for name, figure in run.plot(count=1).items()}
        case "posterior":
            return run.posterior(draws=3).to_dict()
        case _:
            return getattr(run, verb)()


@pytest.mark.parametrize("verb", VERBS)
def test_a_question_has_one_answer_whatever_was_drawn_before(run: OpenedRun, verb: str) -> None:
    if verb == "align" and not run.family.alignment_forms:
        pytest.skip("this family has no alignments")
    once = answer(run, verb)
    torch.rand(7)
    again = answer(run, verb)
    if verb == "posterior":
        assert all(once[group].identical(again[group]) for group in once)
    else:
        assert once == again


def test_what_is_no_question_is_refused_in_a_sentence(run: OpenedRun, items: Any) -> None:
    questions: list[tuple[Callable[[], Any], str]] = [
        (lambda: run.select(limit=-1), "limit is a whole number from 1, not -1"),
        (lambda: run.select(3), "data is a name, file or folder, not 3"),  # type: ignore[arg-type]
        (lambda: run.evaluate("ab"), r"items are what select\(\) gives"),
        (lambda: run.batch([3]), r"items are what select\(\) gives"),
        (lambda: run.decode([3]), r"items are what select\(\) gives"),
        (lambda: run.decode("ab"), r"items are what select\(\) gives"),
        (lambda: run.posterior(items, draws=0), "draws is a whole number from 1, not 0"),
        (lambda: run.posterior(items, seed=-1), "seed is a whole number from 0, not -1"),
        (lambda: run.plot(items=items, count=0), "count is a whole number from 1, not 0"),
        (lambda: run.compare_gradients(items, "elbo"), "objectives are a list of names, not 'elbo'"),
        (lambda: run.compare_gradients(items, particles=0), "particles is a whole number from 1, not 0"),
        (lambda: run.compare_gradients(items, draws=1), "draws is a whole number from 2, not 1"),
    ]
    if run.family.alignment_forms:
        questions.append((lambda: run.align(["ab"]), r"items are what select\(\) gives"))
    for question, sentence in questions:
        with pytest.raises(UsageError, match=sentence):
            question()


def test_a_blank_text_has_a_blank_answer_in_its_place(run: OpenedRun) -> None:
    if run.family.inputs is None or not run.family.word_links:
        pytest.skip("this family takes no texts")
    (said,) = run.decode(["ab"])
    assert run.decode(["ab", " "]) == [said, Decoded("", "")]
    assert run.decode([" ", "ab", ""], nbest=1)[2] == Decoded("", "")
    assert run.decode([""]) == [Decoded("", "")]


def test_n_best_outputs_are_declared_or_refused(trained: TinyRun, run: OpenedRun, items: Any) -> None:
    words = ["decode", trained.folder, "--limit", "2", "--format"]
    if run.family.nbest is None:
        for option in (["--nbest", "2"], ["--scores"]):
            message = fail(2, *words, "text", *option)
            assert f"model {trained.name} says no probabilities of what it decodes" in message
        return
    said = run.decode(items)
    decoded = run.decode(items, nbest=4)
    assert [each.name for each in decoded] == [each.name for each in said]
    for each in decoded:
        assert 1 <= len(each.hypotheses) <= 4
        assert each.hypotheses[0].text == each.text
        assert len({one.text for one in each.hypotheses}) == len(each.hypotheses)
        values = [one.log_prob for one in each.hypotheses]
        assert values == sorted(values, reverse=True)
        assert 0 < sum(one.probability for one in each.hypotheses) <= 1 + 1e-6
    scored = run.decode(items, nbest=1)
    assert [each.text for each in scored] == [each.text for each in said]
    assert [each.hypotheses[0].text for each in scored] == [each.text for each in said]
    two = [{"name": each.name, "text": each.text} for each in decoded[:2]]
    told = json.loads(succeed(*words, "json", "--nbest", "4"))
    assert [{key: each[key] for key in ("name", "text")} for each in told] == two
    assert [len(each["hypotheses"]) for each in told] == [len(each.hypotheses) for each in decoded[:2]]
    rows = [line.split("\t") for line in succeed(*words, "tsv", "--nbest", "4").splitlines()]
    ranks = [str(rank) for each in decoded[:2] for rank in range(1, len(each.hypotheses) + 1)]
    assert [row[1] for row in rows] == ranks
    lines = [line.split("\t") for line in succeed(*words, "text", "--scores").splitlines()]
    assert [line[0] for line in lines] == [each.text for each in said[:2]]
    assert [line[3] for line in lines] == [
        "exact" if each.hypotheses[0].exact else "approximate" for each in scored[:2]
    ]


def test_answers_come_one_by_one_whatever_is_drawn_between(run: OpenedRun, items: Any) -> None:
    each = run.decode_each(items)
    found = [next(each)]
    torch.rand(7)
    assert [*found, *each] == run.decode(items)


@pytest.mark.parametrize("verb", ["align", "decode"])
def test_a_file_that_is_there_is_refused_before_the_work(
    verb: str, trained: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = "decode_each" if verb == "decode" else verb
    monkeypatch.setattr(OpenedRun, method, lambda *items, **options: pytest.fail("work was done"))
    (tmp_path / "out").write_text("older")
    assert "exists already" in fail(2, verb, trained.folder, "--out", tmp_path / "out")


def test_memory_that_runs_out_is_told_from_python_too(
    run: OpenedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*items: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(type(run), "_evaluate", exhausted)
    with pytest.raises(ResourceError, match="out of memory"):
        run.evaluate()
