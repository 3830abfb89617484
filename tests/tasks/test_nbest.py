"""N-best outputs and their probabilities against sums over all alignments, written out."""

from itertools import product
from math import exp, log
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from decoding.tiny import SOURCES, padded, tiny_model

from hardpp.decoding.beam import beam_search
from hardpp.tasks.answers.decoded import Hypothesis, in_turn, ranked
from hardpp.tasks.family import Programs
from hardpp.tasks.sequence_decoding import SequenceDecoding, best_texts, log_probs
from hardpp.types import SequenceBatch

T = 4
OUTPUTS = [list(symbols) for length in range(T) for symbols in product([2, 3, 4], repeat=length)]
WIDE = SequenceDecoding(beam=27 * 4)


def batch_of(sources: list[list[int]]) -> SequenceBatch:
    return SequenceBatch(*padded(sources), *padded([[0]] * len(sources)))


def a_run(model: Any, prediction: str = "marginal") -> Any:
    programs = Programs(model, lambda batch: None)  # type: ignore[arg-type]
    return SimpleNamespace(programs=programs, objective=SimpleNamespace(prediction=prediction))


@torch.no_grad()
def by_hand(model: Any, source: list[int], output: list[int]) -> float:
    """log p(output): every tuple of positions, its probability and that of the symbols there."""
    read, state = model.read(*padded([source]))
    tables, previous = [], 0
    for symbol in (*output, 0):
        query, scores, state = model.step(read, state, torch.tensor([previous]))
        here = model.readout(read.memory, query.unsqueeze(-2)).softmax(-1)[0, :, symbol]
        tables.append((scores.softmax(-1)[0] * here).tolist())
        previous = symbol
    total = 0.0
    for positions in product(range(len(source)), repeat=len(tables)):
        joint = 1.0
        for table, position in zip(tables, positions, strict=True):
            joint *= table[position]
        total += joint
    return log(total)


@pytest.mark.parametrize("seed", [0, 1])
def test_they_are_the_likeliest_with_their_exact_probabilities(seed: int) -> None:
    model, sources = tiny_model(seed), [SOURCES[0], SOURCES[1]]
    run, batch = a_run(model), batch_of(sources)
    all_of_them = best_texts(run, batch, WIDE, T, len(OUTPUTS), str)
    for source, found in zip(sources, all_of_them, strict=True):
        exact = {str(output): by_hand(model, source, output) for output in OUTPUTS}
        assert {one.text: one.log_prob for one in found} == pytest.approx(exact, abs=1e-9)
        order = sorted(exact.values(), reverse=True)
        assert [one.log_prob for one in found] == pytest.approx(order, abs=1e-9)
        assert sum(one.probability for one in found) < 1
        assert all(one.exact for one in found)
    for few, found in zip(best_texts(run, batch, WIDE, T, 3, str), all_of_them, strict=True):
        assert few == found[:3]


def test_outputs_of_one_text_are_one() -> None:
    model, source = tiny_model(), SOURCES[0]

    def text(symbols: Any) -> str:
        return "".join("b" if symbol == 4 else "ab"[symbol - 2] for symbol in symbols)  # 3 and 4 are alike

    exact: dict[str, float] = {}
    for output in OUTPUTS:
        exact[text(output)] = exact.get(text(output), 0.0) + exp(by_hand(model, source, output))
    (found,) = best_texts(a_run(model), batch_of([source]), WIDE, T, len(OUTPUTS), text, one_way=False)
    assert {one.text: one.probability for one in found} == pytest.approx(exact, rel=1e-9)
    assert len(found) == len(exact) < len(OUTPUTS)
    assert not any(one.exact for one in found)


@pytest.mark.parametrize(("prediction", "keep"), [("marginal", 1), ("marginal", 2), ("expected", None)])
def test_they_are_as_the_run_predicts(prediction: Any, keep: int | None) -> None:
    model, batch = tiny_model(), batch_of(SOURCES)
    how: Any = {"width": 4, "max_steps": T, "prediction": prediction, "keep": keep}
    searched = beam_search(model, batch.source, batch.source_mask, **how)
    targets = [[each.symbols for each in some if each.ended] for some in searched]
    expected = [each.log_prob for some in searched for each in some if each.ended]
    found = log_probs(a_run(model, prediction), batch, targets, keep)
    assert [value for some in found for value in some] == pytest.approx(expected, abs=1e-8)


def test_one_is_what_is_decoded_and_several_are_by_probability() -> None:
    model, batch = tiny_model(), batch_of(SOURCES)
    options = SequenceDecoding(beam=WIDE.beam, length_penalty=3.0)
    how: Any = {"width": WIDE.beam, "max_steps": T, "length_penalty": 3.0}
    searched = beam_search(model, batch.source, batch.source_mask, **how)
    ones = best_texts(a_run(model), batch, options, T, 1, str)
    assert [one.text for (one,) in ones] == [str(some[0].symbols) for some in searched]
    several = best_texts(a_run(model), batch, options, T, 3, str)
    assert [one[0].text for one in several] != [one[0].text for one in ones]


def test_ranks() -> None:
    half, quarter = log(0.5), log(0.25)
    some = [Hypothesis("a", quarter, True), Hypothesis("b", half, True), Hypothesis("a", half, False)]
    first, second = ranked(some, 5)
    assert (first.text, first.exact, second) == ("a", False, some[1])
    assert first.probability == pytest.approx(0.75)
    never = Hypothesis("c", float("-inf"), True)
    assert ranked([never, never], 5) == (never,)
    assert ranked(some, 1) == (first,)


def test_values_in_turn() -> None:
    told = []

    def found() -> Any:
        for index in (1, 0, 3, 2):
            told.append(index)
            yield index, "abcd"[index]

    each = in_turn(found())
    assert (next(each), told) == ("a", [1, 0])
    assert list(each) == ["b", "c", "d"]
