"""Elements of a plate, and turns of a loop, that depend on one another are refused."""

from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from programs.catalogue import PROGRAMS
from pyro import poutine
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference import (
    IWAE,
    VIMCO,
    EnumeratedELBO,
    ExactMarginal,
    ReweightedWakeSleep,
    ScoreFunctionELBO,
    UnorderedSet,
)
from hardpp.inference.weights.independence import check_independence

SAY = torch.tensor([[0.3, -1.2], [1.1, 0.2]]).double()
Y = torch.tensor([1, 0, 0])
OBJECTIVES: list[Callable[[], Any]] = [
    ScoreFunctionELBO,
    lambda: ScoreFunctionELBO(3, baseline="leave-one-out"),
    lambda: IWAE(1),
    lambda: VIMCO(2),
    lambda: VIMCO(2, vectorize_particles=False),
    lambda: ReweightedWakeSleep(2),
    lambda: UnorderedSet(3),
    EnumeratedELBO,
    ExactMarginal,
]
SAMPLED = OBJECTIVES[:6]


def choice(logits: Tensor) -> dist.Categorical:
    return dist.Categorical(logits=logits)


def model_of(read: Callable[[Tensor], Tensor]) -> Callable[[], None]:
    def model() -> None:
        with pyro.plate("data", 3):
            z = pyro.sample("z", choice(torch.zeros(2).double()))
            pyro.sample("y", choice(SAY[read(z)]), obs=Y)

    return model


def guide() -> None:
    with pyro.plate("data", 3):
        pyro.sample("z", choice(SAY[Y]))


READS: dict[str, Callable[[Tensor], Tensor]] = {
    "reversed": lambda z: z.flip(-1),
    "shifted": lambda z: z.roll(1, -1),
    "the last one": lambda z: z[..., -1:],
    "the mean": lambda z: z.double().mean(-1, keepdim=True).round().long(),
    "sorted": lambda z: z.sort(-1).values,
}


@pytest.mark.parametrize("make", OBJECTIVES)
@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_an_element_that_reads_another(read: Callable[[Tensor], Tensor], make: Callable[[], Any]) -> None:
    torch.manual_seed(0)
    says = "site 'y' of the model depends on a latent at another element of plate 'data'"
    with pytest.raises(UsageError, match=says):
        make().estimate(model_of(read), guide)


@pytest.mark.parametrize("make", [m for m in OBJECTIVES if m is not ExactMarginal])
def test_a_guide_that_reads_another_element(make: Callable[[], Any]) -> None:
    def both(shifted: bool) -> None:
        with pyro.plate("data", 3):
            a = pyro.sample("a", choice(SAY[Y]))
            pyro.sample("b", choice(SAY[a.roll(1, -1)] if shifted else SAY[a]))

    with pytest.raises(UsageError, match="site 'b' of the guide depends on a latent at another element"):
        make().estimate(lambda: both(False), lambda: both(True))


def loop(carry: bool) -> None:
    z = torch.tensor(0)
    for i in pyro.plate("time", 4):
        z = pyro.sample(f"z{i}", choice(SAY[z if carry else 0]))
        pyro.sample(f"y{i}", choice(SAY[z]), obs=torch.tensor(1))


def independent_loop() -> None:
    for i in pyro.plate("time", 4):
        pyro.sample(f"z{i}", choice(SAY[0]))


@pytest.mark.filterwarnings("ignore:.*weighed together")
@pytest.mark.parametrize("make", SAMPLED)
def test_a_loop_that_carries_a_state(make: Callable[[], Any]) -> None:
    says = "site 'z[123]' of the model depends on a latent in another turn of plate 'time'.* write range"
    with pytest.raises(UsageError, match=says):
        make().estimate(lambda: loop(True), independent_loop)
    make().estimate(lambda: loop(False), independent_loop)


