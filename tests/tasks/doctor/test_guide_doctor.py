"""The doctor of guides names each planted mistake, and nothing else; of sound guides it says nothing."""

import random
import re
from typing import Any, ClassVar

import pyro
import pytest
import torch
from pyro import poutine
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.categorical import Categorical
from hardpp.tasks.doctor.findings import faults
from hardpp.tasks.doctor.guide import check_guide
from hardpp.types import SequenceBatch


class Sound(PyroModule):
    """alignment[b, t] is near the diagonal, and prefers positions by the symbols up to t."""

    max_plate_nesting = 2
    causal = True

    def __init__(self, symbols: int = 16):
        super().__init__()
        self.sharpness = nn.Parameter(torch.ones(1))
        self.shift = nn.Embedding(symbols, 1)

    @classmethod
    def for_model(cls, parts: Any, description: Any) -> "Sound":
        return cls(len(description.target_vocabulary))

    def centre(self, batch: SequenceBatch) -> Tensor:
        steps = torch.arange(batch.target.shape[1], device=batch.target.device)
        return steps + self.shift(batch.target).squeeze(-1).cumsum(-1)  # (B, T)

    def scores(self, batch: SequenceBatch) -> Tensor:
        positions = torch.arange(batch.source.shape[1], device=batch.source.device)
        scores = -self.sharpness * (self.centre(batch).unsqueeze(-1) - positions).abs()
        return scores.masked_fill(~batch.source_mask.unsqueeze(-2), -torch.inf)  # (B, T, S)

    def forward(self, batch: SequenceBatch) -> None:
        with sites.output_steps(batch.target_mask):
            pyro.sample(sites.ALIGNMENT, Categorical(logits=self.scores(batch)))


class MissingPlate(Sound):
    def forward(self, batch: SequenceBatch) -> None:
        with pyro.plate("data", batch.size, dim=-2), poutine.mask(mask=batch.target_mask):
            pyro.sample(sites.ALIGNMENT, Categorical(logits=self.scores(batch)))


class PlateOfAnotherSize(Sound):
    def forward(self, batch: SequenceBatch) -> None:
        with pyro.plate("data", batch.size, dim=-1), poutine.mask(mask=batch.target_mask):
            pyro.sample(sites.ALIGNMENT, Categorical(logits=self.scores(batch)))


class WrongEventDim(Sound):
    def forward(self, batch: SequenceBatch) -> None:
        with pyro.plate("data", batch.size):
            scores = Categorical(logits=self.scores(batch)).mask(batch.target_mask)
            pyro.sample(sites.ALIGNMENT, scores.to_event(1))


class UnmaskedSteps(Sound):
    def forward(self, batch: SequenceBatch) -> None:
        with sites.output_steps(torch.ones_like(batch.target_mask)):
            pyro.sample(sites.ALIGNMENT, Categorical(logits=self.scores(batch)))


class UnmaskedPositions(Sound):
    def scores(self, batch: SequenceBatch) -> Tensor:
        positions = torch.arange(batch.source.shape[1], device=batch.source.device)
        return -self.sharpness * (self.centre(batch).unsqueeze(-1) - positions).abs()


class ReadsPadding(Sound):
    def centre(self, batch: SequenceBatch) -> Tensor:
        return super().centre(batch) + 0.1 * batch.source.sum(-1, keepdim=True)


class ExtraSite(Sound):
    def forward(self, batch: SequenceBatch) -> None:
        super().forward(batch)
        pyro.sample("temperature", pyro.distributions.Bernoulli(0.5))


class MissingSite(Sound):
    def forward(self, batch: SequenceBatch) -> None:
        with sites.output_steps(batch.target_mask):
            pyro.sample("alignments", Categorical(logits=self.scores(batch)))


class DetachedParameter(Sound):
    def centre(self, batch: SequenceBatch) -> Tensor:
        return super().centre(batch).detach()


class FutureLeak(Sound):
    def centre(self, batch: SequenceBatch) -> Tensor:
        shifts = self.shift(batch.target).squeeze(-1) * batch.target_mask
        return super().centre(batch) + shifts.sum(-1, keepdim=True)


class Unnormalised(Sound):
    class Shifted(Categorical):
        def log_prob(self, value: Tensor) -> Tensor:
            return super().log_prob(value) + 0.1

    def forward(self, batch: SequenceBatch) -> None:
        with sites.output_steps(batch.target_mask):
            pyro.sample(sites.ALIGNMENT, self.Shifted(logits=self.scores(batch)))


