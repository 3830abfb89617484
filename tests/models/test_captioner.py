"""The captioner and its guide against loops over words and regions; what it shares with latent alignment."""

import itertools
from typing import Any

import objective_settings
import oracles
import pytest
import torch
from cases import DOUBLE, normal, ragged, sharpen
from oracles import Latent, Twin
from pyro import poutine
from torch import Tensor, nn

from hardpp import sites
from hardpp.guides.captioner import SentenceInformed
from hardpp.guides.prior import Prior
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.importance_weighted import VIMCO
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.soft_attention import SoftAttention
from hardpp.inference.wake_sleep import ReweightedWakeSleep
from hardpp.inference.weights.sample_sites import sample_sites
from hardpp.models.captioner import Captioner
from hardpp.nn.attention import AdditiveScorer
from hardpp.nn.decoder import InputFeedingDecoder
from hardpp.nn.grid_encoder import GridEncoder
from hardpp.nn.readout import Readout
from hardpp.nn.recurrent import BidirectionalLSTM
from hardpp.types import SequenceBatch

CLOSE = {"rtol": 0, "atol": 1e-9}
V = 4


def captions(
    regions: tuple[int, ...] = (2, 3), words: tuple[int, ...] = (2, 1), padded: tuple[int, int] = (0, 0)
) -> SequenceBatch:
    """Two features a region; `padded` more regions hold 9 and more words 0."""
    mask, there = ragged(list(words)), ragged(list(regions))
    source = normal(*there.shape, 2, seed=1).detach().masked_fill(~there.unsqueeze(-1), 9.0)
    target = torch.randint(1, V, mask.shape, generator=torch.Generator().manual_seed(3)) * mask
    source = nn.functional.pad(source, (0, 0, 0, padded[0]), value=9.0)
    there = nn.functional.pad(there, (0, padded[0]))
    return SequenceBatch(
        source, there, nn.functional.pad(target, (0, padded[1])), nn.functional.pad(mask, (0, padded[1]))
    )


def programs(name: str = "informed", encoder: nn.Module | None = None, memory: int = 2) -> tuple[Any, Any]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        words = nn.Embedding(V, 2)
        decoder = InputFeedingDecoder(words, 2, AdditiveScorer(3, memory, 3), memory, 3, 1, 0.0)
        encoder = nn.Linear(2, 2) if encoder is None else encoder
        model = Captioner(encoder, decoder, Readout(memory, 3, 4, V, 0.0))
        if name == "prior":
            return (model := sharpen(model, 2.5).to(DOUBLE)), Prior(model)
        guide = SentenceInformed(encoder, words, BidirectionalLSTM(2, 2), AdditiveScorer(4, memory, 3))
        sharpen(guide, 2.5, but=model)
        return sharpen(model, 2.5).to(DOUBLE), guide.to(DOUBLE)


def tables(model: Any, guide: Any, batch: SequenceBatch) -> tuple[Tensor, Tensor, Tensor]:
    """log p(region), log p(word | region) and log q(region), each (B, T, S), a cell at a time."""
    B, T = batch.target.shape
    S = batch.source.shape[1]
    p, f, q = (torch.full((B, T, S), -torch.inf, dtype=DOUBLE) for _ in range(3))
    for b in range(B):
        n, memory = int(batch.source_mask[b].sum()), model.embedding(batch.source[b])
        context, cells = torch.zeros(1, 2, dtype=DOUBLE), None
        if not isinstance(guide, Prior):
            end = int(batch.target_mask[b].sum())
            said = guide.reader(guide.embedding(batch.target[b : b + 1, :end]), torch.ones(1, end).bool())[0]
        for t in range(int(batch.target_mask[b].sum())):
            before = batch.target[b, t - 1 : t] if t else torch.zeros(1, dtype=torch.int64)
            cell = model.decoder.cells[0]
            cells = cell(torch.cat([model.decoder.embedding(before), context], -1), cells)
            scorer = model.decoder.scorer
            scores = torch.stack(
                [
                    scorer.score(torch.tanh(scorer.query(cells[0][0]) + scorer.key(memory[s])))
                    for s in range(n)
                ]
            ).squeeze(-1)
            context = (scores.softmax(0) @ memory[:n]).unsqueeze(0)
            p[b, t, :n] = scores.log_softmax(0)
            for s in range(n):
                f[b, t, s] = model.readout(memory[s], cells[0][0]).log_softmax(-1)[batch.target[b, t]]
            if isinstance(guide, Prior):
                q[b, t] = p[b, t]
            else:
                own = guide.scorer
                found = [own.score(torch.tanh(own.query(said[t]) + own.key(memory[s]))) for s in range(n)]
                q[b, t, :n] = torch.cat(found).log_softmax(0)
    return p, f, q


def case(name: str, batch: SequenceBatch) -> tuple[Any, Any, Twin]:
    model, guide = programs(name)

    def joint(values: oracles.Values) -> tuple[Tensor, Tensor]:
        named = {"alignment": values[sites.REGION]}
        return oracles.alignment(*tables(model, guide, batch), batch.target_mask, named)

    S = int(batch.source_mask.sum(-1).min())
    return model, guide, Twin({sites.REGION: Latent(S, batch.target_mask)}, joint)


def test_sites_plates_and_masks() -> None:
    batch, (model, guide) = captions(), programs()
    model_sites, guide_sites = (sample_sites(poutine.trace(p).get_trace(batch)) for p in (model, guide))
    assert list(model_sites) == [sites.REGION, sites.SYMBOL]
    assert list(guide_sites) == [sites.REGION]
    for site in (*model_sites.values(), *guide_sites.values()):
        assert torch.equal(site["mask"], batch.target_mask)


