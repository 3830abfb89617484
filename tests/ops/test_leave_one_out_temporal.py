"""Futures from the same point of progress, against loops over particles, instances and stages."""

import itertools

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from hardpp.ops.leave_one_out import mean_of_others, mean_of_others_at_same_progress
from hardpp.ops.weights import suffix_sums


def brute_force(terms: Tensor, progress: Tensor) -> Tensor:
    K, N = terms.shape[0], terms.shape[-1]
    out = torch.empty_like(terms)
    for where in itertools.product(*(range(size) for size in terms.shape[1:-1])):
        emitted = [[0, *progress[(j, *where)].tolist()] for j in range(K)]
        for i in range(K):
            out[(i, *where, 0)] = sum(terms[(j, *where)].sum() for j in range(K) if j != i) / (K - 1)
            for s in range(1, N):
                futures = []
                for j in range(K):
                    if j != i:
                        ahead = [t for t in range(N) if emitted[j][t] >= emitted[i][s - 1]]
                        start = ahead[0] + 1 if ahead else N
                        futures.append(terms[(j, *where)][start:].sum())
                out[(i, *where, s)] = sum(futures) / (K - 1)
    return out


def random_terms(shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def decisions(shape: tuple[int, ...], values: int = 2) -> Tensor:
    return torch.randint(0, values, shape, generator=torch.Generator().manual_seed(1 + sum(shape)))


@pytest.mark.parametrize("values", [1, 2, 4], ids=["plateau", "binary", "jumps"])
@pytest.mark.parametrize("instances", [(), (3,), (2, 2)])
@pytest.mark.parametrize("K", [2, 3, 5])
@pytest.mark.parametrize("N", [1, 2, 6])
def test_against_loops(K: int, N: int, instances: tuple[int, ...], values: int) -> None:
    terms = random_terms((K, *instances, N))
    progress = decisions((K, *instances, N - 1), values).cumsum(-1)
    for each in (progress, progress / 3):
        out = mean_of_others_at_same_progress(terms, each)
        assert out.shape == terms.shape
        assert_close(out, brute_force(terms, each), rtol=0, atol=1e-12)


def test_by_hand() -> None:
    """Emissions 1, 0, 1 and 0, 1, 1: stages ahead of j when it has emitted as much as i had."""
    terms = torch.tensor([[1.0, 2.0, 4.0, 8.0], [16.0, 32.0, 64.0, 128.0]])
    progress = torch.tensor([[1, 1, 2], [0, 1, 2]])
    expected = torch.tensor([[240.0, 224.0, 128.0, 128.0], [15.0, 14.0, 14.0, 12.0]])
    assert torch.equal(mean_of_others_at_same_progress(terms, progress), expected)


def test_who_never_gets_as_far_has_no_future() -> None:
    terms = random_terms((2, 4))
    out = mean_of_others_at_same_progress(terms, torch.tensor([[3, 3, 3], [0, 1, 2]]))
    assert (out[0, 2:] == 0).all()
    assert (out[1, 1:] != 0).all()


def test_progress_of_the_clock_is_the_mean_of_the_others_futures() -> None:
    """Who emits at every step has got as far as everybody else at every step."""
    terms = random_terms((3, 2, 5))
    out = mean_of_others_at_same_progress(terms, torch.arange(1, 5).expand(3, 2, 4))
    assert_close(out, mean_of_others(suffix_sums(terms)), rtol=0, atol=1e-12)


def test_ragged_particles_stop_where_their_mask_stops() -> None:
    """Stages past an instance's end have no terms and no progress: it might as well be shorter."""
    terms, emits = random_terms((3, 2, 6)), decisions((3, 2, 5))
    terms[:, 1, 4:], emits[:, 1, 3:] = 0.0, 0
    whole = mean_of_others_at_same_progress(terms, emits.cumsum(-1))
    short = mean_of_others_at_same_progress(terms[:, 1, :4], emits[:, 1, :3].cumsum(-1))
    assert_close(whole[:, 1, :4], short, rtol=0, atol=1e-12)


def test_a_latent_of_a_particle_does_not_enter_its_own_column() -> None:
    """Column s of particle i may change with i's progress before its s-th latent, and not with the rest."""
    terms, emits = random_terms((3, 5)), decisions((3, 4))
    plain = mean_of_others_at_same_progress(terms, emits.cumsum(-1))
    for i, s in itertools.product(range(3), range(1, 5)):
        other_terms, other_emits = terms.clone(), emits.clone()
        other_terms[i] += 1.0
        other_emits[i, s - 1 :] = 1 - other_emits[i, s - 1 :]
        changed = mean_of_others_at_same_progress(other_terms, other_emits.cumsum(-1))
        assert torch.equal(changed[i, : s + 1], plain[i, : s + 1])


def test_an_impossible_stage_of_another_particle() -> None:
    terms = random_terms((3, 5))
    terms[0, 2] = -torch.inf
    progress = decisions((3, 4)).cumsum(-1)
    out = mean_of_others_at_same_progress(terms, progress)
    assert torch.equal(out, brute_force(terms, progress))
    assert out[0].isfinite().all()
    assert (out[1:] == -torch.inf).any()


def test_devices_and_dtypes(device: torch.device) -> None:
    terms, progress = random_terms((4, 3, 7)).float(), decisions((4, 3, 6)).cumsum(-1)
    expected = brute_force(terms.double(), progress)
    for each in (progress, progress.float()):
        out = mean_of_others_at_same_progress(terms.to(device), each.to(device))
        assert out.dtype == torch.float32
        assert out.device.type == device.type
        assert_close(out.cpu().double(), expected, rtol=0, atol=1e-5)
