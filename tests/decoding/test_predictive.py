from types import SimpleNamespace

import pytest
import torch
from decoding.tiny import SOURCES, SYMBOLS, padded, tiny_model

from hardpp.decoding.predictive import next_symbol
from hardpp.errors import UsageError


@pytest.fixture
def first_step():
    model = tiny_model()
    source, mask = padded(SOURCES)
    read, state = model.read(source, mask)
    query, scores, _ = model.step(read, state, torch.zeros(len(SOURCES), dtype=torch.long))
    return model, read, query, scores


def by_hand(model, read, query, scores, positions=None):
    """One loop a position, in linear space."""
    out = []
    for b in range(len(SOURCES)):
        chosen = range(len(SOURCES[b])) if positions is None else positions[b]
        p = torch.stack([scores[b, s].exp() for s in chosen])
        emission = [model.readout(read.memory[b, s], query[b]).softmax(-1) for s in chosen]
        out.append(sum(w * e for w, e in zip(p / p.sum(), emission, strict=True)).log())
    return torch.stack(out)


def test_marginal_sums_over_every_position(first_step):
    torch.testing.assert_close(next_symbol(*first_step), by_hand(*first_step), rtol=0, atol=1e-12)


def test_expected_reads_the_mean_memory(first_step):
    model, read, query, scores = first_step
    mean = torch.einsum("bs,bsm->bm", scores.softmax(-1), read.memory)
    expected = model.readout(mean, query).log_softmax(-1)
    torch.testing.assert_close(next_symbol(*first_step, "expected"), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("prediction", ["marginal", "expected"])
@pytest.mark.parametrize("keep", [None, 1, 2, 3, 99])
def test_probabilities_sum_to_one(first_step, prediction, keep):
    log_p = next_symbol(*first_step, prediction, keep)
    assert log_p.shape == (len(SOURCES), SYMBOLS)
    torch.testing.assert_close(log_p.exp().sum(-1), torch.ones(len(SOURCES), dtype=torch.float64))


def test_keep_reads_only_the_likeliest_positions(first_step):
    model, read, query, scores = first_step
    best = [sorted(range(len(row)), key=lambda s, b=b: -scores[b, s])[:2] for b, row in enumerate(SOURCES)]
    asked = []

    class Recorded:
        def logits(self, values, query):
            asked.append(values.shape)
            return model.readout.logits(values, query)

    recorded = SimpleNamespace(boundary=0, readout=Recorded())
    log_p = next_symbol(recorded, read, query, scores, keep=2)
    assert asked == [(len(SOURCES), 2, read.values.shape[-1])]
    torch.testing.assert_close(log_p, by_hand(*first_step, best), rtol=0, atol=1e-12)


def test_keeping_one_position_makes_both_alike(first_step):
    torch.testing.assert_close(
        next_symbol(*first_step, "marginal", 1), next_symbol(*first_step, "expected", 1), rtol=0, atol=1e-12
    )


def test_steps_chain_to_the_exact_marginal():
    from hardpp.inference.exact import ExactMarginal
    from hardpp.types import SequenceBatch

    model = tiny_model()
    source, mask = padded(SOURCES)
    target, target_mask = padded([[2, 4, 3, 0], [3, 0], [0], [4, 4, 0]])
    batch = SequenceBatch(source, mask, target, target_mask)
    read, state = model.read(source, mask)
    previous, total = torch.zeros(len(SOURCES), dtype=torch.long), 0.0
    for t in range(target.shape[1]):
        query, scores, state = model.step(read, state, previous)
        log_p = next_symbol(model, read, query, scores)
        previous = target[:, t]
        total = total + log_p.gather(-1, previous.unsqueeze(-1)).squeeze(-1) * target_mask[:, t]
    exact = ExactMarginal().estimate(model, lambda batch: None, batch).bound
    torch.testing.assert_close(total, exact, rtol=0, atol=1e-10)


@pytest.mark.parametrize("options", [("mean", None), ("marginal", 0), ("marginal", -1)])
def test_refuses_impossible_options(first_step, options):
    with pytest.raises(UsageError):
        next_symbol(*first_step, *options)


@pytest.mark.parametrize("tolerance", [1e-6, 0.1, 0.5])
def test_what_a_tolerance_leaves_out_is_no_more_than_it(first_step, tolerance):
    model, read, query, scores = first_step
    exact = next_symbol(*first_step).exp()
    found = next_symbol(*first_step, tolerance=tolerance).exp()
    torch.testing.assert_close(found.sum(-1), torch.ones(len(SOURCES), dtype=torch.float64))
    apart = (found - exact).abs().sum(-1) / 2
    assert bool((apart <= tolerance).all())
    one = slice(0, 1)
    alone = next_symbol(model, read.select(torch.tensor([0])), query[one], scores[one], tolerance=tolerance)
    torch.testing.assert_close(alone.exp(), found[one], rtol=0, atol=1e-12)


def test_a_certain_position_is_read_out_alone(first_step):
    model, read, query, scores = first_step
    certain = torch.full_like(scores, -torch.inf)
    certain[:, 0] = 0.0
    read_out = []

    class Recorded:
        def logits(self, values, query):
            read_out.append(values.shape[1])
            return model.readout.logits(values, query)

    next_symbol(SimpleNamespace(boundary=0, readout=Recorded()), read, query, certain, tolerance=1e-7)
    assert read_out == [1]
