"""A captioner that learns to name what it sees from left to right, and which region each word is of."""

import pytest
import torch
from objective_settings import rloo
from torch import nn

from hardpp.guides.captioner import SentenceInformed
from hardpp.inference.exact import ExactMarginal
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.wake_sleep import ReweightedWakeSleep
from hardpp.models.captioner import Captioner
from hardpp.nn.attention import AdditiveScorer
from hardpp.nn.decoder import InputFeedingDecoder
from hardpp.nn.readout import Readout
from hardpp.nn.recurrent import BidirectionalLSTM
from hardpp.types import SequenceBatch

KINDS, REGIONS, SIZE = 8, 3, 16


def scenes(n: int, generator: torch.Generator) -> SequenceBatch:
    """Regions that show one of eight things and where they are; the sentence says the things in order."""
    things = torch.randint(KINDS, (n, REGIONS), generator=generator)
    shown = nn.functional.one_hot(things, KINDS).float()
    where = torch.eye(REGIONS).expand(n, -1, -1)
    every = torch.ones(n, REGIONS, dtype=torch.bool)
    return SequenceBatch(torch.cat([shown, where], -1), every, things + 1, every)


def programs() -> tuple[nn.Module, nn.Module]:
    words, encoder = nn.Embedding(KINDS + 1, SIZE), nn.Linear(KINDS + REGIONS, SIZE)
    decoder = InputFeedingDecoder(words, SIZE, AdditiveScorer(SIZE, SIZE, SIZE), SIZE, SIZE, 1, 0.0)
    model = Captioner(encoder, decoder, Readout(SIZE, SIZE, SIZE, KINDS + 1, 0.0))
    reader = BidirectionalLSTM(SIZE, SIZE // 2)
    return model, SentenceInformed(encoder, words, reader, AdditiveScorer(SIZE, SIZE, SIZE))


@pytest.mark.slow
@pytest.mark.parametrize(
    "objective", [ExactMarginal(), rloo(4), ReweightedWakeSleep(4)], ids=["exact", "rloo", "rws"]
)
def test_naming_what_is_seen(objective: SurrogateObjective) -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model, guide = programs()
    parameters = list(dict.fromkeys([*model.parameters(), *guide.parameters()]))
    optimiser = torch.optim.Adam(parameters, lr=0.02)
    for _ in range(300):
        optimiser.zero_grad()
        (objective(model, guide)(scenes(32, generator)) / 32).backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step()
    held_out = scenes(200, generator)
    with torch.no_grad():
        nats = -ExactMarginal().estimate(model, guide, held_out).bound.mean() / REGIONS
    posterior = ExactMarginal().posterior(model, guide, held_out)["region"]
    looks = posterior.argmax(-1)
    assert nats < 0.2  # chance: 2.08
    assert (looks == torch.arange(REGIONS)).float().mean() > 0.9
