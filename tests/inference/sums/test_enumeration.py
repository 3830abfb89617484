"""Which programs cannot be enumerated, and what is said of them before the first step."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import cases
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import Tensor

from hardpp.distributions.step_independent import StepIndependent
from hardpp.errors import ResourceError, UsageError
from hardpp.guides.prior import Prior
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.objective import SurrogateObjective

LOGITS = torch.zeros(2, 3)
OBJECTIVES: list[SurrogateObjective] = [ExactMarginal(), EnumeratedELBO()]
named = pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda objective: objective.name)


def one_latent(fn: Any, **infer: Any) -> Callable[[], None]:
    def program() -> None:
        with pyro.plate("data", 2, dim=-1):
            pyro.sample("z", fn, infer=infer)

    return program


A_LIST = "want a latent with a finite list of values, such as Categorical, Bernoulli or Binomial"
A_PLATE = "want each of its elements in a plate or a step of pyro.markov, and none in an event dim"


@named
@pytest.mark.parametrize(
    ("fn", "kind", "wanted"),
    [
        (dist.Normal(torch.zeros(2), 1.0), "Normal in", A_LIST),
        (dist.Normal(torch.zeros(2), 1.0).mask(torch.ones(2, dtype=torch.bool)), "Normal in", A_LIST),
        (dist.Poisson(torch.ones(2)), "Poisson in", A_LIST),
        (dist.Multinomial(4, logits=LOGITS), r"Multinomial with event shape \(3,\) in", A_LIST),
        (
            dist.Categorical(logits=torch.zeros(2, 5, 3)).to_event(1),
            r"Independent of Categorical with event shape \(5,\) in",
            A_PLATE,
        ),
        (
            StepIndependent(dist.Bernoulli(logits=torch.zeros(2, 5))),
            r"StepIndependent of Bernoulli with event shape \(5,\) in",
            A_PLATE,
        ),
        (dist.Binomial(torch.tensor([2, 3]), torch.tensor(0.5)), "Binomial in", A_LIST),
    ],
    ids=lambda value: value.split()[0] if isinstance(value, str) and "want" not in value else "",
)
def test_latents_without_a_list_of_values(
    objective: SurrogateObjective, fn: Any, kind: str, wanted: str
) -> None:
    program = one_latent(fn)
    message = rf"^site 'z' is {kind} the plates \('data',\), whose values cannot be enumerated: .* {wanted}$"
    with pytest.raises(UsageError, match=message):
        objective.estimate(program, program)


@named
def test_a_program_cannot_ask_for_draws_in_place_of_values(objective: SurrogateObjective) -> None:
    asks = one_latent(dist.Categorical(logits=LOGITS), enumerate="sequential", num_samples=7)
    plain = one_latent(dist.Categorical(logits=LOGITS))
    torch.testing.assert_close(objective.estimate(asks, asks).bound, objective.estimate(plain, plain).bound)
    forced = one_latent(dist.Poisson(torch.ones(2)), enumerate="parallel")
    with pytest.raises(UsageError, match="'z' is Poisson"):
        objective.estimate(forced, forced)


def test_the_sentence_names_no_plates_where_there_are_none() -> None:
    def model() -> None:
        pyro.sample("z", dist.Normal(0.0, 1.0))

    with pytest.raises(UsageError, match="'z' is Normal in no plate, whose values"):
        ExactMarginal().estimate(model, model)


def test_what_is_not_implemented_in_the_program_is_not_the_latent_s_fault() -> None:
    def model() -> None:
        pyro.sample("z", dist.Bernoulli(0.5))
        raise NotImplementedError("a model to be written")

    with pytest.raises(UsageError, match=r"fails after site 'z'.* NotImplementedError: a model to be"):
        ExactMarginal(max_plate_nesting=0).estimate(model, model)


@pytest.mark.parametrize("site", ["z", "y"])
def test_a_site_scaled_by_its_own(site: str) -> None:
    def model() -> None:
        with pyro.plate("data", 2, dim=-1):
            with poutine.scale(scale=2.0 if site == "z" else 1.0):
                z = pyro.sample("z", dist.Categorical(logits=LOGITS))
            with poutine.scale(scale=2.0 if site == "y" else 1.0):
                pyro.sample("y", dist.Categorical(logits=LOGITS[z % 2]), obs=torch.tensor([0, 2]))

    with pytest.raises(UsageError, match=r"site 'y' is scaled by [12]\.0 but site 'z' by [12]\.0"):
        ExactMarginal().estimate(model, lambda: None)


@named
def test_programs_without_sites(objective: SurrogateObjective) -> None:
    with pytest.raises(UsageError, match="no sample sites"):
        objective.estimate(lambda: None, lambda: None)


# --- pyro.markov ------------------------------------------------------------------------------------


def looks_back(
    T: int, back: int, history: int, observed: bool = True, kind: str = "Categorical"
) -> Callable[[], None]:
    """z_t depends on z_{t - back}; without a history, in no pyro.markov."""
    table = torch.tensor([[0.2, 0.8], [0.6, 0.4]])

    def program() -> None:
        with pyro.plate("data", 2, dim=-1):
            past = [torch.zeros(2, dtype=torch.int64)] * back
            for t in pyro.markov(range(T), history=history) if history else range(T):
                probs = table[past[-back].long()]
                fn = dist.Categorical(probs) if kind == "Categorical" else dist.Bernoulli(probs[..., 1])
                past.append(pyro.sample(f"z_{t}", fn))
                if observed:
                    says = table[past[-1].long()]
                    pyro.sample(f"y_{t}", dist.Categorical(says), obs=torch.tensor([t % 2, 0]))

    return program


@pytest.mark.parametrize("kind", ["Categorical", "Bernoulli"])
@pytest.mark.parametrize(("back", "history"), [(2, 1), (3, 2), (4, 1)])
def test_too_short_a_history(back: int, history: int, kind: str) -> None:
    model = looks_back(6, back, history, kind=kind)
    with pytest.raises(UsageError, match=f"'z_{back}' depends on 'z_0', which pyro.markov has let go"):
        ExactMarginal().estimate(model, lambda: None)
    pattern = f"'z_{back}' depends on a latent that pyro.markov has let go of: give pyro.markov, in model"
    with pyro.validation_enabled(False), pytest.raises(UsageError, match=pattern):
        ExactMarginal().estimate(model, lambda: None)
    right = looks_back(6, back, back, kind=kind)
    expected = ExactMarginal().estimate(looks_back(6, back, 0, kind=kind), lambda: None).bound
    torch.testing.assert_close(ExactMarginal().estimate(right, lambda: None).bound, expected)


def test_too_short_a_history_of_the_guide() -> None:
    """The guide's latents use dims again that the model still looks back to."""
    model, guide = looks_back(6, 2, 2), looks_back(6, 1, 1, observed=False)
    with pytest.raises(UsageError, match="'z_2' depends on a latent that"):
        EnumeratedELBO().estimate(model, guide)
    bound = EnumeratedELBO().estimate(model, looks_back(6, 1, 2, observed=False)).bound
    plain = EnumeratedELBO().estimate(looks_back(6, 2, 0), looks_back(6, 1, 0, observed=False)).bound
    torch.testing.assert_close(bound, plain)


