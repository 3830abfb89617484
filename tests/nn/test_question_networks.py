"""The question reader, the gated scorer and the answer readout, against their formulas written out."""

import torch
from torch import nn

from hardpp.nn.answer_readout import AnswerReadout
from hardpp.nn.gated_scorer import GatedScorer
from hardpp.nn.question_reader import QuestionReader

DOUBLE = torch.float64
CLOSE = {"rtol": 0, "atol": 1e-12}


def reader() -> QuestionReader:
    torch.manual_seed(0)
    return QuestionReader(nn.Embedding(7, 3), 3, 5).to(DOUBLE)


def test_a_question_is_the_lstm_s_state_after_its_last_word() -> None:
    net = reader()
    words = torch.tensor([[[1, 2, 3], [4, 0, 0]], [[5, 6, 0], [0, 0, 0]]])
    read = net(words, words != 0)
    assert read.shape == (2, 2, 5)
    for b, t, length in ((0, 0, 3), (0, 1, 1), (1, 0, 2)):
        _, (last, _) = net.lstm(net.embedding(words[b, t, :length]).unsqueeze(0))
        torch.testing.assert_close(read[b, t], last[0, 0], **CLOSE)
    assert read.isfinite().all()  # also where nothing is asked


def test_padding_is_not_read() -> None:
    net = reader()
    words = torch.tensor([[[1, 2]]])
    padded = nn.functional.pad(words, (0, 3), value=6)
    mask = nn.functional.pad(torch.ones_like(words, dtype=torch.bool), (0, 3))
    torch.testing.assert_close(net(padded, mask), net(words, words > 0), **CLOSE)


def test_gated_scores_are_the_formula_region_by_region() -> None:
    torch.manual_seed(0)
    net = GatedScorer(4, 3, 2, 5).to(DOUBLE)
    memory, query, answer = torch.randn(2, 3, 4), torch.randn(2, 2, 3), torch.randn(2, 2, 2)
    memory, query, answer = memory.double(), query.double(), answer.double()
    mask = torch.tensor([[True, True, False], [True, True, True]])
    found = net(memory, query, answer, mask)
    assert found.shape == (2, 2, 3)
    for b in range(2):
        for t in range(2):
            for s in range(3):
                x = memory[b, s] * (net.memory_gate.weight @ answer[b, t] + net.memory_gate.bias).relu()
                q = query[b, t] * (net.query_gate.weight @ answer[b, t] + net.query_gate.bias).relu()
                hidden = net.memory.weight @ x + net.memory.bias + net.query.weight @ q
                score = net.score.weight[0] @ torch.tanh(hidden)
                expected = score if mask[b, s] else torch.tensor(-torch.inf, dtype=DOUBLE)
                torch.testing.assert_close(found[b, t, s], expected, **CLOSE)


def test_the_readout_broadcasts_and_is_one_hidden_layer_on_both() -> None:
    torch.manual_seed(0)
    net = AnswerReadout(4, 3, 6, 5, 0.0).to(DOUBLE)
    regions, queries = torch.randn(7, 2, 1, 4).double(), torch.randn(2, 3, 3).double()
    found = net(regions, queries)
    assert found.shape == (7, 2, 3, 5)
    joined = torch.cat([regions[4, 1, 0], queries[1, 2]])
    weight = torch.cat([net.region.weight, net.query.weight], 1)
    expected = net.answers.weight @ (weight @ joined + net.query.bias).relu() + net.answers.bias
    torch.testing.assert_close(found[4, 1, 2], expected, **CLOSE)
