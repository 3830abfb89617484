"""Online decoding against every way to go on, written out."""

import math
from collections import defaultdict
from typing import Any

import pytest
import torch
from utterances import MODELS, V, online, transducer, utterances

from hardpp.decoding.online import beam, beam_ranked, decode, draw
from hardpp.errors import UsageError

MOST = 2
WIDE = 400  # wider than there are hypotheses
Outcomes = dict[tuple[tuple[int, ...], tuple[int, ...]], float]


@torch.no_grad()
def outcomes(model: Any, frames: Any) -> Outcomes:
    """The log-probability of every (tokens, frames they are said at) that one utterance can end in."""
    m = len(frames)
    known = model.read(frames.unsqueeze(0), torch.ones(1, m, dtype=torch.bool))
    found: Outcomes = {}

    def go(consumed: int, said: tuple[int, ...], at: tuple[int, ...], state: Any, score: float) -> None:
        emit, tokens, state = model.step(known[:, consumed], state)
        may_leave = consumed < m
        p, each = float(emit.sigmoid()), tokens.softmax(-1)[0].tolist()
        if may_leave:
            stay = model.follow(state, torch.tensor([False]), torch.tensor([0]))
            if model.dwell or consumed + 1 < m:
                go(consumed + 1, said, at, stay, score + math.log(1 - p))
            else:
                found[said, at] = score + math.log(1 - p)
        for token in range(V):
            chance = score + (math.log(p) if may_leave else 0.0) + math.log(each[token])
            if token == 0:
                found[said, (*at, consumed)] = chance  # the mark's place is kept to tell it from no mark
                continue
            here = (*said, token), (*at, consumed)
            after = consumed if model.dwell else consumed + 1
            if len(here[0]) == MOST or (not model.dwell and after == m):
                found[here] = chance
            else:
                go(after, *here, model.follow(state, torch.tensor([True]), torch.tensor([token])), chance)

    go(0, (), (), model.start(1), 0.0)
    return found


def each_alone(model: Any) -> list[Outcomes]:
    batch = utterances((3, 2), (1, 1))
    return [
        outcomes(model, frames[mask]) for frames, mask in zip(batch.source, batch.source_mask, strict=True)
    ]


