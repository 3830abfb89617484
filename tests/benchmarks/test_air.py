"""The program of `benchmarks/air.py` on digits that are made up, and its rows."""

from argparse import Namespace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from pyro import poutine
from pyro.infer import RenyiELBO, TraceGraph_ELBO
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from hardpp.inference import IWAE, ScoreFunctionELBO

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("air_program")


@pytest.fixture
def air(program: ModuleType) -> ModuleType:
    return import_module("air")


@pytest.fixture
def sizes(program: ModuleType) -> Any:
    return program.Sizes(canvas=28, digit=14, patch=7, what=2, hidden=8, count=20)


def blocks() -> Tensor:
    digits = torch.zeros(3, 28, 28, dtype=torch.uint8)
    digits[:, 8:20, 8:20] = 255
    return digits


def programs(program: ModuleType, sizes: Any, seed: int = 0) -> tuple[Any, Any]:
    torch.manual_seed(seed)
    model, guide = program.Model(sizes), program.Guide(sizes)
    torch.nn.init.zeros_(guide.predict[-1].bias)  # so that some objects are there and some are not
    return model.double(), guide.double()


def test_canvases_have_so_many_digits_that_do_not_touch(program: ModuleType, sizes: Any) -> None:
    drawn = program.canvases(blocks(), sizes, 60, seed=3)
    one = drawn.images[drawn.counts == 1].sum((1, 2))
    assert drawn.counts.unique().tolist() == [0, 1, 2]
    assert one.unique().numel() == 1
    torch.testing.assert_close(drawn.images.sum((1, 2)), drawn.counts * one[0])
    again, other = (program.canvases(blocks(), sizes, 60, seed=seed) for seed in (3, 4))
    assert torch.equal(drawn.images, again.images)
    assert not torch.equal(drawn.images, other.images)


def test_windows_are_those_of_grid_sample(program: ModuleType, sizes: Any) -> None:
    window, S, P = program.Window(sizes).double(), sizes.canvas, sizes.patch
    images = torch.rand(3, S, S, dtype=torch.double)
    where = torch.randn(3, 3, dtype=torch.double) * torch.tensor([0.3, 0.2, 0.2])
    size = sizes.digit / S * where[:, 0].exp()  # of the canvas
    theta = torch.zeros(3, 2, 3, dtype=torch.double)
    theta[:, 0, 0] = theta[:, 1, 1] = size
    theta[:, 0, 2], theta[:, 1, 2] = where[:, 2], where[:, 1]

    def sampled(pictures: Tensor, theta: Tensor, side: int) -> Tensor:
        grid = affine_grid(theta, [3, 1, side, side], align_corners=False)
        return grid_sample(pictures.unsqueeze(1), grid, align_corners=False).squeeze(1)

    torch.testing.assert_close(window.read(images, where), sampled(images, theta, P))
    back = theta.clone()
    back[:, 0, 0] = back[:, 1, 1] = 1 / size
    back[:, :, 2] = -theta[:, :, 2] / size.unsqueeze(-1)
    patches = torch.rand(3, P, P, dtype=torch.double)
    torch.testing.assert_close(window.write(patches, where), sampled(patches, back, S))


def test_after_an_object_that_is_not_there_nothing_counts(program: ModuleType, sizes: Any) -> None:
    model, guide = programs(program, sizes)
    images = torch.rand(64, 28, 28, dtype=torch.double)
    drawn = poutine.trace(guide).get_trace(images)
    scored = poutine.trace(poutine.replay(model, trace=drawn)).get_trace(images)
    present = torch.ones(64, dtype=torch.double)
    for t in range(program.OBJECTS):
        before, present = present, drawn.nodes[f"present_{t}"]["value"]
        assert (present <= before).all()
        for trace in (drawn, scored):
            trace.compute_log_prob()
            for kind, counts in (("present", before), ("where", present), ("what", present)):
                assert torch.equal(trace.nodes[f"{kind}_{t}"]["log_prob"] != 0, counts > 0)
    assert 0 < present.mean() < 1


def gradients(program: ModuleType, sizes: Any, step: Any) -> tuple[dict[str, Tensor], float]:
    model, guide = programs(program, sizes)
    torch.manual_seed(1)
    step(model, guide, torch.rand(5, 28, 28, dtype=torch.double))
    named = [*model.named_parameters("model"), *guide.named_parameters("guide")]
    return {name: p.grad for name, p in named}, guide.predict[-1].bias.grad[0].item()


def test_gradients_are_those_of_pyros_tracegraph(program: ModuleType, sizes: Any) -> None:
    ours, _ = gradients(program, sizes, ScoreFunctionELBO().loss_and_grads)
    pyros, _ = gradients(program, sizes, TraceGraph_ELBO(max_plate_nesting=1).loss_and_grads)
    torch.testing.assert_close(ours, pyros, rtol=1e-9, atol=1e-9)


def test_presence_is_trained_by_our_bound_and_not_by_pyros(program: ModuleType, sizes: Any) -> None:
    renyi = RenyiELBO(alpha=0, num_particles=3, vectorize_particles=True, max_plate_nesting=1)
    pyros, nothing = gradients(program, sizes, renyi.loss_and_grads)
    ours, something = gradients(program, sizes, IWAE(3).loss_and_grads)
    assert nothing == 0
    assert abs(something) > 1
    decoders = {name for name in ours if name.startswith("model")}
    torch.testing.assert_close({n: ours[n] for n in decoders}, {n: pyros[n] for n in decoders})


def test_every_row_trains_and_is_reported(
    air: ModuleType, program: ModuleType, sizes: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = Namespace(
        steps=2, every=1, batch=3, particles=2, rate=1e-3, baseline_rate=1e-3, clip=50.0,
        first_presence=0.5, presence=0.01, anneal=0.5, commit="abc",
    )  # fmt: skip
    data = program.canvases(blocks(), sizes, 12, seed=0)
    runs = {}
    for name in air.ROWS:
        run = air.train(name, 0, data, data, sizes, options)
        assert [sum(map(sum, point["counts"])) for point in run["points"]] == [12, 12, 12]
        runs[name] = [run]
    air.report(runs)
    air.plot(runs, tmp_path / "air.png")
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [*air.ROWS, *air.ROWS]
