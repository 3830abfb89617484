import math

import pytest
import torch
from torch import Tensor

from hardpp.design.expected_information import entropy, expected_information, weighted_error


def random_predictions(N: int, L: int, V: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    log_p = torch.randn(N, L, V, generator=generator, dtype=torch.float64).mul(3).log_softmax(-1)
    return log_p, torch.randn(N, generator=generator, dtype=torch.float64)


def test_entropies_are_those_of_the_definition() -> None:
    p = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.2, 0.3, 0.5]], dtype=torch.float64)
    expected = [math.log(2), 0.0, -sum(x * math.log(x) for x in (0.2, 0.3, 0.5))]
    assert entropy(p.log()).tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_expected_entropy_and_gain_are_sums_over_completions(seed: int) -> None:
    log_p, log_weights = random_predictions(6, 4, 3, seed)
    found = expected_information(log_p, log_weights)
    weights = [math.exp(w) for w in log_weights.tolist()]
    weights = [w / sum(weights) for w in weights]
    p = log_p.exp().tolist()
    for place in range(4):
        entropies = [-sum(x * math.log(x) for x in p[n][place]) for n in range(6)]
        expected = sum(w * h for w, h in zip(weights, entropies, strict=True))
        mean = [sum(w * p[n][place][v] for n, w in enumerate(weights)) for v in range(3)]
        gain = -sum(x * math.log(x) for x in mean) - expected
        error = math.sqrt(sum(w**2 * (h - expected) ** 2 for w, h in zip(weights, entropies, strict=True)))
        assert float(found.expected_entropy[place]) == pytest.approx(expected, abs=1e-12)
        assert float(found.gain[place]) == pytest.approx(gain, abs=1e-12)
        assert float(found.standard_error[place]) == pytest.approx(error, abs=1e-12)
    assert found.effective_completions == pytest.approx(1 / sum(w**2 for w in weights))


def test_the_gain_is_never_negative_and_zero_where_all_completions_agree() -> None:
    for seed in range(50):
        log_p, log_weights = random_predictions(3, 5, 4, seed)
        assert (expected_information(log_p, log_weights * 10).gain >= 0).all()
    same = log_p[:1].expand(3, -1, -1)
    assert expected_information(same, log_weights).gain.abs().max() < 1e-12


def test_the_textbook_form_can_be_negative_where_this_one_is_not() -> None:
    """A classifier that is surer before a look than after it is not consistent."""
    before = torch.tensor([0.99, 0.01], dtype=torch.float64).log()
    after = torch.tensor([[[0.5, 0.5]], [[0.6, 0.4]]], dtype=torch.float64).log()
    found = expected_information(after, torch.zeros(2, dtype=torch.float64))
    assert float(entropy(before)) - float(found.expected_entropy[0]) < 0 <= float(found.gain[0])


def test_differences_have_smaller_errors_than_what_they_are_of() -> None:
    """Completions are common to all places: what is hard about one is hard at every place."""
    generator = torch.Generator().manual_seed(1)
    hard = torch.rand(200, 1, generator=generator, dtype=torch.float64)
    p = (0.5 + 0.5 * hard * torch.tensor([0.98, 0.99], dtype=torch.float64)).unsqueeze(-1)
    found = expected_information(torch.cat([p, 1 - p], -1).log(), torch.zeros(200, dtype=torch.float64))
    assert found.best == 1
    assert float(found.behind_error[0]) < 0.2 * float(found.standard_error.min())
    assert float(found.behind[1]) == float(found.behind_error[1]) == 0


def test_the_error_is_that_of_many_repetitions() -> None:
    """Of 4,000 means of 50 draws, the deviation is known to 1.2 %: four of those are allowed."""
    generator = torch.Generator().manual_seed(2)
    values = torch.randn(4000, 50, generator=generator, dtype=torch.float64).exp()
    weights = torch.full((50,), 1 / 50, dtype=torch.float64)
    said = torch.stack([weighted_error(row.unsqueeze(-1), weights)[0] for row in values])
    assert float(said.square().mean().sqrt()) == pytest.approx(
        float(values.mean(1).std()) * math.sqrt(49 / 50), rel=0.06
    )


def test_impossible_labels_and_completions_are_no_fault() -> None:
    log_p = torch.tensor([[[0.0, -torch.inf]], [[-math.log(2), -math.log(2)]]], dtype=torch.float64)
    found = expected_information(log_p, torch.tensor([0.0, -torch.inf], dtype=torch.float64))
    assert float(found.expected_entropy[0]) == 0.0
    assert float(found.gain[0]) == pytest.approx(0.0, abs=1e-12)
