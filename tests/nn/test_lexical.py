"""A word's features and what they emit are the same wherever it stands."""

import pytest
import torch
from torch import nn

from hardpp.nn.factors import FactoredLinear
from hardpp.nn.lexical import LexicalEncoder, LexicalReadout


def test_the_memory_of_a_word_knows_nothing_of_its_neighbours() -> None:
    encoder, embedding = LexicalEncoder(3, 5, 0.0), nn.Embedding(4, 3)
    symbols = torch.tensor([[1, 2, 3], [2, 2, 1]])
    memory = encoder(embedding(symbols), torch.ones(2, 3, dtype=torch.bool))
    assert memory.shape == (2, 3, encoder.features)
    torch.testing.assert_close(memory[0, 1], memory[1, 0], rtol=0, atol=0)
    torch.testing.assert_close(memory[0, 0], torch.tanh(encoder.hidden(embedding.weight[1])))


def test_the_readout_ignores_the_query() -> None:
    readout, attended = LexicalReadout(nn.Linear(5, 7)), torch.randn(6, 2, 1, 5)
    logits = readout(attended, torch.randn(2, 3, 9))
    assert logits.shape == (6, 2, 1, 7)
    last = readout.symbols
    torch.testing.assert_close(logits, readout.features(attended, attended) @ last.weight.T + last.bias)


@pytest.mark.parametrize("vocabulary", [["a", "b", "c"], ["a", "b|G", "c|G"]])
def test_it_starts_from_frequencies(vocabulary: list[str]) -> None:
    counts = torch.tensor([6.0, 1.0, 1.0])
    for symbols in (nn.Linear(2, 3), FactoredLinear(2, vocabulary)):
        readout = LexicalReadout(symbols)
        readout.start(counts)
        # c|G is log p(c) + log p(G), and all that have a case have this one
        logits = readout(torch.zeros(2), torch.zeros(0))
        torch.testing.assert_close(logits, (counts / 8).log(), rtol=0, atol=1e-6)
