import pytest
import torch
from decoding.tiny import SOURCES, padded, tiny_model

from hardpp.decoding.greedy import greedy
from hardpp.decoding.predictive import next_symbol
from hardpp.errors import UsageError


def one_by_one(model, source, max_steps, forbidden=(1,), **options):
    ids, mask = padded([source])
    read, state = model.read(ids, mask)
    symbols, previous = [], 0
    for _ in range(max_steps):
        query, scores, state = model.step(read, state, torch.tensor([previous]))
        log_p = next_symbol(model, read, query, scores, **options)[0].tolist()
        previous = max((v for v in range(len(log_p)) if v not in forbidden), key=lambda v: log_p[v])
        if previous == model.boundary:
            break
        symbols.append(previous)
    return symbols


@pytest.mark.parametrize("options", [{}, {"prediction": "expected"}, {"keep": 1}, {"forbidden": ()}])
@pytest.mark.parametrize("extra", [0, 3])
def test_a_batch_decodes_like_its_rows(options, extra):
    outputs = set()
    for seed in range(12):
        model = tiny_model(seed, 2.0)
        found = greedy(model, *padded(SOURCES, extra), max_steps=7, **options)
        assert found == [one_by_one(model, source, 7, **options) for source in SOURCES]
        outputs |= {len(symbols) for symbols in found}
    assert len(outputs) > 2  # some end early, some late, some not at all


def test_never_emits_what_is_forbidden():
    emitted = {forbidden: set() for forbidden in [(), (1,), (1, 3)]}
    for seed in range(6):
        for forbidden, symbols in emitted.items():
            found = greedy(tiny_model(seed), *padded(SOURCES), max_steps=7, forbidden=forbidden)
            symbols.update(*found)
    assert emitted[()] == {1, 2, 3, 4}
    assert emitted[1,] == {2, 3, 4}
    assert emitted[1, 3] == {2, 4}


def test_stops_when_every_row_has_ended():
    model = tiny_model()
    model.readout.symbols.bias.data[0] = 50.0
    steps = []
    step = model.step
    model.step = lambda *args: steps.append(1) or step(*args)
    assert greedy(model, *padded(SOURCES), max_steps=20) == [[], [], [], []]
    assert len(steps) == 1


def test_leaves_the_random_state_and_the_gradients_alone():
    model, before = tiny_model(), torch.random.get_rng_state()
    greedy(model, *padded(SOURCES), max_steps=3)
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    "options", [{"max_steps": 0}, {"max_steps": 3, "forbidden": (0, 1)}, {"max_steps": 3, "keep": 0}]
)
def test_refuses_impossible_options(options):
    with pytest.raises(UsageError):
        greedy(tiny_model(), *padded(SOURCES), **options)
