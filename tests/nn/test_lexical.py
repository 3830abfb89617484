"""A word's features and what they emit are the same wherever it stands."""

import pytest
import torch
from torch import nn

from hardpp.nn.lexical import FactoredEmbedding, LexicalEncoder, LexicalReadout


def test_the_memory_of_a_word_knows_nothing_of_its_neighbours() -> None:
    encoder, embedding = LexicalEncoder(3, 5, 0.0), nn.Embedding(4, 3)
    symbols = torch.tensor([[1, 2, 3], [2, 2, 1]])
    memory = encoder(embedding(symbols), torch.ones(2, 3, dtype=torch.bool))
    assert memory.shape == (2, 3, encoder.features)
    torch.testing.assert_close(memory[0, 1], memory[1, 0], rtol=0, atol=0)
    torch.testing.assert_close(memory[0, 0], torch.tanh(encoder.hidden(embedding.weight[1])))


def test_the_readout_ignores_the_query() -> None:
    readout, attended = LexicalReadout(5, 7), torch.randn(6, 2, 1, 5)
    logits = readout(attended, torch.randn(2, 3, 9))
    assert logits.shape == (6, 2, 1, 7)
    last = readout.symbols
    torch.testing.assert_close(logits, readout.features(attended, attended) @ last.weight.T + last.bias)


def test_factors_are_shared_and_know_their_place() -> None:
    vocabulary = ["</s>", "<unk>", "a|G", "b|G", "a", "G", "a|G|P"]
    embedding = FactoredEmbedding(vocabulary, 3)
    assert (embedding.num_embeddings, embedding.embedding_dim) == (7, 3)
    rows = embedding(torch.arange(7).reshape(1, 7))[0]
    genitive = rows[2] - rows[4]
    torch.testing.assert_close(rows[3] - genitive, embedding.factors.weight[embedding.parts[3, 0]])
    assert not torch.equal(rows[5], genitive)  # a word spelled like a case
    assert len(embedding.factors.weight) == 1 + len({"</s>", "<unk>", "a", "b", "G"}) + len({"-G"}) + 1


@pytest.mark.parametrize("symbol", ["|", "||"])
def test_a_mark_by_itself_is_a_symbol(symbol: str) -> None:
    embedding = FactoredEmbedding([symbol, "a|b"], 3)
    assert embedding(torch.tensor(0)).abs().sum() > 0


def test_a_missing_factor_adds_nothing_and_learns_nothing() -> None:
    embedding = FactoredEmbedding(["a", "b|c|d"], 2)
    embedding(torch.tensor([0])).sum().backward()
    assert embedding.factors.weight.grad[0].abs().sum() == 0
    assert embedding.factors.weight[0].abs().sum() == 0
    assert "parts" not in dict(embedding.state_dict())
