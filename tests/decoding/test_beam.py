from itertools import product

import pytest
import torch
from decoding.tiny import SOURCES, padded, tiny_model

from hardpp.decoding.beam import beam_search
from hardpp.decoding.greedy import greedy
from hardpp.errors import UsageError
from hardpp.inference.exact import ExactMarginal
from hardpp.types import SequenceBatch

T = 4
OUTPUTS = [list(symbols) for length in range(T) for symbols in product([2, 3, 4], repeat=length)]  # 40
WIDE = 27 * 4  # beginnings of three symbols, and what can follow each


def brute_force(model, source, penalty=0.0):
    """Every output that ends within T steps, best first, scored by exact enumeration."""
    ids, mask = padded([source] * len(OUTPUTS))
    batch = SequenceBatch(ids, mask, *padded([[*output, 0] for output in OUTPUTS]))
    log_p = ExactMarginal().estimate(model, lambda batch: None, batch).bound.tolist()
    scored = [
        (log_prob / ((5 + len(output) + 1) / 6) ** penalty, log_prob, output)
        for log_prob, output in zip(log_p, OUTPUTS, strict=True)
    ]
    return sorted(scored, reverse=True)


@pytest.mark.parametrize("penalty", [0.0, 0.7, 2.0])
def test_a_wide_beam_is_exact(penalty):
    for seed in range(4):
        model = tiny_model(seed)
        found = beam_search(model, *padded(SOURCES), width=WIDE, max_steps=T, length_penalty=penalty)
        for source, hypotheses in zip(SOURCES, found, strict=True):
            expected = brute_force(model, source, penalty)
            best = hypotheses[0]
            assert best.symbols == expected[0][2]
            assert best.score == pytest.approx(expected[0][0], abs=1e-10)
            assert best.log_prob == pytest.approx(expected[0][1], abs=1e-10)
            # All 40 outputs are kept: the whole ranking is that of the enumeration.
            assert [h.score for h in hypotheses] == pytest.approx([e[0] for e in expected], abs=1e-10)
            assert all(h.ended for h in hypotheses)


@pytest.mark.parametrize("width", [2, 3, 5])
def test_a_narrow_beam_scores_honestly_and_in_order(width):
    for seed in range(4):
        model = tiny_model(seed)
        for source, hypotheses in zip(
            SOURCES, beam_search(model, *padded(SOURCES), width=width, max_steps=T), strict=True
        ):
            exact = {tuple(output): log_prob for _, log_prob, output in brute_force(model, source)}
            assert 1 <= len(hypotheses) <= width
            assert [h.score for h in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)
            assert len({tuple(h.symbols) for h in hypotheses}) == len(hypotheses)
            for h in hypotheses:
                if h.ended:
                    assert h.log_prob == pytest.approx(exact[tuple(h.symbols)], abs=1e-10)


@pytest.mark.parametrize("options", [{}, {"prediction": "expected"}, {"keep": 1}])
def test_width_one_is_greedy(options):
    for seed in range(8):
        model = tiny_model(seed)
        found = beam_search(model, *padded(SOURCES), width=1, max_steps=6, **options)
        assert [h.symbols for (h,) in found] == greedy(model, *padded(SOURCES), max_steps=6, **options)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("extra", [0, 3])
def test_a_batch_decodes_like_its_rows(penalty, extra):
    for seed in range(4):
        model = tiny_model(seed)
        options = {"width": 3, "max_steps": 6, "length_penalty": penalty}
        found = beam_search(model, *padded(SOURCES, extra), **options)
        for source, hypotheses in zip(SOURCES, found, strict=True):
            (alone,) = beam_search(model, *padded([source]), **options)
            assert [h.symbols for h in hypotheses] == [h.symbols for h in alone]
            assert [h.score for h in hypotheses] == pytest.approx([h.score for h in alone], abs=1e-10)


def test_what_never_ends_is_cut_off():
    model = tiny_model()
    model.readout.symbols.bias.data[0] = -1e4
    (hypotheses,) = beam_search(model, *padded([[2, 3]]), width=1, max_steps=3)
    assert [(len(h.symbols), h.ended) for h in hypotheses] == [(3, False)]


def test_stops_as_soon_as_nothing_can_be_gained():
    model = tiny_model()
    model.readout.symbols.bias.data[0] = 50.0
    steps = []
    step = model.step
    model.step = lambda *args: steps.append(1) or step(*args)
    found = beam_search(model, *padded(SOURCES), width=1, max_steps=20)
    assert [h.symbols for (h,) in found] == [[], [], [], []]
    assert len(steps) == 1


def test_a_length_penalty_favours_longer_outputs():
    lengths = {}
    for penalty in (0.0, 3.0):
        found = beam_search(tiny_model(), *padded(SOURCES), width=WIDE, max_steps=T, length_penalty=penalty)
        lengths[penalty] = sum(len(hypotheses[0].symbols) for hypotheses in found)
    assert lengths[3.0] > lengths[0.0]


def test_a_vocabulary_smaller_than_the_beam():
    forbidden = (1, 3, 4)
    (hypotheses,) = beam_search(tiny_model(), *padded([[2]]), width=9, max_steps=3, forbidden=forbidden)
    assert sorted(h.symbols for h in hypotheses) == [[], [2], [2, 2]]


def test_runs_in_single_precision_without_a_gradient():
    (hypotheses,) = beam_search(tiny_model().float(), *padded([[2, 3]]), width=2, max_steps=3)
    assert isinstance(hypotheses[0].log_prob, float)
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize(
    "options", [{"width": 0}, {"length_penalty": -1.0}, {"max_steps": 0}, {"prediction": "soft"}]
)
def test_refuses_impossible_options(options):
    with pytest.raises(UsageError):
        beam_search(tiny_model(), *padded(SOURCES), **{"width": 2, "max_steps": 3, **options})