def test_a_sum_over_all_values_does_not_need_the_word_of_a_loop() -> None:
    exact = ExactMarginal().estimate(lambda: loop(True), independent_loop).bound
    total = torch.zeros(2).double().fill_(-torch.inf)
    total[0] = 0.0
    for _ in range(4):
        log_p = SAY.log_softmax(-1)
        total = (total.unsqueeze(-1) + log_p).logsumexp(0) + log_p[:, 1]
    torch.testing.assert_close(exact.sum(), total.logsumexp(0))


def test_a_plate_within_a_plate() -> None:
    def both(observed: bool) -> None:
        with pyro.plate("documents", 2, dim=-2), pyro.plate("words", 3, dim=-1):
            z = pyro.sample("z", choice(SAY[0]))
            if observed:
                pyro.sample("y", choice(SAY[z.flip(-1)]), obs=Y)

    with pytest.raises(UsageError, match="another element of plate 'words'"):
        ScoreFunctionELBO().estimate(lambda: both(True), lambda: both(False))


def test_latents_without_a_list_of_values() -> None:
    def both(observed: bool) -> None:
        with pyro.plate("data", 3):
            h = pyro.sample("h", dist.Normal(torch.zeros(3), 1.0).has_rsample_(False))
            if observed:
                pyro.sample("y", dist.Normal(h - h.mean(-1, keepdim=True), 1.0), obs=torch.zeros(3))

    with pytest.raises(UsageError, match="site 'y' of the model depends on a latent at another element"):
        ScoreFunctionELBO().estimate(lambda: both(True), lambda: both(False))


def test_a_latent_that_the_model_sums_out() -> None:
    def model() -> None:
        scale = pyro.sample("scale", choice(SAY[0]))
        with pyro.plate("data", 3):
            z = pyro.sample("z", choice(SAY[scale]), infer={"enumerate": "parallel"})
            pyro.sample("y", choice(SAY[z.flip(-1)]), obs=Y)

    with pytest.raises(UsageError, match="another element of plate 'data'"):
        ScoreFunctionELBO().estimate(model, lambda: pyro.sample("scale", choice(SAY[1])))


@pytest.mark.parametrize("title", [t for t in PROGRAMS if t != "until a stop"])
def test_right_programs_are_let_pass(title: str) -> None:
    program = PROGRAMS[title]()
    for _ in range(3):
        check_independence(program.model, program.guide, (), {})


def test_what_is_observed_may_be_read_by_all() -> None:
    def shifted() -> None:
        with pyro.plate("data", 3):
            z = pyro.sample("z", choice(SAY[Y.roll(1)]))
            pyro.sample("y", choice(SAY[z] + Y.double().mean()), obs=Y)

    check_independence(shifted, guide, (), {})


def test_a_program_that_draws_by_itself_is_let_pass() -> None:
    def model() -> None:
        with pyro.plate("data", 3):
            z = pyro.sample("z", choice(torch.zeros(2).double()))
            noise = torch.nn.functional.dropout(torch.ones(3, 2).double(), 0.5)
            pyro.sample("y", choice(SAY[z] * noise), obs=Y)

    for _ in range(5):
        check_independence(model, guide, (), {})


def test_it_is_not_asked_without_validation_and_draws_nothing_from_the_generator() -> None:
    with pyro.validation_enabled(False):
        ScoreFunctionELBO().estimate(model_of(READS["shifted"]), guide)
    drawn = []
    for validation in (True, False):
        torch.manual_seed(1)
        with pyro.validation_enabled(validation):
            ScoreFunctionELBO(2, max_plate_nesting=1).estimate(model_of(lambda z: z), guide)
        drawn.append(torch.rand(()))
    assert drawn[0] == drawn[1]


def test_a_guide_for_so_many_runs_is_not_asked_for_more() -> None:
    turns = iter([torch.tensor([0, 1, 1]), torch.tensor([1, 1, 0])])

    def in_turn() -> None:
        poutine.condition(guide, data={})()
        next(turns)

    ScoreFunctionELBO(2, max_plate_nesting=1, vectorize_particles=False).estimate(
        model_of(lambda z: z), in_turn
    )