@pytest.mark.parametrize("dwell", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_the_outcomes_are_all_there_are(name: str, dwell: bool) -> None:
    for found in each_alone(MODELS[name](dwell)):
        assert sum(map(math.exp, found.values())) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("dwell", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_a_wide_beam_finds_the_best_path(name: str, dwell: bool) -> None:
    model, batch = MODELS[name](dwell), utterances((3, 2), (1, 1), padded=(2, 0))
    results = beam(model, batch.source, batch.source_mask, most=MOST, width=WIDE, merge=False)
    for result, found in zip(results, each_alone(model), strict=True):
        (tokens, at), best = max(found.items(), key=lambda item: item[1])
        assert result.log_prob == pytest.approx(best, abs=1e-5)
        assert result.tokens == list(tokens)
        assert result.frames == list(at[: len(tokens)])


@pytest.mark.parametrize("dwell", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_a_wide_beam_ranks_the_best_paths(name: str, dwell: bool) -> None:
    model, batch = MODELS[name](dwell), utterances((3, 2), (1, 1), padded=(2, 0))
    how: Any = {"most": MOST, "width": WIDE, "merge": False, "count": 12}
    ranked = beam_ranked(model, batch.source, batch.source_mask, **how)
    for several, found in zip(ranked, each_alone(model), strict=True):
        best = sorted(found.values(), reverse=True)[:12]
        assert [one.log_prob for one in several] == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("dwell", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_a_narrow_beam_of_a_batch_is_that_of_each_utterance(name: str, dwell: bool, merge: bool) -> None:
    lengths = (9, 4, 7, 2)
    model, batch = MODELS[name](dwell), utterances(lengths, (1, 1, 1, 1), padded=(3, 0))
    how: Any = {"most": 6, "width": 3, "merge": merge, "count": 2}
    together = beam_ranked(model, batch.source, batch.source_mask, **how)
    for found, frames, mask in zip(together, batch.source, batch.source_mask, strict=True):
        (alone,) = beam_ranked(model, frames[mask].unsqueeze(0), mask[mask].unsqueeze(0), **how)
        assert [one[:2] for one in found] == [one[:2] for one in alone]
        assert [one.log_prob for one in found] == pytest.approx([one.log_prob for one in alone], abs=1e-12)


@pytest.mark.parametrize("dwell", [True, False])
def test_a_wide_merging_beam_finds_the_best_tokens(dwell: bool) -> None:
    model, batch = transducer(dwell), utterances((3, 2), (1, 1), padded=(2, 0))
    how: Any = {"most": MOST, "width": WIDE, "merge": True}
    results = beam(model, batch.source, batch.source_mask, **how)
    ranked = beam_ranked(model, batch.source, batch.source_mask, count=4, **how)
    for result, several, found in zip(results, ranked, each_alone(model), strict=True):
        total: dict[tuple[int, ...], float] = defaultdict(float)
        for (tokens, _), score in found.items():
            total[tokens] += math.exp(score)
        tokens, best = max(total.items(), key=lambda item: item[1])
        assert result.tokens == list(tokens)
        assert result.log_prob == pytest.approx(math.log(best), abs=1e-5)
        order = sorted(total.items(), key=lambda item: -item[1])[:4]
        assert [one.tokens for one in several] == [list(tokens) for tokens, _ in order]
        assert [one.log_prob for one in several] == pytest.approx(
            [math.log(each) for _, each in order], abs=1e-5
        )


@pytest.mark.parametrize("dwell", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_draws_know_how_probable_they_are(name: str, dwell: bool) -> None:
    model, batch = MODELS[name](dwell), utterances((3, 2), (1, 1), padded=(2, 0))
    known = each_alone(model)
    for _ in range(20):
        results = draw(model, batch.source, batch.source_mask, most=MOST)
        for result, found in zip(results, known, strict=True):
            scores = [
                score
                for (tokens, at), score in found.items()
                if list(tokens) == result.tokens and list(at[: len(tokens)]) == result.frames
            ]
            assert min(abs(score - result.log_prob) for score in scores) < 1e-5


@pytest.mark.parametrize("dwell", [True, False])
@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_greedy_decides_for_the_likelier(name: str, dwell: bool) -> None:
    """Of a batch as of each utterance by itself; above a threshold of 0 always, above 1 never."""
    model, batch = MODELS[name](dwell), utterances((3, 2), (1, 1), padded=(2, 0))
    together = decode(model, batch.source, batch.source_mask, most=MOST)
    for b, m in enumerate((3, 2)):
        alone = decode(model, batch.source[b : b + 1, :m], batch.source_mask[b : b + 1, :m], most=MOST)
        assert alone[0].tokens == together[b].tokens
        assert alone[0].frames == together[b].frames
        known = model.read(batch.source[b : b + 1, :m], batch.source_mask[b : b + 1, :m])
        emit, tokens, _ = model.step(known[:, 0], model.start(1))
        if float(emit) > 0:
            said = int(tokens.argmax())
            assert together[b].tokens[:1] == ([] if said == 0 else [said])
            assert together[b].frames[:1] == ([] if said == 0 else [0])
        else:
            assert 0 not in together[b].frames
    eager = decode(model, batch.source, batch.source_mask, most=MOST, threshold=0.0)
    assert all(set(result.frames) <= ({0} if dwell else {0, 1}) for result in eager)
    never = decode(model, batch.source, batch.source_mask, most=MOST, threshold=1.0)
    assert all(set(result.frames) <= {m} for result, m in zip(never, (3, 2), strict=True))
    assert dwell or all(result.tokens == [] for result in never)


@pytest.mark.parametrize("way", ["greedy", "sampled", "beam"])
def test_every_row_has_a_limit_of_its_own(way: str) -> None:
    """As each by itself, where nothing but the limit ends them."""
    model, batch = transducer(), utterances((3, 2, 2), (1, 1, 1))
    model.readout.bias.data[0] = -30.0  # no end mark
    limits = torch.tensor([5, 1, 3])

    def found(row: slice, most: Any) -> list[Any]:
        source, mask = batch.source[row], batch.source_mask[row]
        if way == "beam":
            return beam(model, source, mask, most=most, width=4, merge=True)
        return (draw if way == "sampled" else decode)(model, source, mask, most=most)

    together = found(slice(None), limits)
    assert [len(result.tokens) for result in together] == limits.tolist()
    if way != "sampled":
        for b, m in enumerate((3, 2, 2)):
            (alone,) = found(slice(b, b + 1), int(limits[b]))
            assert (alone.tokens, alone.frames) == (together[b].tokens, together[b].frames), m


@pytest.mark.parametrize("dwell", [True, False])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
@torch.no_grad()
def test_greedy_emits_once_a_token_probably_came(name: str, dwell: bool, threshold: float) -> None:
    """The rule written out; with long utterances no single frame need be above the threshold."""
    model, batch = MODELS[name](dwell), utterances((6, 4), (1, 1))
    if name == "transducer":
        model.emission.bias -= 1.5  # tokens whose frames are uncertain
    found = decode(model, batch.source, batch.source_mask, most=3, threshold=threshold)
    for b, m in enumerate((6, 4)):
        known = model.read(batch.source[b : b + 1, :m], batch.source_mask[b : b + 1, :m])
        state, consumed, none, said, at = model.start(1), 0, 1.0, [], []
        while len(said) < 3 and (consumed < m or dwell):
            emit, tokens, state = model.step(known[:, consumed], state)
            none *= 1 - float(emit.sigmoid())
            emits, token = consumed == m or 1 - none > threshold, int(tokens.argmax())
            state = model.follow(state, torch.tensor([emits]), torch.tensor([token]))
            if emits and token == 0:
                break
            if emits:
                said, at, none = [*said, token], [*at, consumed], 1.0
            consumed += not (emits and dwell)
        assert (found[b].tokens, found[b].frames) == (said, at)


def test_a_beam_keeps_something() -> None:
    batch = utterances()
    with pytest.raises(UsageError, match="at least 1"):
        beam(online(), batch.source, batch.source_mask, most=MOST, width=0, merge=False)


def test_a_beam_of_one_is_no_better_than_a_wide_one() -> None:
    batch = utterances((3, 2), (1, 1))
    for model in (online(), transducer()):
        narrow, wide = (
            beam(model, batch.source, batch.source_mask, most=MOST, width=width, merge=False)
            for width in (1, WIDE)
        )
        assert all(a.log_prob <= b.log_prob + 1e-9 for a, b in zip(narrow, wide, strict=True))
