import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
import torch
from pyro import poutine
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, Normal

from hardpp.errors import CheckpointError, NumericalError, UsageError
from hardpp.runs import checkpoint
from hardpp.runs.checkpoint import Checkpoint
from hardpp.runs.nonfinite import NonFiniteGuard
from hardpp.runs.optimisation import Schedule
from hardpp.runs.trainer import Trainer, dump
from hardpp.types import Record, SequenceBatch

PLAIN = Schedule(
    learning_rate=0.1, weight_decay=0.0, warmup_steps=0, clip_norm=1e9, average=0.0, total_steps=1000
)


class Noisy(nn.Module):
    """A loss with draws of its own; datum 9 of a batch makes it whatever `poison` says."""

    def __init__(self, poison: float = 1.0, noise: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.3, -0.2]))
        self.poison, self.noise = poison, noise

    def forward(self, batch: SequenceBatch) -> Tensor:
        x = batch.source.to(self.weight.dtype)  # (B, 2)
        factor = torch.where((x == 9).any(), self.poison, 1.0)
        return factor * ((x @ self.weight - 1 + self.noise * torch.randn(len(x))) ** 2).sum()


def batch(*rows: tuple[int, int]) -> Callable[[], SequenceBatch]:
    source = torch.tensor(rows)
    mask = torch.ones_like(source, dtype=torch.bool)
    return lambda: SequenceBatch(source, mask, source, mask)


def three(epoch: int) -> list[Callable[[], SequenceBatch]]:
    return [batch((1, epoch), (2, 1)), batch((0, 1), (1, 1)), batch((2, epoch), (3, 3))]


def make(
    objective: nn.Module | None = None,
    bounds: Iterator[float] | Callable[[nn.Module], float] | None = None,
    schedule: Schedule = PLAIN,
    batches: Callable[[int], list[Callable[[], SequenceBatch]]] = three,
    max_epochs: int = 3,
    patience: int = 100,
    **noise: float,
) -> Trainer:
    torch.manual_seed(7)
    dev = bounds if callable(bounds) else lambda module: next(bounds) if bounds else 0.0
    return Trainer(
        objective or Noisy(),
        batches,
        dev,
        schedule,
        device=torch.device("cpu"),
        max_epochs=max_epochs,
        patience=patience,
        **noise,  # type: ignore[arg-type]
    )


def places(records: Iterator[Record]) -> list[tuple[str, int, int]]:
    return [(record.split, record.step, record.epoch) for record in records]


def test_one_record_a_step_and_one_an_epoch() -> None:
    assert places(make(max_epochs=2).records()) == [
        *[("train", step, 0) for step in (1, 2, 3)],
        ("dev", 3, 1),
        *[("train", step, 1) for step in (4, 5, 6)],
        ("dev", 6, 2),
    ]


@pytest.mark.parametrize("steps", [1, 3, 4])
def test_max_steps_end_training_with_a_look(steps: int) -> None:
    trainer = make(schedule=PLAIN._replace(total_steps=steps))
    found = places(trainer.records())
    assert [step for split, step, _ in found if split == "train"] == list(range(1, steps + 1))
    assert found[-1][:2] == ("dev", steps)
    assert trainer.finished


class Mostly(Noisy):
    """A loss that has a gradient in some batches only."""

    def __init__(self, teach: tuple[int, ...]) -> None:
        super().__init__()
        self.teach, self.calls = teach, 0

    def forward(self, batch: SequenceBatch) -> Tensor:
        self.calls += 1
        loss = super().forward(batch)
        return loss if self.calls in self.teach else loss.detach()


def test_batches_may_have_nothing_to_learn_from_but_not_all() -> None:
    assert len([*make(Mostly((2,)), max_epochs=2).records()]) == 8
    with pytest.raises(UsageError, match="nothing is learnt: the objective has no gradient"):
        [*make(Mostly(()), max_epochs=2).records()]
    saved = next(trainer for trainer in [make(Mostly((1,)))] for _ in trainer.records())
    going_on = make(Mostly(()), max_epochs=1)
    going_on.restore(saved.checkpoint())
    assert [record.split for record in going_on.records()] == ["train", "train", "dev"]