class WithFactor(Sound):
    def forward(self, batch: SequenceBatch) -> None:
        super().forward(batch)
        with sites.output_steps(batch.target_mask):
            pyro.factor("preference", torch.full_like(batch.target, 0.1, dtype=torch.float32))


class WrongDtype(Sound):
    def __init__(self, symbols: int = 16):
        super().__init__(symbols)
        self.sharpness = nn.Parameter(torch.ones(1, dtype=torch.float64))


class WideConstant(Sound):
    def scores(self, batch: SequenceBatch) -> Tensor:
        return super().scores(batch) * torch.ones(1, dtype=torch.float64, device=batch.source.device)


class PlainTensor(Sound):
    def __init__(self, symbols: int = 16):
        super().__init__(symbols)
        self.width = torch.ones(1)

    def scores(self, batch: SequenceBatch) -> Tensor:
        return super().scores(batch) / self.width


class TensorOnTheCPU(Sound):
    def scores(self, batch: SequenceBatch) -> Tensor:
        return super().scores(batch) + torch.zeros(batch.source.shape[1])


class FailsAtOne(Sound):
    def centre(self, batch: SequenceBatch) -> Tensor:
        steps = torch.arange(batch.target.shape[1], device=batch.target.device)
        return steps + torch.stack(list(self.shift(batch.target).squeeze())).cumsum(-1)

    def scores(self, batch: SequenceBatch) -> Tensor:
        if batch.size == 1:
            raise ValueError("expected more than one value per channel when training")
        return super().scores(batch)


class ShrinksAtOne(Sound):
    def forward(self, batch: SequenceBatch) -> None:
        mask, scores = batch.target_mask, self.scores(batch).squeeze(0)
        if scores.dim() == 3:
            with sites.output_steps(mask):
                pyro.sample(sites.ALIGNMENT, Categorical(logits=scores))
            return
        with pyro.plate("steps", mask.shape[1], dim=-1):
            pyro.sample(sites.ALIGNMENT, Categorical(logits=scores))


class RemembersTheBatch(Sound):
    size = 0

    def scores(self, batch: SequenceBatch) -> Tensor:
        self.size = self.size or batch.size
        return super().scores(batch).reshape(min(self.size, batch.size**9), -1, batch.source.shape[1])


class AveragesOverTheBatch(Sound):
    def centre(self, batch: SequenceBatch) -> Tensor:
        centre = super().centre(batch)
        return centre - centre[0, 0].detach()


class DuplicateName(Sound):
    def forward(self, batch: SequenceBatch) -> None:
        super().forward(batch)
        super().forward(batch)


class NotEnumerable(Sound):
    class Drawn(Categorical):
        has_enumerate_support = False

    def forward(self, batch: SequenceBatch) -> None:
        with sites.output_steps(batch.target_mask):
            pyro.sample(sites.ALIGNMENT, self.Drawn(logits=self.scores(batch)))


class NaNAtTheStart(Sound):
    def scores(self, batch: SequenceBatch) -> Tensor:
        return super().scores(batch) * (self.sharpness - 1) / (self.sharpness - 1)


class NaNParameter(Sound):
    def __init__(self, symbols: int = 16):
        super().__init__(symbols)
        self.shift.weight.data.fill_(torch.nan)


class UnusedParameter(Sound):
    def __init__(self, symbols: int = 16):
        super().__init__(symbols)
        self.forgotten = nn.Linear(2, 2)


class TooManyValues(Sound):
    def scores(self, batch: SequenceBatch) -> Tensor:
        scores = super().scores(batch)
        return torch.cat([scores, scores[..., :1] - 1], -1)


class Fails(Sound):
    def forward(self, batch: SequenceBatch) -> None:
        super().forward(batch)
        raise KeyError("speaker")


class Counts(Sound):
    calls = 0

    def scores(self, batch: SequenceBatch) -> Tensor:
        self.calls += 1
        return super().scores(batch) * (1 + 0.1 * self.calls)


class DrawnByPython(Sound):
    def scores(self, batch: SequenceBatch) -> Tensor:
        return super().scores(batch) * (1 + random.random())


class AlwaysDropsOut(Sound):
    def centre(self, batch: SequenceBatch) -> Tensor:
        return super().centre(batch) + nn.functional.dropout(self.sharpness, 0.5) * torch.rand(())


class OtherWithGradients(Sound):
    def scores(self, batch: SequenceBatch) -> Tensor:
        return super().scores(batch) * (2 if torch.is_grad_enabled() else 1)


class WritesTheTarget(Sound):
    def centre(self, batch: SequenceBatch) -> Tensor:
        batch.target.add_(1).remainder_(4)
        return super().centre(batch)


