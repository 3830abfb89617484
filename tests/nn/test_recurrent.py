"""The bidirectional reader against torch's own, which packs; the question reader against its formula."""

import cases
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from hardpp.nn.recurrent import BidirectionalLSTM, QuestionReader, reversed_positions

DOUBLE = torch.float64
CLOSE = {"rtol": 0, "atol": 1e-12}
INPUTS, HIDDEN = 3, 2


def packed_twin(reader: BidirectionalLSTM, layers: int) -> nn.LSTM:
    twin = nn.LSTM(INPUTS, HIDDEN, layers, batch_first=True, bidirectional=True).double()
    with torch.no_grad():
        for layer in range(layers):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                for direction, suffix in ((reader.forwards, ""), (reader.backwards, "_reverse")):
                    mine = getattr(direction[layer], f"{name}_l0")
                    getattr(twin, f"{name}_l{layer}{suffix}").copy_(mine)
    return twin


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("lengths", [[4, 2, 1], [3, 3], [1]])
def test_equals_the_packed_lstm(lengths: list[int], layers: int) -> None:
    reader = BidirectionalLSTM(INPUTS, HIDDEN, layers).double()
    twin = packed_twin(reader, layers)
    inputs = torch.randn(len(lengths), max(lengths), INPUTS, dtype=torch.float64)
    packed = pack_padded_sequence(inputs, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(twin(packed)[0], batch_first=True)
    mask = cases.ragged(lengths)
    found = reader(inputs, mask)
    assert found.shape[-1] == reader.features
    torch.testing.assert_close(found[mask], expected[mask], rtol=0, atol=1e-10)


def test_padding_is_never_read(device: torch.device) -> None:
    reader = BidirectionalLSTM(INPUTS, HIDDEN, 2).double().to(device)
    mask = cases.ragged([3, 1]).to(device)
    inputs = torch.randn(2, 3, INPUTS, dtype=torch.float64, device=device)
    padded = torch.cat([inputs, torch.full((2, 2, INPUTS), 1e3, dtype=torch.float64, device=device)], 1)
    padded[1, 1:] = -1e3
    found = reader(padded, nn.functional.pad(mask, (0, 2)))[:, :3]
    torch.testing.assert_close(found[mask], reader(inputs, mask)[mask], rtol=0, atol=1e-12)


def test_a_skip_adds_the_inputs_themselves() -> None:
    reader = BidirectionalLSTM(INPUTS, HIDDEN, 2, skip=True).double()
    mask, inputs = cases.ragged([3, 2]), torch.randn(2, 3, INPUTS, dtype=torch.float64)
    found = reader(inputs, mask)
    assert found.shape[-1] == reader.features == 2 * HIDDEN + INPUTS
    torch.testing.assert_close(found[..., 2 * HIDDEN :], inputs, rtol=0, atol=0)
    reader.skip = False
    torch.testing.assert_close(found[..., : 2 * HIDDEN], reader(inputs, mask), rtol=0, atol=0)


def test_every_position_sees_the_whole_sequence() -> None:
    reader = BidirectionalLSTM(INPUTS, HIDDEN).double()
    inputs = torch.randn(1, 4, INPUTS, dtype=torch.float64, requires_grad=True)
    states = reader(inputs, torch.ones(1, 4, dtype=torch.bool))
    for n in range(4):
        (gradient,) = torch.autograd.grad(states[0, n].sum(), [inputs], retain_graph=True)
        assert (gradient[0].abs().sum(-1) > 0).all()


def test_reversal_turns_each_sequence_around_in_place() -> None:
    index = reversed_positions(cases.ragged([3, 1, 4]))
    assert index.tolist() == [[2, 1, 0, 3], [0, 1, 2, 3], [3, 2, 1, 0]]


def question_reader() -> QuestionReader:
    torch.manual_seed(0)
    return QuestionReader(nn.Embedding(7, 3), 3, 5).to(DOUBLE)


def test_a_question_is_the_lstm_s_state_after_its_last_word() -> None:
    net = question_reader()
    words = torch.tensor([[[1, 2, 3], [4, 0, 0]], [[5, 6, 0], [0, 0, 0]]])
    read = net(words, words != 0)
    assert read.shape == (2, 2, 5)
    for b, t, length in ((0, 0, 3), (0, 1, 1), (1, 0, 2)):
        _, (last, _) = net.lstm(net.embedding(words[b, t, :length]).unsqueeze(0))
        torch.testing.assert_close(read[b, t], last[0, 0], **CLOSE)
    assert read.isfinite().all()  # also where nothing is asked


def test_padding_of_a_question_is_not_read() -> None:
    net = question_reader()
    words = torch.tensor([[[1, 2]]])
    padded = nn.functional.pad(words, (0, 3), value=6)
    mask = nn.functional.pad(torch.ones_like(words, dtype=torch.bool), (0, 3))
    torch.testing.assert_close(net(padded, mask), net(words, words > 0), **CLOSE)