@pytest.mark.parametrize("name", ["informed", "prior"])
def test_marginal_and_bound_are_those_of_a_loop(name: str) -> None:
    batch = captions()
    model, guide, _ = case(name, batch)
    p, f, q = (table.masked_fill(table == -torch.inf, -1e30) for table in tables(model, guide, batch))

    def total(terms: Tensor) -> Tensor:
        return terms.where(batch.target_mask, 0.0).sum(-1)

    parameters = list(dict.fromkeys([*model.parameters(), *guide.parameters()]))
    for objective, expected in (
        (ExactMarginal(), total((p + f).logsumexp(-1))),
        (EnumeratedELBO(), total((q.exp() * (p + f - q)).sum(-1))),
    ):
        found = objective.estimate(model, guide, batch)
        torch.testing.assert_close(found.bound, expected.detach(), **CLOSE)
        gradients = [oracles.flat_gradient(each.sum(), parameters) for each in (found.surrogate, expected)]
        assert gradients[1].abs().max() > 1e-2
        torch.testing.assert_close(*gradients, **CLOSE)


@pytest.mark.parametrize("name", ["informed", "prior"])
@pytest.mark.parametrize(
    "make",
    [ScoreFunctionELBO, lambda: ScoreFunctionELBO(2, baseline="leave-one-out"), lambda: VIMCO(2)],
    ids=["reinforce", "rloo", "vimco"],
)
def test_estimators_are_unbiased(name: str, make: Any) -> None:
    """A word's region is credited with that word; bounds of several particles are bounds of words."""
    batch, objective = captions((2, 2), (1, 1)), make()
    model, guide, twin = case(name, batch)

    def run() -> tuple[Tensor, Tensor]:
        estimate = objective.estimate(model, guide, batch)
        return estimate.bound, estimate.surrogate

    bound, surrogate = oracles.expectation(twin, objective.num_particles, run)
    tight = isinstance(objective, VIMCO)
    exact = oracles.iw_bound_per_datum(twin, 2) if tight else oracles.bound_per_datum(twin)
    torch.testing.assert_close(bound, exact.detach(), **CLOSE)
    parameters = list(dict.fromkeys([*model.parameters(), *guide.parameters()]))
    expected = oracles.flat_gradient(exact.sum(), parameters)
    assert expected.abs().max() > 1e-2
    torch.testing.assert_close(oracles.flat_gradient(surrogate, parameters), expected, **CLOSE)


def test_padding_changes_nothing() -> None:
    plain, padded = captions(), captions(padded=(2, 3))
    model, guide = programs()
    for objective in (ExactMarginal(), EnumeratedELBO(), SoftAttention()):
        bounds = [objective.estimate(model, guide, batch).bound for batch in (plain, padded)]
        torch.testing.assert_close(*bounds, **CLOSE)


def test_decoding_a_word_at_a_time_is_the_program() -> None:
    batch, (model, _) = captions((3, 3), (3, 3)), programs()
    trace = poutine.trace(model).get_trace(batch)
    scores, region = (trace.nodes[sites.REGION][part] for part in ("fn", "value"))
    source, state = model.read(batch.source, batch.source_mask)
    previous = torch.zeros(2, dtype=torch.int64)
    for t in range(3):
        query, found, state = model.step(source, state, previous)
        torch.testing.assert_close(found.log_softmax(-1), scores.logits[:, t], **CLOSE)
        attended = source.memory[torch.arange(2), region[:, t]]
        said = model.readout(attended, query).log_softmax(-1)
        expected = trace.nodes[sites.SYMBOL]["fn"].log_prob(batch.target)[:, t]
        torch.testing.assert_close(said[torch.arange(2), batch.target[:, t]], expected, **CLOSE)
        previous = batch.target[:, t]


@pytest.mark.parametrize("name", [name for name in objective_settings.ALIGNMENTS if "dream" not in name])
def test_every_objective_trains_it(name: str) -> None:
    batch, (model, guide) = captions(), programs()
    estimate = objective_settings.OBJECTIVES[name]().estimate(model, guide, batch)
    assert estimate.bound.isfinite().all()
    gradient = oracles.flat_gradient(estimate.surrogate, [*model.parameters(), *guide.parameters()])
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


def test_pixels_and_dreams() -> None:
    """An image encoder in the place of features; a dreamt sentence is put where the guide reads it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = GridEncoder([2, 2], 4)
    model, guide = programs(encoder=encoder, memory=encoder.features)
    pixels = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    words = captions((4, 4), (3, 2))
    batch = SequenceBatch(pixels, torch.ones(2, 4).bool(), words.target, words.target_mask)
    torch.manual_seed(0)
    estimate = ReweightedWakeSleep(3, insomnia=0.5).estimate(model, guide, batch)
    for parameter in [*model.parameters(), *guide.parameters()]:
        assert oracles.flat_gradient(estimate.surrogate, [parameter]).isfinite().all()
    gradient = oracles.flat_gradient(estimate.surrogate, list(encoder.parameters()))
    assert gradient.abs().max() > 0


def test_the_guide_has_heard_the_sentence_and_the_model_what_came_before() -> None:
    batch, (model, guide) = captions((3, 3), (3, 3)), programs()
    for t, program in itertools.product(range(3), (model, guide)):
        target = batch.target.clone()
        target[:, t] = target[:, t] % (V - 1) + 1
        one, two = (
            poutine.trace(program).get_trace(b).nodes[sites.REGION]["fn"].logits
            for b in (batch, batch._replace(target=target))
        )
        changed = (one != two).any(-1).all(0)  # (T)
        assert changed.tolist() == [program is guide or step > t for step in range(3)]