class DrawsOtherwise(Sound):
    class Sharper(Categorical):
        def sample(self, sample_shape: Any = ()) -> Tensor:
            return Categorical(logits=1.5 * self.logits).sample(sample_shape)

    def forward(self, batch: SequenceBatch) -> None:
        with sites.output_steps(batch.target_mask):
            pyro.sample(sites.ALIGNMENT, self.Sharper(logits=self.scores(batch)))


class DrawsTheLikeliest(DrawsOtherwise):
    class Sharper(Categorical):
        def sample(self, sample_shape: Any = ()) -> Tensor:
            return self.logits.argmax(-1).expand(*sample_shape, *self.batch_shape)


class KnowsTheLength(Sound):
    def centre(self, batch: SequenceBatch) -> Tensor:
        return super().centre(batch) / batch.target_mask.sum(-1, keepdim=True)


class NormalisesABatch(Sound):
    def __init__(self, symbols: int = 16):
        super().__init__(symbols)
        self.norm = nn.BatchNorm1d(1)

    def centre(self, batch: SequenceBatch) -> Tensor:
        return super().centre(batch) + self.norm(self.shift(batch.target)[:, 0])


class NaNInTraining(Sound):
    def scores(self, batch: SequenceBatch) -> Tensor:
        return super().scores(batch) + (torch.nan if self.training else 0)


class DetachedNormaliser(Sound):
    class Raw(Categorical):
        def log_prob(self, value: Tensor) -> Tensor:
            raw = self._param  # as it was given, in place of the normalised one
            return (raw - raw.logsumexp(-1, True).detach()).gather(-1, value.unsqueeze(-1)).squeeze(-1)

    def forward(self, batch: SequenceBatch) -> None:
        scores = self.scores(batch)
        distribution = self.Raw(logits=scores)
        distribution._param = scores
        with sites.output_steps(batch.target_mask):
            pyro.sample(sites.ALIGNMENT, distribution)


class InTheStore(Sound):
    def scores(self, batch: SequenceBatch) -> Tensor:
        width = pyro.param("width_of_the_doctor", torch.ones((), device=batch.source.device))
        return super().scores(batch) / width


class AuxiliaryOfNothing(Sound):
    causal = False

    def forward(self, batch: SequenceBatch) -> None:
        with pyro.plate("data", batch.size, dim=-2):
            one = self.sharpness.new_ones(())
            normal = pyro.distributions.Normal(0 * one, one)
            noise = pyro.sample("noise", normal, infer={"is_auxiliary": True})
        with sites.output_steps(batch.target_mask):
            pyro.sample(sites.ALIGNMENT, Categorical(logits=self.scores(batch) * noise.unsqueeze(-1).exp()))


class Unlisted(Sound):
    """A mixture of two at each step, whose values torch does not list."""

    lacks: ClassVar = {"enumerable": "it is a mixture"}

    def forward(self, batch: SequenceBatch) -> None:
        scores = self.scores(batch)
        which = pyro.distributions.Categorical(logits=scores.new_zeros(*scores.shape[:-1], 2))
        both = pyro.distributions.Categorical(logits=torch.stack([scores, scores / 2], -2))
        with sites.output_steps(batch.target_mask):
            pyro.sample(sites.ALIGNMENT, pyro.distributions.MixtureSameFamily(which, both))


class Normalised(Sound):
    """Batch normalisation over steps, and dropout that knows of its mode."""

    causal = False

    def __init__(self, symbols: int = 16):
        super().__init__(symbols)
        self.norm, self.dropout = nn.BatchNorm1d(1), nn.Dropout(0.3)

    def centre(self, batch: SequenceBatch) -> Tensor:
        return super().centre(batch) + self.dropout(self.norm(self.shift(batch.target).mT)).squeeze(-2)


