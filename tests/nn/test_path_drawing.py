"""Drawing whole paths against the loop over single steps, at the same random numbers."""

from typing import Any

import pytest
import torch
from pyro import poutine
from recurrent_cells import RECURRENT
from torch import Tensor, nn
from utterances import E, F, H, V, informed, online, seeded, utterances

from hardpp import sites
from hardpp.distributions.decisions import Decisions
from hardpp.models.online_alignment import OnlineAlignment
from hardpp.nn import lstm_steps
from hardpp.nn.recurrent import StepwiseLSTM

LENGTHS = (12, 9, 6), (5, 6, 1)


class Stepwise:
    """A decider that can only go step by step."""

    def __init__(self, reader: Any):
        self.logits, self.start, self.step = reader.logits, reader.start, reader.step


class Doubled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(H, 1)

    def forward(self, states: Tensor) -> Tensor:
        return 2 * self.layer(states)


def not_linear(dwell: bool) -> OnlineAlignment:
    def make() -> OnlineAlignment:
        return OnlineAlignment(
            nn.Embedding(V, E), StepwiseLSTM(F + 1 + E, H), Doubled(), nn.Linear(H, V), dwell=dwell
        )

    return seeded(make, 0)


PROGRAMS: dict[str, Any] = {
    "online": online,
    "two layers": lambda dwell: online(dwell, layers=2),
    "three layers": lambda dwell: online(dwell, layers=3),
    "informed": informed,
    "not linear": not_linear,
}


def decisions_of(program: Any, padded: tuple[int, int] = (1, 2)) -> Decisions:
    batch = utterances(*LENGTHS, padded, dtype=torch.float64)
    fn: Decisions = poutine.trace(program).get_trace(batch).nodes[sites.DECISIONS]["fn"]
    return fn


@pytest.mark.parametrize("dwell", [True, False])
@pytest.mark.parametrize("name", PROGRAMS)
def test_whole_paths_are_those_of_single_steps(name: str, dwell: bool) -> None:
    fn = decisions_of(PROGRAMS[name](dwell)).expand((4, 3))
    stepwise = Decisions(fn.grid, Stepwise(fn.decider)).expand((4, 3))
    drawn = []
    for each in (fn, stepwise):
        torch.manual_seed(3)
        drawn.append(each.sample((50,)))
    assert drawn[0].shape == (50, 4, 3, fn.grid.steps)
    assert torch.equal(*drawn)
    assert len(drawn[0].flatten(0, 1).unique(dim=0)) > 50
    assert not drawn[0].requires_grad


@pytest.mark.parametrize("dwell", [True, False])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_fused_cell_draws_the_same(name: str, dwell: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, by a cell that is written out."""
    fn = decisions_of(PROGRAMS[name](dwell)).expand((4, 3))
    torch.manual_seed(3)
    expected = fn.sample((50,))
    monkeypatch.setattr(lstm_steps, "_UNFUSED", set())
    monkeypatch.setattr(lstm_steps, "_fused_cell", RECURRENT[torch.ops.aten._thnn_fused_lstm_cell.default])
    torch.manual_seed(3)
    assert torch.equal(fn.sample((50,)), expected)


@pytest.mark.parametrize("dwell", [True, False])
def test_a_step_emits_where_its_number_is_below_its_probability(dwell: bool) -> None:
    """By the pass that scores."""
    fn = decisions_of(informed(dwell))
    uniform = torch.rand(
        fn.grid.steps, 40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    reader: Any = fn.decider
    value = reader.draw(uniform)
    path = fn.grid.path(value)
    emits = uniform.movedim(0, -1) < reader.logits(value).sigmoid()
    emits = (path.may_emit & (emits | ~path.may_consume)) & path.within
    assert torch.equal(value.bool(), emits)


@pytest.mark.parametrize("dwell", [True, False])
@pytest.mark.parametrize("name", PROGRAMS)
def test_what_was_drawn_is_scored_without_being_read_again(
    name: str, dwell: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fn = decisions_of(PROGRAMS[name](dwell)).expand((4, 3))
    drawn = fn.sample((50,))
    expected = fn.step_log_prob(drawn).detach()  # with gradients, so by the pass that reads it
    monkeypatch.setattr(type(fn.decider), "states", None)
    with torch.no_grad():
        torch.testing.assert_close(fn.step_log_prob(drawn), expected, rtol=0, atol=1e-12)
        with pytest.raises(TypeError):  # equal decisions that were not drawn last are read
            fn.step_log_prob(drawn.clone())


@pytest.mark.parametrize("number", [0.0, 1.0])
def test_numbers_at_the_ends_draw_paths_as_well(number: float) -> None:
    fn = decisions_of(online())
    value = fn.decider.draw(torch.full((fn.grid.steps, 3), number, dtype=torch.float64))  # type: ignore[attr-defined]
    assert torch.isfinite(fn.step_log_prob(value)).all()
    first = fn.grid.tokens if number == 0.0 else fn.grid.frames
    for row, count in zip(value, first.tolist(), strict=True):
        assert row[:count].tolist() == [int(number == 0.0)] * count


@pytest.mark.parametrize("dwell", [True, False])
def test_half_precision_is_of_products_alone(dwell: bool) -> None:
    """Paths are drawn from what they are scored by, in single precision."""
    for program in (online(dwell, dtype=torch.float32), informed(dwell, dtype=torch.float32)):
        batch = utterances(*LENGTHS, dtype=torch.float32)
        uniform = torch.rand(
            batch.source.shape[1] + 6 * dwell, 40, 3, generator=torch.Generator().manual_seed(0)
        )
        with torch.autocast("cpu", torch.bfloat16):
            fn: Any = poutine.trace(program).get_trace(batch).nodes[sites.DECISIONS]["fn"]
            value = fn.decider.draw(uniform.double())
            logits, scores = fn.decider.logits(value), fn.step_log_prob(value)
        assert logits.dtype == scores.dtype == torch.float32
        path = fn.grid.path(value)
        emits = (
            path.may_emit & ((uniform.movedim(0, -1) < logits.sigmoid()) | ~path.may_consume) & path.within
        )
        assert torch.equal(value.bool(), emits)
