"""Distributions of codes against sums of normal densities."""

from math import log, pi

import pytest
import torch

from hardpp.distributions.code_space import CodeSpace


@pytest.mark.parametrize("components", [1, 3])
def test_parameters_of_zero_are_the_standard_normal(components: int) -> None:
    space, code = CodeSpace(4, components), torch.randn(5, 4)
    found = space.distribution(torch.zeros(5, space.parameters)).log_prob(code)
    expected = space.standard(torch.zeros(())).log_prob(code)
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)  # the smallest deviation is added


def test_a_mixture_is_the_weighted_sum_of_its_normals() -> None:
    torch.manual_seed(0)
    space = CodeSpace(2, 3)
    parameters = torch.randn(7, space.parameters, dtype=torch.float64)
    code = torch.randn(7, 2, dtype=torch.float64)
    loc, raw = parameters[:, :12].reshape(7, 2, 3, 2).unbind(1)
    scale = torch.nn.functional.softplus(raw + 0.5413) + 1e-3
    weights = parameters[:, 12:].softmax(-1)
    density = (
        (-0.5 * ((code.unsqueeze(1) - loc) / scale) ** 2 - scale.log() - 0.5 * log(2 * pi)).sum(-1).exp()
    )
    found = space.distribution(parameters).log_prob(code)
    torch.testing.assert_close(found, (weights * density).sum(-1).log())


def test_only_one_component_is_reparameterised() -> None:
    assert CodeSpace(2).distribution(torch.zeros(1, 4)).has_rsample
    assert not CodeSpace(2, 2).distribution(torch.zeros(1, 10)).has_rsample


def test_none_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 feature"):
        CodeSpace(0)
