"""A latent alignment model small enough to enumerate, in float64 and peaked enough to have opinions."""

import torch
from torch import Tensor, nn

from hardpp.models.latent_alignment import LatentAlignment
from hardpp.nn.attention import BilinearScorer
from hardpp.nn.decoder import InputFeedingDecoder
from hardpp.nn.readout import Readout
from hardpp.nn.recurrent import BidirectionalLSTM

SYMBOLS = 5  # of which 0 is the boundary and 1 unknown
LETTERS = 6


def tiny_model(seed: int = 0, sharpness: float = 3.0) -> LatentAlignment:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = BidirectionalLSTM(4, 3)
        scorer = BilinearScorer(5, encoder.features)
        target = nn.Embedding(SYMBOLS, 4)
        decoder = InputFeedingDecoder(target, 4, scorer, encoder.features, 5, 1, 0.0)
        readout = Readout(encoder.features, 5, 7, SYMBOLS, 0.0)
        model = LatentAlignment(nn.Embedding(LETTERS, 4), encoder, decoder, readout)
        for parameter in model.parameters():
            parameter.data.mul_(sharpness)
    return model.double().eval()


def padded(sequences: list[list[int]], extra: int = 0) -> tuple[Tensor, Tensor]:
    """Sources (B, S) and their mask, `extra` columns of padding wider than needed."""
    width = max(map(len, sequences)) + extra
    ids = torch.tensor([row + [0] * (width - len(row)) for row in sequences])
    return ids, torch.tensor([[s < len(row) for s in range(width)] for row in sequences])


SOURCES = [[2, 3, 4], [5, 2], [4, 4, 2, 3, 5], [3]]
