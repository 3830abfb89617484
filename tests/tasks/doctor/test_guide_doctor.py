"""The doctor of guides names each planted mistake, and nothing else; of sound guides it says nothing."""

import re
from typing import Any

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


def test_looking_at_a_guide_changes_nothing() -> None:
    torch.manual_seed(3)
    drawn = torch.rand(2)
    torch.manual_seed(3)
    check_guide(Sound)
    assert torch.equal(torch.rand(2), drawn)