def test_stops_after_patience_epochs_without_a_better_bound() -> None:
    bounds = [-3.0, -2.0, -2.0, -2.5, -1.0, -1.5, -1.0, -1.2, 5.0]
    trainer = make(bounds=iter(bounds), max_epochs=100, patience=3)
    looks = [record for record in trainer.records() if record.split == "dev"]
    assert [record.bound for record in looks] == bounds[:8]
    assert [record.values["best"] for record in looks] == [1, 1, 0, 0, 1, 0, 0, 0]
    assert trainer.finished
    assert (trainer.best, trainer.epochs_since_best) == (-1.0, 3)


def test_the_learning_rate_warms_up_and_falls_to_zero() -> None:
    schedule = PLAIN._replace(warmup_steps=4, total_steps=40)
    rates = [schedule.rate(step) for step in range(41)]
    # To the last bit: so long a run moves as it did before short ones had their warm-up cut.
    assert rates == [0.1 * min(1, (s + 1) / 4) * 0.5 * (1 + math.cos(math.pi * s / 40)) for s in range(41)]
    assert rates[0] == pytest.approx(0.025)
    assert rates[20] == pytest.approx(0.05)
    assert rates[40] == pytest.approx(0)
    assert PLAIN.rate(0) == PLAIN.learning_rate

    trainer = make(schedule=schedule)
    told = []
    for record in trainer.records():
        if record.split == "train":
            told.append(record.values["learning_rate"])
            assert trainer.optimiser.param_groups[0]["lr"] == told[-1]
    assert told == pytest.approx(rates[:9])


@pytest.mark.parametrize(("total", "warmup"), [(1, 0), (4, 0), (10, 2), (19, 3), (20, 4), (5000, 4)])
def test_a_warmup_is_at_most_a_fifth_of_all_steps(total: int, warmup: int) -> None:
    schedule = PLAIN._replace(warmup_steps=4, total_steps=total)
    rates = [schedule.rate(step) / PLAIN._replace(total_steps=total).rate(step) for step in range(total)]
    assert rates == pytest.approx([min(1, (s + 1) / warmup) if warmup else 1 for s in range(total)])


def test_patience_begins_after_the_warmup() -> None:
    def runs() -> Trainer:
        # Epochs of 3 steps: the warm-up ends within the fourth.
        schedule = PLAIN._replace(warmup_steps=10, total_steps=100)
        return make(
            bounds=iter([-1.0, *[-2.0] * 99]), schedule=schedule, batches=three, max_epochs=99, patience=2
        )

    trainer = runs()
    found = [(record.step, record.values["best"]) for record in trainer.records() if record.split == "dev"]
    assert found == [(3, 1), (6, 0), (9, 0), (12, 0), (15, 0)]
    assert (trainer.epochs_since_best, trainer.bad_epochs) == (4, 2)

    begun = runs()
    for record in begun.records():
        if (record.split, record.step) == ("dev", 12):
            break
    again = make(
        bounds=lambda module: -2.0, schedule=trainer.schedule, batches=three, max_epochs=99, patience=2
    )
    again.restore(begun.checkpoint())
    assert places(again.records())[-1] == ("dev", 15, 5)


def test_a_checkpoint_from_before_patience_knew_of_warmup_goes_on() -> None:
    trainer = make(bounds=iter([-1.0, -2.0, -3.0]))
    list(trainer.records())
    saved = trainer.checkpoint()
    del saved.state["waited"]
    again = make(patience=2)
    again.restore(saved)
    assert again.bad_epochs == 2


@pytest.mark.parametrize("average", [0.0, 0.5, 0.99])
def test_the_average_is_the_one_written_by_hand(average: float) -> None:
    trainer = make(schedule=PLAIN._replace(average=average))
    mean = None
    for count, record in enumerate(r for r in trainer.records() if r.split == "train"):
        current = trainer.objective.weight.detach().double()
        decay = min(average, (1 + count) / (10 + count))
        mean = current.clone() if mean is None else decay * mean + (1 - decay) * current
        torch.testing.assert_close(trainer.averaged.module.weight.double(), mean, atol=1e-6, rtol=0)
        assert record.step == trainer.averaged.steps
    assert mean is not None
    assert (average == 0) == torch.equal(mean, trainer.objective.weight.detach().double())


def test_the_average_is_what_is_looked_at_and_kept() -> None:
    seen: list[Tensor] = []

    def look(module: nn.Module) -> float:
        assert not module.training
        assert not torch.is_grad_enabled()
        seen.append(module.weight.clone())  # type: ignore[union-attr,operator]
        return 0.0

    trainer = make(bounds=look, schedule=PLAIN._replace(average=0.9), max_epochs=1)
    list(trainer.records())
    assert torch.equal(seen[0], trainer.checkpoint().model["weight"])
    assert not torch.equal(seen[0], trainer.objective.weight)