MISTAKES: list[tuple[type[Sound], str, str]] = [
    (MissingPlate, "plates", r"'alignment' has shape \(5, 6\).*'data', 'steps'.*guide's \('data',\)"),
    (PlateOfAnotherSize, "plates", r"plate\('data'\) at site alignment.*'alignment' in \['data', 'steps'\]"),
    (WrongEventDim, "event shapes", r"'alignment' has event shape \(\) in the model but \(6,\) in the guide"),
    (UnmaskedSteps, "masks", r"'alignment' counts in 23 of 30 elements in the model but in 30 of 30"),
    (UnmaskedPositions, "padding", "'alignment': log q of the same draws of datum 0 .*source_mask"),
    (ReadsPadding, "padding", "datum 0 is .* where the padding of source, target holds other values"),
    (ExtraSite, "sites", r"'temperature' of the guide is none of the model's latents \('alignment'\)"),
    (MissingSite, "sites", "'alignment' is not drawn by the guide; did you mean 'alignments'"),
    (DetachedParameter, "gradients", "parameter 'shift.weight': what is drawn depends on it.*detach"),
    (FutureLeak, "causality", "'alignment' at step 0 depends on targets after step 0"),
    (Unnormalised, "normalisation", "q sums to 1.349859 and not to 1 over all 27 values of 'alignment'"),
    (WithFactor, "normalisation", "a factor or scale of its own"),
    (WrongDtype, "dtype", "parameter 'sharpness' is torch.float64, .* torch.float32"),
    (WideConstant, "dtype", "'alignment': logits are torch.float64, .* torch.float32"),
    (PlainTensor, "device", "'width' of the guide is a plain tensor.*register_buffer"),
    (TensorOnTheCPU, "device", "mixes devices before its first site"),
    (FailsAtOne, "batch of one", "fails on a batch of one.*expected more than one value"),
    (ShrinksAtOne, "batch of one", r"on a batch of one site 'alignment' .*'data', 'steps'.*squeeze"),
    (RemembersTheBatch, "smaller batch", "fails in a batch that is smaller by one"),
    (AveragesOverTheBatch, "order", "datum 0 is .* when the batch is turned round"),
    (DuplicateName, "names", "'alignment' is drawn 2 times in one run"),
    (NotEnumerable, "enumeration", r"'alignment' is Drawn in the plates .*cannot be enumerated"),
    (NaNAtTheStart, "start", "'alignment': logits of its Categorical are NaN at the start"),
    (NaNParameter, "start", "'shift.weight' holds NaN at the start"),
    (UnusedParameter, "gradients", "'forgotten.bias', 'forgotten.weight': nothing that the guide draws"),
    (
        TooManyValues,
        "supports",
        "takes the integers 0 to 5 in the model but the integers 0 to 6 in the guide",
    ),
    (Counts, "repeats", "in the next run, and .* before: the guide keeps something from run to run"),
    (DrawnByPython, "repeats", "in the next run.* random numbers of Python or numpy"),
    (AlwaysDropsOut, "repeats", "by another seed.* no site .*F.dropout without training=self.training"),
    (OtherWithGradients, "repeats", "nats with gradients, and .*is_grad_enabled"),
    (WritesTheTarget, "batch", "running the guide changes target of its batch"),
    (
        DrawsOtherwise,
        "draws",
        r"draws of the first datum \d+ are \[\d, \d, \d\], .* are of two distributions",
    ),
    (DrawsTheLikeliest, "draws", r"2000 draws of the first datum 2000 are \["),
    (KnowsTheLength, "causality", "'alignment' at step 0 depends on how long the target is"),
    (NormalisesABatch, "training", "in training mode the guide fails on a batch of one.*more than 1 value"),
    (NaNInTraining, "training", "logits of its Categorical are NaN in training mode"),
    (DetachedNormaliser, "normalisation", "by parameter 'sharpness' do not sum to 0 .*detached"),
    (InTheStore, "parameters", "'width_of_the_doctor' is a pyro.param.*neither train nor save"),
    (AuxiliaryOfNothing, "sites", "auxiliary site 'noise' .* bounds nothing"),
    (Fails, "runs", "the guide fails after site 'alignment': KeyError: 'speaker'"),
]


@pytest.mark.parametrize(("guide", "check", "sentence"), MISTAKES, ids=[row[0].__name__ for row in MISTAKES])
def test_a_mistake_is_named(guide: type[Sound], check: str, sentence: str) -> None:
    found = faults(check_guide(guide))
    assert {finding.check for finding in found} == {check}, found
    assert any(re.search(sentence, finding.finding) for finding in found), found


def test_a_sound_guide_is_sound() -> None:
    found = check_guide(Sound)
    assert {finding.status for finding in found} == {"ok"}, found


@pytest.mark.parametrize("guide", [Unlisted, Normalised])
def test_what_is_unusual_is_no_mistake(guide: type[Sound]) -> None:
    found = check_guide(guide)
    assert not faults(found), found
    if guide is Unlisted:
        skipped = {finding.check: finding.finding for finding in found if finding.status == "skipped"}
        assert "it is a mixture" in skipped["enumeration"]


def test_looking_at_a_guide_changes_nothing() -> None:
    torch.manual_seed(3)
    drawn = torch.rand(2)
    torch.manual_seed(3)
    check_guide(Sound)
    assert torch.equal(torch.rand(2), drawn)
