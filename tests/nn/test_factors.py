"""Features and logits of a symbol are the sums of its factors'."""

import pytest
import torch

from hardpp.nn.factors import FactoredEmbedding, FactoredLinear, factors

VOCABULARY = ["</s>", "<unk>", "a|G", "b|G", "a", "G", "a|G|P"]


def test_factors_are_shared_and_know_their_place() -> None:
    parts, count = factors(VOCABULARY, "|")
    assert parts.tolist() == [[1, 0, 0], [2, 0, 0], [3, 4, 0], [5, 4, 0], [3, 0, 0], [6, 0, 0], [3, 4, 7]]
    assert count == 8


@pytest.mark.parametrize("symbol", ["|", "||"])
def test_a_mark_by_itself_is_a_symbol(symbol: str) -> None:
    parts, _ = factors([symbol, "a|b"], "|")
    assert parts.tolist() == [[1, 0], [2, 3]]


def test_embeddings_are_sums() -> None:
    embedding = FactoredEmbedding(VOCABULARY, 3)
    assert (embedding.num_embeddings, embedding.embedding_dim) == (7, 3)
    rows, table = embedding(torch.arange(7).reshape(1, 7))[0], embedding.factors.weight
    assert torch.equal(rows[4], table[3])
    torch.testing.assert_close(rows[3], table[5] + table[4])
    torch.testing.assert_close(rows[6], table[3] + table[4] + table[7])


def test_logits_are_sums() -> None:
    layer = FactoredLinear(4, VOCABULARY).double()
    hidden = torch.randn(2, 4, dtype=torch.float64)
    logits, by_factor = layer(hidden), layer.rows(hidden)
    assert (layer.in_features, layer.out_features) == (4, 7)
    expected = [[1], [2], [3, 4], [5, 4], [3], [6], [3, 4, 7]]
    expected = torch.stack([by_factor[:, row].sum(-1) for row in expected], -1)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(logits, hidden @ layer.weight.T + layer.bias, rtol=0, atol=1e-12)


@pytest.mark.parametrize("part", ["embedding", "linear"])
def test_no_factor_adds_nothing_and_learns_nothing_and_is_not_saved(part: str) -> None:
    vocabulary = ["a", "b|c|d"]
    if part == "embedding":
        module = FactoredEmbedding(vocabulary, 2)
        module(torch.tensor([0])).sum().backward()
        weight = module.factors.weight
    else:
        module = FactoredLinear(2, vocabulary)
        module(torch.ones(2))[0].backward()
        weight = module.rows.weight
    assert weight.grad[0].abs().sum() == 0
    assert weight.grad[1].abs().sum() > 0
    assert "parts" not in module.state_dict()


def test_biases_start_from_the_frequencies_of_factors() -> None:
    layer = FactoredLinear(2, ["a|G", "b|G", "a|D", "c"])
    layer.start(torch.tensor([4.0, 1.0, 1.0, 2.0]))
    frequencies = {"a": 5 / 8, "b": 1 / 8, "c": 2 / 8, "G": 5 / 6, "D": 1 / 6}
    expected = [frequencies["a"] * frequencies["G"], frequencies["b"] * frequencies["G"]]
    expected += [frequencies["a"] * frequencies["D"], frequencies["c"]]
    torch.testing.assert_close(layer.bias.exp(), torch.tensor(expected))
