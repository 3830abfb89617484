"""DistributedDataParallel over an objective: two processes, one gradient."""

import os
import socket
from functools import partial
from pathlib import Path

import cases
import pyro
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.importance_weighted import VIMCO
from hardpp.inference.objective import SurrogateObjective
from hardpp.types import SequenceBatch

RANKS = 2
OBJECTIVES = {"enum": EnumeratedELBO, "exact": ExactMarginal, "vimco": partial(VIMCO, 4)}


def objective(name: str) -> SurrogateObjective:
    return OBJECTIVES[name]()


def whole() -> SequenceBatch:
    return cases.alignment_batch((3, 2, 3, 2), (2, 3, 1, 2))


def loss_module(name: str) -> nn.Module:
    model = cases.latent_alignment()
    return objective(name)(model, cases.ALIGNMENT_GUIDES["variational"](model))


def train(rank: int, port: int, folder: str) -> None:
    """Three steps of each objective on this rank's half of the batch: gradients of the first, and weights."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    pyro.settings.set(module_local_params=True)
    dist.init_process_group("gloo", rank=rank, world_size=RANKS)
    pyro.set_rng_seed(rank)
    half = SequenceBatch(*(part[2 * rank : 2 * rank + 2] for part in whole()))
    for name in OBJECTIVES:
        module = loss_module(name)
        parallel = DistributedDataParallel(module)
        optimiser = torch.optim.SGD(parallel.parameters(), lr=0.01)
        report = {"noise": torch.rand(4)}
        for step in range(3):
            optimiser.zero_grad()
            parallel(half).backward()
            if step == 0:
                taught = {n: p.grad for n, p in module.named_parameters() if p.grad is not None}
                report |= {f"gradient.{key}": gradient.clone() for key, gradient in taught.items()}
            optimiser.step()
        report |= {f"weight.{n}": p.detach() for n, p in module.named_parameters()}
        torch.save(report, Path(folder) / f"{name}-{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(train, args=(port, str(folder)), nprocs=RANKS)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTIVES)
def test_ranks_share_gradients_and_not_noise(name: str, reports: Path) -> None:
    first, second = (torch.load(reports / f"{name}-{rank}.pt", weights_only=True) for rank in range(RANKS))
    assert first.keys() == second.keys()
    for key in first.keys() - {"noise"}:
        assert torch.equal(first[key], second[key]), key
    assert not torch.equal(first["noise"], second["noise"])
    if name != "vimco":  # deterministic: the mean over ranks is half the gradient of the whole batch
        module = loss_module(name)
        module(whole()).backward()
        taught = {n: p.grad for n, p in module.named_parameters() if p.grad is not None}
        assert {key.partition(".")[2] for key in first if key.startswith("gradient.")} == taught.keys()
        for parameter_name, gradient in taught.items():
            expected = gradient / RANKS
            torch.testing.assert_close(first[f"gradient.{parameter_name}"], expected, rtol=0, atol=1e-12)
