"""Optimisers that do without torch's compiler are torch's own, and a training does not load it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from corpora import train_command, write_corpus
from torch import nn

from hardpp.runs import eager_optimisers

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("AdamW", {"lr": 0.1, "fused": True}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.3}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
]


@pytest.mark.parametrize(("name", "options"), KINDS)
def test_steps_and_state_are_those_of_torch(name: str, options: dict[str, Any]) -> None:
    start = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    results = []
    for module in (torch.optim, eager_optimisers):
        weight = nn.Parameter(start.clone())
        optimiser = getattr(module, name)([weight], **options)
        for _ in range(3):
            optimiser.zero_grad()
            weight.cos().sum().backward()
            optimiser.step()
            assert weight.requires_grad  # the step was made without gradients
            assert weight.grad_fn is None
            kept = optimiser.state_dict()
            optimiser = getattr(module, name)([weight], **options)
            optimiser.load_state_dict(kept)
        results.append((weight.detach(), kept["state"]))
    assert not torch.equal(start, results[0][0])
    torch.testing.assert_close(*results, rtol=0, atol=0)


def test_a_training_does_not_load_the_compiler(tmp_path: Path) -> None:
    words = train_command(write_corpus(tmp_path / "words"), tmp_path / "run", "--max-steps", "2")
    program = """
import sys
from hardpp.cli import main
from hardpp.runs.resources import bytes_of
from hardpp.runs.thread_timing import put_back, take
from hardpp.tasks.family import Programs
from torch import nn
with put_back():
    take(2)  # as a training does that is quicker so
def build():
    layer = nn.Linear(3, 4)
    for fill in ("kaiming_normal", "xavier_uniform", "trunc_normal", "orthogonal", "eye", "zeros"):
        getattr(nn.init, fill + "_")(layer.weight)
    return Programs(layer, nn.ModuleList([nn.Embedding(5, 4), nn.LSTM(4, 4), nn.Conv2d(1, 1, 2)]))
assert bytes_of(build) == 4 * (4 * 3 + 4 + 5 * 4 + 2 * 4 * (16 + 4) + 4 + 1)
main([*sys.argv[1:]], standalone_mode=False)
sys.exit(", ".join({"torch._dynamo", "torch._inductor", "sympy"} & sys.modules.keys()) or 0)
"""
    command = [sys.executable, "-c", program, *words, "--threads", "1"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
