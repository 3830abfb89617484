"""Long recordings in blocks: the answer is that of all pairs of frame and token at once."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from corpora import fail, settings, succeed
from tone_speech import MODEL, TINY, write_tones
from utterances import transducer, utterances

from hardpp.diagnostics.emissions import exact_emissions
from hardpp.distributions.ctc import CTCSequence
from hardpp.errors import ResourceError
from hardpp.models import memory_needed
from hardpp.models import transducer as transducer_module
from hardpp.models.ctc import CTC
from hardpp.nn.recurrent import StepwiseLSTM
from hardpp.ops.lattice_blocks import PathBlocks, blocked_log_total, blocked_marginals
from hardpp.runs.folder import open_run
from hardpp.tasks.online_alignment import long_recordings
from hardpp.tasks.online_alignment.emission_times import frames_of_items, plain_times_of
from hardpp.tasks.online_alignment.evaluation import likelihood
from hardpp.tasks.online_alignment.long_recordings import Entries
from hardpp.tasks.opened_run import OpenedRun

pytest.importorskip("soundfile")


def table(blocks: PathBlocks, T: int, S: int) -> torch.Tensor:
    found = torch.zeros(T, S, dtype=torch.float64)
    for first, marginals in blocked_marginals(blocks.arcs, blocks.steps, blocks.end):
        said, frames = blocks.emissions(first, marginals)
        found.scatter_add_(1, frames.T.contiguous(), said.T.double().contiguous())
    return found


@pytest.mark.parametrize("at_once", [1, 40, 100_000])
@pytest.mark.parametrize("dwell", [True, False])
@pytest.mark.parametrize(("frames", "tokens"), [(1, 1), (3, 2), (7, 4), (30, 11)])
@torch.no_grad()
def test_a_transducer_in_blocks(
    dwell: bool, frames: int, tokens: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transducer_module, "_AT_ONCE", at_once)
    model, batch = transducer(dwell), utterances((frames,), (tokens,))
    exact, log_p = exact_emissions(model, batch)
    blocks = model.path_blocks(batch)
    torch.testing.assert_close(table(blocks, tokens, frames), exact[0], rtol=0, atol=1e-9)
    torch.testing.assert_close(blocked_log_total(blocks.arcs, blocks.steps, blocks.end), log_p[0])


@torch.no_grad()
def test_ctc_in_blocks() -> None:
    torch.manual_seed(0)
    batch = utterances((30,), (9,))
    model = CTC(StepwiseLSTM(2, 5).double(), torch.nn.Linear(5, 4).double())
    whole = CTCSequence(model.read(*batch[:2]), batch.source_mask, batch.target_mask)
    blocks = model.path_blocks(batch)
    torch.testing.assert_close(table(blocks, 8, 30), whole.token_frames(batch.target)[0], rtol=0, atol=1e-9)
    found = blocked_log_total(blocks.arcs, blocks.steps, blocks.end)
    torch.testing.assert_close(found, whole.log_prob(batch.target)[0])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARDPP_DATA", str(tmp_path_factory.mktemp("cache")))
        yield write_tones(tmp_path_factory.mktemp("data") / "TIMIT")


@pytest.fixture(scope="module", params=["transducer", "ctc"])
def run(request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory) -> OpenedRun:
    out = tmp_path_factory.mktemp("run") / request.param
    words = ["--objective", "exact", "--set", f"network.form={request.param}", "--device", "cpu"]
    succeed("train", "--model", MODEL, "--data", data, *settings(TINY), *words, "--out", out)
    return open_run(out, "cpu")


def test_a_run_answers_alike_in_blocks(run: OpenedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    items = run.select()
    before = run.align(items), run.evaluate(items), frames_of_items(run, items, "posterior")
    times, bound = plain_times_of(run, items, "posterior", 0.8), likelihood(run, items)
    monkeypatch.setattr(long_recordings, "MOST", 500)
    assert all(long_recordings.is_long(run, item) for item in items)
    assert run.align(items) == before[0]
    for name, value in run.evaluate(items).items():
        assert value == (pytest.approx(before[1][name]) if isinstance(value, float) else before[1][name])
    for one, other in zip(frames_of_items(run, items, "posterior"), before[2], strict=True):
        torch.testing.assert_close(one[:-1], other[:-1], rtol=0, atol=1e-4)
    assert likelihood(run, items)["nll"] == pytest.approx(bound["nll"])
    for mine, theirs in zip(plain_times_of(run, items, "posterior", 0.8), times, strict=True):
        assert mine.ends == theirs.ends
        assert mine.confidences == pytest.approx(theirs.confidences)


def test_entries_are_few_and_enough() -> None:
    entries = Entries(np.array([0, 0, 2]), np.array([1, 3, 2]), np.array([0.4, 0.6, 1.0]), 3, 5)
    assert entries.quantiles((0.5, 0.1)) == [[3, 1], [0, 0], [2, 2]]
    assert entries.largest() == [0.6, 0.0, 1.0]
    assert entries.dense().tolist() == [
        pytest.approx([0, 0.4, 0, 0.6, 0]),
        [0] * 5,
        [0, 0, 1, 0, 0],
    ]
    with pytest.raises(ResourceError, match="more than can be held"):
        entries._replace(T=10**6, S=10**6).dense()


def test_draws_of_a_guide_are_fewer_at_once_where_recordings_are_long() -> None:
    run: Any = SimpleNamespace(network=SimpleNamespace(hidden=128), description=SimpleNamespace(features=369))
    assert long_recordings.draws_at_once(run, 300, 60) == 100
    assert 1 <= long_recordings.draws_at_once(run, 20_000, 600) < 20
    assert long_recordings.draws_at_once(run, 10**9, 10**8) == 1


@pytest.mark.parametrize("form", ["transducer", "ctc"])
def test_what_cannot_fit_is_refused_before_it_is_tried(
    form: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_needed, "_LITTLE", 0)
    monkeypatch.setattr(memory_needed, "available_bytes", lambda device: 10)
    words = ["--objective", "exact", "--set", f"network.form={form}", "--device", "cpu"]
    refused = fail(
        6, "train", "--model", MODEL, "--data", data, *settings(TINY), *words, "--out", tmp_path / "run"
    )
    assert "all alignments of 2 recordings of up to" in refused
    assert "training.batch_size" in refused
