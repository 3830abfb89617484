"""Sentences from the command line: parallel files, pieces, BLEU, links both ways, other runs' weights."""

import json
import os
import random
import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from corpora import fail, hardpp, settings, succeed

from hardpp.errors import DataError
from hardpp.runs.folder import open_run
from hardpp.tasks.alignment.description import PairsDescription
from hardpp.tasks.alignment.evaluation import quality
from hardpp.tasks.alignment.family import AlignmentFamily
from hardpp.tasks.alignment.word_links import both_ways, compare_links, symmetrised, word_links
from hardpp.tasks.metrics.bleu import bleu

pytest.importorskip("sacrebleu")
pytest.importorskip("sentencepiece")

WORDS = {"haus": "house", "hund": "dog", "katze": "cat", "der": "the", "gross": "big", "ist": "is"}
LEARNT = ["--set", "data.pieces=40", "--set", "optimiser.learning_rate=0.02", "--max-epochs", "6"]


@pytest.fixture(scope="module")
def parallel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """German and English sentences, word for word, as users keep them."""
    folder, draw = tmp_path_factory.mktemp("texts"), random.Random(1)
    for part, size in {"train": 80, "valid": 10, "test": 10}.items():
        german = [[draw.choice(list(WORDS)) for _ in range(draw.randint(2, 4))] for _ in range(size)]
        texts = {"de": german, "en": [[WORDS[word] for word in line] for line in german]}
        for language, lines in texts.items():
            text = "".join(" ".join(line) + "\n" for line in lines)
            (folder / f"{part}.{language}").write_text(text, encoding="utf-8")
    return folder


def trained(parallel: Path, out: Path, *more: str) -> Path:
    words = ("--data", parallel, "--objective", "enum", "--device", "cpu", "--out", out)
    succeed("train", *words, *settings(), *LEARNT, *more)
    return out