def test_long_gradients_are_cut() -> None:
    # AdamW hardly feels the length of a gradient, so the gradients themselves are looked at.
    for clip, cut in ((1e-3, True), (1e9, False)):
        trainer = make(schedule=PLAIN._replace(clip_norm=clip))
        next(trainer.records())
        norm = float(trainer.objective.weight.grad.norm())
        assert (norm <= clip * 1.0001) is True
        assert (norm > 1e-2) is not cut


class Watched(Noisy):
    """Remembers the weights of every step."""

    def __init__(self, poison: float = 1.0) -> None:
        super().__init__(poison, noise=0.0)
        self.seen: list[Tensor] = []

    def forward(self, batch: SequenceBatch) -> Tensor:
        self.seen.append(self.weight.detach().clone())
        return super().forward(batch)


def test_gradients_are_taken_at_noisy_weights_which_are_put_back() -> None:
    objective = Watched()
    trainer = make(objective, weight_noise=0.5)
    for step, make_batch in enumerate(three(0)):
        before = objective.weight.detach().clone()
        with torch.random.fork_rng():
            noise = 0.5 * torch.randn_like(before)
        trainer.optimiser.step = lambda: None  # type: ignore[method-assign,assignment]
        trainer._update(make_batch)
        trainer.step += 1
        assert torch.equal(objective.weight.detach(), before)  # to the last bit
        assert torch.equal(objective.seen[step], before + noise)
        twin = Noisy(noise=0.0)
        with torch.no_grad():
            twin.weight.copy_(before + noise)
        (twin(make_batch()) / 2).backward()
        torch.testing.assert_close(objective.weight.grad, twin.weight.grad)


def test_weight_noise_grows_from_none() -> None:
    def deviations(steps: int) -> list[float]:
        objective = Watched()
        trainer, found = make(objective, weight_noise=0.2, weight_noise_steps=steps), []
        trainer.optimiser.step = lambda: None  # type: ignore[method-assign,assignment]
        for step in range(6):
            with torch.random.fork_rng():
                unit = torch.randn(2)
            trainer._update(batch((1, 1)))
            trainer.step += 1
            found.append(float(((objective.seen[step] - objective.weight.detach()) / unit).mean()))
        return found

    assert deviations(4) == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.2, 0.2], abs=1e-5)
    assert deviations(0) == pytest.approx([0.2] * 6, abs=1e-5)


def test_weights_are_put_back_where_a_step_fails_or_is_left_out() -> None:
    class Failing(Watched):
        def forward(self, batch: SequenceBatch) -> Tensor:
            raise RuntimeError("no memory left")

    objective = Failing()
    before = objective.weight.detach().clone()
    with pytest.raises(RuntimeError, match="no memory left"):
        next(make(objective, weight_noise=0.5).records())
    assert torch.equal(objective.weight.detach(), before)


def test_no_noise_draws_nothing() -> None:
    runs = [list(map(dump, make(**noise).records())) for noise in ({}, {"weight_noise": 0.0})]
    assert runs[0] == runs[1]


def test_a_noisy_trainer_restored_goes_on_bit_for_bit(tmp_path: Path) -> None:
    noise = {"weight_noise": 0.3, "weight_noise_steps": 5}
    whole = make(**noise)
    expected = [dump(record) for record in whole.records()]
    assert expected != [dump(record) for record in make().records()]
    for stop in (0, 2, 4, 7):
        first = make(**noise)
        records = first.records()
        before = [dump(next(records)) for _ in range(stop)]
        saved = checkpoint.save(tmp_path / str(stop), first.step, first.checkpoint())
        torch.manual_seed(99)
        second = make(**noise)
        second.restore(checkpoint.load(saved))
        assert before + [dump(record) for record in second.records()] == expected
        assert same(second.checkpoint(), whole.checkpoint())


def test_the_loss_is_per_datum_and_the_bound_per_symbol() -> None:
    torch.manual_seed(7)
    twin = Noisy()
    first = three(0)[0]()
    loss = twin(first)
    loss.backward()
    trainer = make()
    record = next(trainer.records())
    torch.testing.assert_close(trainer.objective.weight.grad, twin.weight.grad / 2)
    torch.testing.assert_close(torch.as_tensor(record.bound), -loss.detach() / 4)