def test_a_model_outside_of_the_guide_s_pyro_markov() -> None:
    with pytest.raises(UsageError, match=r"'y_0' in the plates \('data',\) has .* give pyro.markov a longer"):
        EnumeratedELBO().estimate(looks_back(3, 1, 0), looks_back(3, 1, 1, observed=False))


@pytest.mark.parametrize(("T", "fits"), [(62, True), (63, False), (70, False)])
def test_more_latents_than_dims(T: int, fits: bool) -> None:
    model = looks_back(T, 1, 0)
    if fits:
        expected = ExactMarginal().estimate(looks_back(T, 1, 1), lambda: None).bound
        torch.testing.assert_close(ExactMarginal().estimate(model, lambda: None).bound, expected)
        return
    pattern = "site 'z_62' is one latent too many: .* 64 dims, .* unless the loop .* written with pyro.markov"
    with pytest.raises(UsageError, match=pattern):
        ExactMarginal().estimate(model, lambda: None)


def test_a_prior_of_a_model_in_pyro_markov() -> None:
    """Its observations are hidden from enumeration, and so must be from the reach of later steps."""
    case = cases.chain((4, 2))
    bound = EnumeratedELBO().estimate(case.model, Prior(case.model), *case.args).bound
    assert bound.isfinite().all()
    assert (bound < ExactMarginal().estimate(case.model, case.guide, *case.args).bound).all()


# --- plates -----------------------------------------------------------------------------------------


def test_a_site_outside_the_plate_of_a_latent_it_depends_on() -> None:
    """Enumerated values have no dim for the plate, so that nothing else would notice."""
    table = torch.randn(2, 2)

    def model() -> None:
        with pyro.plate("data", 3, dim=-1):
            z = pyro.sample("z", dist.Categorical(logits=table[0]))
        pyro.sample("y", dist.Categorical(logits=table[z.reshape(-1)[0] if z.dim() == 1 else z]), obs=ONE)

    with pytest.raises(UsageError, match="site 'y' depends on 'z' but is outside of plates that it is in"):
        ExactMarginal(max_plate_nesting=1).estimate(model, lambda: None)


ONE = torch.tensor(1)


def test_a_dim_that_is_no_plate() -> None:
    def model(observations: Tensor) -> None:
        with pyro.plate("data", 3, dim=-2):
            z = pyro.sample("z", dist.Categorical(logits=torch.zeros(3, 1, 2)))
            pyro.sample("y", dist.Categorical(logits=LOGITS[z]), obs=observations)

    pattern = (
        r"site 'y' in the plates \('data',\) has a log-probability of shape \(2, 3, 4\), whose dim -1 is no"
    )
    with pytest.raises(UsageError, match=pattern):
        ExactMarginal(max_plate_nesting=2).estimate(
            model, lambda observations: None, torch.zeros(3, 4, dtype=torch.int64)
        )


def test_a_given_nesting_is_kept() -> None:
    """Programs are run once, not a second time to find their plates."""
    runs = []

    def model() -> None:
        runs.append(1)
        with pyro.plate("data", 2, dim=-1):
            pyro.sample("z", dist.Categorical(logits=LOGITS))

    ask = partial(ExactMarginal(max_plate_nesting=3).posterior, model, lambda: None)
    with pyro.validation_enabled(False):  # which would check the programs, too
        torch.testing.assert_close(ask()["z"], torch.full((2, 3), 1 / 3))
    assert len(runs) == 1


def test_a_table_that_does_not_fit_is_refused_with_its_size() -> None:
    """All pairs depend on each other, so that the first sum ties all others into one table."""
    tables = torch.randn(40, 40, 4, 4, generator=torch.Generator().manual_seed(0))

    def model() -> None:
        z = [pyro.sample(f"z_{i}", dist.Categorical(logits=torch.zeros(4))) for i in range(40)]
        for i, j in itertools.combinations(range(40), 2):
            pyro.factor(f"f_{i}_{j}", tables[i, j][z[i], z[j]])

    pattern = r"takes a table of 1\.21e\+24 numbers .* over 'z_0' \(4 values\), .* and 36 more"
    with pytest.raises(ResourceError, match=pattern):
        ExactMarginal(max_plate_nesting=0).estimate(model, lambda: None)