@pytest.fixture(scope="module")
def forward(parallel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(parallel, tmp_path_factory.mktemp("runs") / "forward")


@pytest.fixture(scope="module")
def backward(parallel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "backward"
    return trained(parallel, out, "--set", "data.reverse=true")


def test_figures_of_sentences(forward: Path) -> None:
    (row,) = json.loads(succeed("evaluate", forward, "--format", "json"))
    assert 0 <= row["BLEU"] <= 100
    assert "tok:13a" in row["signature"]
    assert row["pairs"] == 10
    config = (forward / "config.toml").read_text()
    assert 'source_tokens = "auto"' in config
    assert open_run(forward, "cpu").description.source_tokens["kind"] == "pieces"
    assert "length_penalty = 1.0" in config  # recommended for sentences


def test_other_files_are_cut_as_the_runs_were(forward: Path, tmp_path: Path) -> None:
    path = tmp_path / "more.tsv"
    path.write_text("der hund\tthe dog\nωmega\tdog\n", encoding="utf-8")
    (row,) = json.loads(succeed("evaluate", forward, "--data", path, "--format", "json"))
    assert row["pairs"] == 2


def test_links_are_of_words(forward: Path, parallel: Path) -> None:
    lines = succeed("align", forward, "--format", "pharaoh").splitlines()
    sources = (parallel / "test.de").read_text().splitlines()
    assert len(lines) == len(sources)
    for line, source in zip(lines, sources, strict=True):
        for link in line.split():
            s, t = map(int, link.split("-"))
            assert max(s, t) < len(source.split())
    shown = succeed("align", forward, "--format", "pharaoh-probabilities").splitlines()
    assert [[link.split(":")[0] for link in line.split()] for line in shown] == [
        line.split() for line in lines
    ]
    assert all(0 <= float(link.split(":")[1]) <= 1 for line in shown for link in line.split())


def test_both_directions_made_one(forward: Path, backward: Path) -> None:
    ahead, back = open_run(forward, "cpu"), open_run(backward, "cpu")
    pairs = ahead.select()
    one, other = both_ways(ahead, back, pairs, "posterior")
    both = symmetrised(one, other, "intersection")
    for x, y, z in zip(one, other, both, strict=True):
        assert {link[:2] for link in z} == {link[:2] for link in x} & {link[:2] for link in y}
    told = succeed("align", forward, "--both-ways", backward, "--symmetrise", "union", "--format", "pharaoh")
    union = [{link[:2] for link in (*x, *y)} for x, y in zip(one, other, strict=True)]
    assert [
        {tuple(map(int, link.split("-"))) for link in line.split()} for line in told.splitlines()
    ] == union
    assert "does not go back" in fail(2, "align", forward, "--both-ways", forward, "--format", "pharaoh")


def test_errors_against_known_links(forward: Path, backward: Path) -> None:
    ahead, back = open_run(forward, "cpu"), open_run(backward, "cpu")
    pairs = ahead.select()
    assert "no known links" in fail(3, "compare", "alignments", forward)
    gold = [
        pair._replace(links=tuple(link[:2] for link in found))
        for pair, found in zip(pairs, word_links(ahead, pairs, "posterior"), strict=True)
    ]
    rows = {(row["by"], row["links"]): row for row in compare_links(ahead, back, gold)}
    assert rows["posterior", "forward"]["AER"] == 0
    assert rows["posterior", "intersection"]["precision"] == 1
    assert rows["posterior", "union"]["recall"] == 1
    assert rows["prior", "backward"]["hit"] is not None
    assert rows["prior", "union"]["hit"] is None


def test_beginning_with_another_runs_weights(forward: Path, parallel: Path, tmp_path: Path) -> None:
    words = ("train", "--data", parallel, "--device", "cpu", *settings(), *LEARNT, "--objective", "exact")
    bound = float(succeed(*words, "--init-from", forward, "--dry-run").split(":")[1].split()[0])
    begun = float(succeed(*words, "--dry-run").split(":")[1].split()[0])
    records = [json.loads(line) for line in (forward / "metrics.jsonl").read_text().splitlines()]
    best = max(record["bound"] for record in records if record["split"] == "dev")
    assert bound >= best > begun  # the exact marginal of the same weights lies above their ELBO
    other = ("--set", "network.decoder=9", "--init-from", forward, "--dry-run")
    assert "another network" in fail(2, *words, *other)
    assert "other symbols" in fail(2, *words, "--set", "data.pieces=45", "--init-from", forward, "--dry-run")
    assert "not a run folder" in fail(4, *words, "--init-from", tmp_path, "--dry-run")


def copied(parallel: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in parallel.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_bad_lines_stop_or_are_left_out(parallel: Path, tmp_path: Path) -> None:
    folder = copied(parallel, tmp_path / "bad")
    lines = (folder / "train.en").read_text().split("\n")
    (folder / "train.en").write_text("\n".join([lines[0], "", *lines[2:]]))
    words = ("train", "--data", folder, "--device", "cpu", *settings(), "--dry-run")
    assert "train.en:2" in fail(3, *words)
    succeed(*words, "--on-bad", "skip")
    (folder / "train.en").write_text("\n".join(lines[:-2]) + "\n")
    assert "80" in fail(3, *words, "--on-bad", "skip")


def test_pairs_that_are_too_long_stop_or_are_left_out(forward: Path, parallel: Path, tmp_path: Path) -> None:
    folder = copied(parallel, tmp_path / "long")
    for part, number in (("train", 3), ("test", 5)):
        lines = (folder / f"{part}.en").read_text().split("\n")
        lines[number - 1] = "zoo " * 101
        (folder / f"{part}.en").write_text("\n".join(lines))
    words = ("train", "--data", folder, "--device", "cpu", *settings(), "--dry-run")
    told = fail(3, *words)
    assert re.search(r"train\.en:3: target of \d+ symbols, data\.max_length is 100", told)
    assert "(and 1 more bad line: test.en:5)" in told
    assert "--on-bad skip" in told
    skipped = hardpp(*words, "--on-bad", "skip")
    assert (skipped.exit_code, "left out: " in skipped.stderr) == (0, True)
    # A trained run answers what it is asked, unless it was to skip it, and passes over what was for training.
    run, heard = open_run(forward, "cpu"), list[str]()
    long = folder / "test.en"
    counts = []
    for on_bad in ("stop", "skip"):
        data = run.config.data.model_copy(update={"on_bad": on_bad})
        asked = replace(run, config=run.config.model_copy(update={"data": data}))
        for name, part in ((folder, "all"), (long, None)):
            counts.append(len(asked.select(str(name), part, None, heard.append)))
    whole, lines = 100, len(long.read_text().splitlines())
    assert counts == [whole - 1, lines, whole - 2, lines - 1]
    assert heard.count("1 training pair of more than 100 symbols left out") == 2
    assert [line.startswith(f"left out: {long}:5: target of") for line in heard].count(True) == 2


def test_words_of_parallel_text_are_sentences(parallel: Path, tmp_path: Path) -> None:
    folder = copied(parallel, tmp_path / "twice")
    for side, line in (("de", "der hund\n"), ("en", "the dog\n")):
        (folder / f"test.{side}").write_text(line * 2 + (folder / f"test.{side}").read_text())
    words = ("--set", "data.source_tokens=words", "--set", "data.target_tokens=words", "--max-steps", "1")
    run = trained(folder, tmp_path / "run", *words)
    (row,) = json.loads(succeed("evaluate", run, "--format", "json"))
    assert (row["pairs"], "tok:none" in row["signature"], "PER" in row) == (12, True, False)
    # A run folder of before does not say it, and is asked as it was.
    opened = open_run(run, "cpu")
    before = {side: {"kind": "words"} for side in ("source_tokens", "target_tokens")}
    folding = {"form": "NFC"}
    assert opened.description.source_tokens == {"kind": "words", "sentences": True, "folding": folding}
    opened = replace(opened, description=PairsDescription(**opened.description.model_dump() | before))
    pairs = opened.select()
    assert len(pairs) == len({pair.source for pair in pairs})
    assert "PER" in opened.evaluate(pairs)


def test_text_in_parts_stays_so_and_bleu_is_of_whole_words(parallel: Path, tmp_path: Path) -> None:
    folder = copied(parallel, tmp_path / "parts")
    for path in folder.iterdir():
        path.write_text(path.read_text().replace("hund", "hu@@ nd").replace("dog", "do@@ g"))
    run = open_run(trained(folder, tmp_path / "run", "--max-steps", "1"), "cpu")
    assert [tokenizer.kind for tokenizer in run.description.tokenizers] == ["bpe", "bpe"]
    assert {"hu@@", "nd"} <= set(run.description.source_vocabulary)
    pairs = run.select()
    said = [[{"do@@": "ca@@", "g": "t"}.get(part, part) for part in pair.target] for pair in pairs]
    texts = [" ".join(tokens).replace("@@ ", "") for tokens in said]
    right = [line.replace("@@ ", "") for line in (folder / "test.en").read_text().splitlines()]
    assert quality(run, pairs, said)["BLEU"] == bleu(texts, [[text] for text in right], tokenized=True).score
    assert "tok:none" in quality(run, pairs, said)["signature"]
    # Links are of whole words too.
    for line, text in zip(word_links(run, pairs, "posterior"), right, strict=True):
        assert all(link.target < len(text.split()) for link in line)


@pytest.mark.parametrize("name", ["more", "more.de", "more.en"])
def test_a_pair_of_files_is_one_piece_to_a_run(forward: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "more.de").write_text("der hund\nkatze\nhaus\n")
    (tmp_path / "more.en").write_text("the dog\ncat\nhouse\n")
    run = open_run(forward, "cpu")
    pairs = run.select(str(tmp_path / name), None, None, print)
    tokenizer, _ = run.description.tokenizers
    assert [tokenizer.detokenize(pair.source) for pair in pairs] == ["der hund", "katze", "haus"]


def test_pairs_come_through_a_pipe(forward: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("der hund\tthe dog\nkatze\tcat\n",), daemon=True)
    writer.start()
    run = open_run(forward, "cpu")
    assert len(run.select(str(pipe), None, None, print)) == 2
    writer.join()


def test_two_files_are_trained_on_by_the_name_that_they_begin_with(parallel: Path, tmp_path: Path) -> None:
    words = ("--device", "cpu", *settings(), "--dry-run")
    assert "there is no" in fail(2, "train", "--data", tmp_path / "texts", *words)
    for side in ("de", "en"):
        (tmp_path / f"texts.{side}").write_text((parallel / f"train.{side}").read_text() * 3)
    succeed("train", "--data", tmp_path / "texts", *words)
    assert AlignmentFamily().recommended(str(tmp_path / "texts")) == AlignmentFamily().recommended(
        str(parallel)
    )


def test_a_run_that_skips_bad_lines_skips_them_in_other_files(
    forward: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.tsv"
    path.write_text("der hund\tthe dog\nkatze\n")
    run = open_run(forward, "cpu")
    with pytest.raises(DataError, match=r"bad\.tsv:2: missing target") as caught:
        run.select(str(path), None, None, print)
    assert "a run with --on-bad skip" in caught.value.hint
    data = run.config.data.model_copy(update={"on_bad": "skip"})
    run = replace(run, config=run.config.model_copy(update={"data": data}))
    assert len(run.select(str(path), None, None, print)) == 1
    assert f"left out: {path}:2: missing target" in "".join(capsys.readouterr())