def test_looking_at_the_dev_part_changes_no_draw() -> None:
    def greedy_look(module: nn.Module) -> float:
        return float(torch.randn(1000).sum())

    states = []
    for look in (None, greedy_look):
        trainer = make(bounds=look)
        list(trainer.records())
        states.append(trainer.checkpoint())
    assert same(*(state._replace(state={}) for state in states))


def test_each_look_has_the_same_noise() -> None:
    found = []
    trainer = make(bounds=lambda module: found.append(torch.randn(())) or 0.0)
    list(trainer.records())
    assert len(found) == 3
    assert len({float(value) for value in found}) == 1


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_noticed_and_named(poison: float, tmp_path: Path) -> None:
    trainer = make(
        Noisy(poison), batches=lambda epoch: [batch((1, 1)), batch((1, 2)), batch((9, 1)), batch((1, 1))]
    )
    records = trainer.records()
    for _ in range(2):
        checkpoint.save(tmp_path, next(records).step, trainer.checkpoint())
    with pytest.raises(NumericalError, match="at step 3") as caught:
        list(records)
    assert caught.value.exit_code == 5
    with pytest.raises(NumericalError, match="at step 3"):
        trainer.checkpoint()  # weights that are no numbers any more are not kept
    newest = checkpoint.newest_sound(tmp_path)
    assert newest is not None
    assert newest.folder.name == "step-00000002"
    assert all(value.isfinite().all() for value in newest.checkpoint.model.values())


def test_a_gradient_that_is_not_finite_is_noticed_though_the_loss_is() -> None:
    class Root(Noisy):
        def forward(self, batch: SequenceBatch) -> Tensor:
            return (self.weight - self.weight.detach()).abs().sum().sqrt() + self.weight.sum()

    trainer = make(Root())
    assert math.isfinite(float(next(trainer.records()).bound))
    with pytest.raises(NumericalError, match="at step 1"):
        trainer.nonfinite.check()


@pytest.mark.parametrize("policy", ["stop", "skip"])
@pytest.mark.parametrize("where", ["objective", "averaged", "moments"])
def test_no_checkpoint_of_tensors_that_are_not_finite(where: str, policy: Literal["stop", "skip"]) -> None:
    trainer = make(nonfinite=NonFiniteGuard(torch.device("cpu"), policy))  # type: ignore[arg-type]
    next(trainer.records())
    trainer.checkpoint()
    weight, moments = trainer.objective.weight, trainer.optimiser.state[trainer.objective.weight]
    tensor, name = {
        "objective": (weight.data, r"weights\.weight"),
        "averaged": (trainer.averaged.module.weight.data, r"averaged\.weight"),
        "moments": (moments["exp_avg_sq"], r"exp_avg_sq\.weight"),
    }[where]
    tensor[1] = math.inf
    with pytest.raises(NumericalError, match=f"^{name} stopped being finite by step 1"):
        trainer.checkpoint()


@pytest.mark.parametrize("sound", [True, False])
def test_a_draw_that_fails_is_blamed_on_the_weights_only_if_they_are_no_numbers(sound: bool) -> None:
    class Drawing(Noisy):
        def forward(self, batch: SequenceBatch) -> Tensor:
            raise RuntimeError("probability tensor contains nan")

    trainer = make(Drawing())
    if not sound:
        trainer.parameters[0].data.fill_(float("nan"))
    kind, message = (RuntimeError, "tensor contains nan") if sound else (NumericalError, "by step 0")
    with pytest.raises(kind, match=message):
        next(trainer.records())


