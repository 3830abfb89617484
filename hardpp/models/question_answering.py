"""Visual question answering: every question is answered from exactly one region of its image.

    region[b, t] ~ Categorical(scores(query[b, t], memory[b]))              # 0 .. S-1
    answer[b, t] ~ Categorical(readout(memory[b, region[b, t]], query[b, t]))  # 0 .. V-1

`memory[b]` is a set of vectors, one a region, in no order. An image is encoded once for all its questions.
Given the answers the regions of different questions are independent.

Source: Deng, Kim, Chiu, Guo and Rush (2018), Latent Alignment and Variational Attention, section 5.
Shapes: B images, T questions of an image, S regions, L words, M memory features, Q query features,
V answers; ... = dims inference adds on the left.
"""

from typing import Any, NamedTuple

import pyro
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.categorical import Categorical
from hardpp.nn.attention import Scorer, attend
from hardpp.types import QuestionBatch


class Reading(NamedTuple):
    """Encoded images and questions, before a region is chosen."""

    memory: Tensor  # (B, S, M)
    query: Tensor  # (B, T, Q)
    scores: Tensor  # (B, T, S) log p(region) up to a constant, -inf where there is no region


class QuestionAnswering(PyroModule):
    """p(answer, region | image, question); its parts are given, not built.

    Args:
        encoder: images, as a batch holds them -> memory (B, S, M).
        reader: questions (B, T, L) and their mask -> queries (B, T, Q).
        scorer: queries, `scorer.keys(memory)` and mask -> scores (B, T, S).
        readout: memory (..., M) -> values; attended values and query (..., Q) -> logits (..., V).
    """

    max_plate_nesting = 2  # images, questions
    scorer: Scorer
    readout: Any  # with `values` and `logits`, as those of `hardpp.nn.readout`

    def __init__(self, encoder: nn.Module, reader: nn.Module, scorer: Scorer, readout: nn.Module):
        super().__init__()
        self.encoder, self.reader, self.scorer, self.readout = encoder, reader, scorer, readout

    def forward(self, batch: QuestionBatch) -> Tensor:
        """Runs the program; returns the regions, (..., B, T)."""
        memory, query, scores = self.read(batch)
        readout = self.readout  # Pyro announces the parameters of a module each time it is asked for
        values = readout.values(memory)
        with sites.questions(batch.target_mask):
            region = pyro.sample(sites.REGION, Categorical(logits=scores))
            logits = readout.logits(attend(values, region), query)  # (..., B, T, V)
            pyro.sample(sites.ANSWER, Categorical(logits=logits), obs=batch.target)
        return region

    def read(self, batch: QuestionBatch) -> Reading:
        """Encodes images and questions; the answers are not read."""
        memory = self.encoder(batch.source)
        query = self.reader(batch.question, batch.question_mask)
        scores = self.scorer(query, self.scorer.keys(memory), batch.source_mask)
        return Reading(memory, query, scores)
