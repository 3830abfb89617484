"""What answers for batch after batch checks its programs at length in the first one, and then no more."""

from collections.abc import Callable

import pyro
from torch import nn

from hardpp.diagnostics.guide_divergence import GuideDivergence
from hardpp.guides.prior import Prior
from tests.decoding.tiny import tiny_model
from tests.diagnostics.test_alignment_posterior import batches


class Counted(nn.Module):
    """A program that notes in a list when it, or a copy of it, runs."""

    def __init__(self, program: nn.Module, note: Callable[[None], None]):
        super().__init__()
        self.program, self.note = program, note
        self.max_plate_nesting = program.max_plate_nesting

    def forward(self, batch):
        self.note(None)
        return self.program(batch)


def test_programs_are_checked_at_length_in_the_first_batch_only() -> None:
    ran, runs = list[None](), list[int]()
    model = Counted(tiny_model(sharpness=1.5), lambda each: ran.append(each))
    guide, divergence = Prior(model.program), GuideDivergence()
    (_, batch), *_ = batches()
    with pyro.validation_enabled(True):
        for _ in range(3):
            ran.clear()
            divergence(model, guide, batch)
            runs.append(len(ran))
    assert runs[1] == runs[2] == 2 < runs[0]  # for log p(y) and for the bound