class Overflowing(Noisy):
    """Makes a distribution of what its finite weights give, and asks it for more."""

    def __init__(self, use: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.use = use

    def forward(self, batch: SequenceBatch) -> Tensor:
        logits = self.weight * torch.tensor([1e38, 1.0])
        poutine.trace(lambda: self.use(logits)).get_trace()  # as programs run, which adds words to an error
        return logits.sum()


@pytest.mark.parametrize(
    "use",
    [
        lambda logits: Categorical(logits=logits * 1e30),  # NaN, once it is normalised
        lambda logits: Categorical(logits=logits * 1e30, validate_args=False).sample(),
        lambda logits: Bernoulli(logits=(logits * 1e30).log(), validate_args=False).sample(),
        lambda logits: Normal(logits.exp().log() * 0, 1.0),
    ],
    ids=["check", "draw", "draw from an attribute", "another distribution"],
)
def test_a_distribution_of_overflown_numbers_ends_training_though_the_weights_are_finite(
    use: Callable[[Tensor], object],
) -> None:
    trainer = make(Overflowing(use))
    trainer.step = 3
    with pytest.raises(NumericalError, match=r"stopped being finite after step 3, though no weight did"):
        trainer._update(three(0)[0])


@pytest.mark.parametrize(
    "use",
    [
        lambda logits: Normal(0.0, -torch.ones(2)),  # outside the constraint, but a number
        lambda logits: Categorical(logits=torch.tensor([0.0, -math.inf])).log_prob(torch.tensor(2)),
        lambda logits: Categorical(logits=torch.zeros(())),
        lambda logits: torch.multinomial(logits * math.nan, 1),  # by no distribution
    ],
    ids=["parameter", "support", "shape", "elsewhere"],
)
def test_faults_of_the_programs_are_shown_as_they_are(use: Callable[[Tensor], object]) -> None:
    with pytest.raises((ValueError, RuntimeError)) as caught:
        make(Overflowing(use))._update(three(0)[0])
    assert not isinstance(caught.value, NumericalError)


@pytest.mark.parametrize("bound", [float("nan"), float("-inf")])
def test_a_dev_bound_that_is_not_finite_ends_training(bound: float) -> None:
    trainer = make(bounds=iter([-1.0, bound]))
    with pytest.raises(NumericalError, match="after step 6"):
        list(trainer.records())
    assert trainer.best == -1.0


def same(left: Checkpoint, right: Checkpoint) -> bool:
    return left.state == right.state and all(
        a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
        for a, b in ((left.model, right.model), (left.optim, right.optim))
    )


@pytest.mark.parametrize("total", [7, 1000])
def test_a_trainer_restored_anywhere_goes_on_bit_for_bit(total: int, tmp_path: Path) -> None:
    schedule = PLAIN._replace(average=0.9, warmup_steps=2, total_steps=total)
    look = lambda module: float(module.weight.sum())  # noqa: E731
    whole = make(bounds=look, schedule=schedule)
    expected = [dump(record) for record in whole.records()]
    for stop in range(len(expected) + 1):
        first = make(bounds=look, schedule=schedule)
        records = first.records()
        before = [dump(next(records)) for _ in range(stop)]
        saved = checkpoint.save(tmp_path / str(stop), first.step, first.checkpoint())
        torch.manual_seed(99)
        second = make(bounds=look, schedule=schedule)
        second.restore(checkpoint.load(saved))
        after = [dump(record) for record in second.records()]
        assert before + after == expected
        assert same(second.checkpoint(), whole.checkpoint())


def test_a_checkpoint_of_other_programs_is_refused() -> None:
    trainer = make()
    next(trainer.records())
    saved = trainer.checkpoint()
    for broken in (
        saved._replace(model={"bias": torch.zeros(2)}),
        saved._replace(model={"weight": torch.zeros(3)}),
        saved._replace(optim={name: v for name, v in saved.optim.items() if name != "random.cpu"}),
    ):
        with pytest.raises(CheckpointError, match="does not fit") as caught:
            make().restore(broken)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [None, -1, 0.5, "7", [], 10**30, True])
@pytest.mark.parametrize("key", ["step", "epoch", "position", "epochs_since_best", "averaged"])
def test_a_state_of_other_values_is_refused(key: str, value: object) -> None:
    trainer = make()
    next(trainer.records())
    saved = trainer.checkpoint()
    for state in ({**saved.state, key: value}, {k: v for k, v in saved.state.items() if k != key}):
        with pytest.raises(CheckpointError, match=f"{key}: "):
            make().restore(saved._replace(state=state))


def test_a_record_is_one_flat_json_object() -> None:
    record = Record("train", 3, 1, torch.tensor(-0.5), {"learning_rate": 0.1})
    assert json.loads(json.dumps(dump(record, time=2.0))) == {
        "split": "train",
        "step": 3,
        "epoch": 1,
        "bound": -0.5,
        "learning_rate": 0.1,
        "time": 2.0,
    }
    assert dump(record._replace(bound=float("nan")))["bound"] is None
