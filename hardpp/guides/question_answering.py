"""The guide for question answering that knows the answer: q(region | image, question, answer).

    q(region = s) prop. exp(u^T tanh(U1 (x_s * relu(V1 h_y)) + U2 (q * relu(V2 h_y))))

with x_s the memory of region s, q the query and h_y an embedding of the answer; * multiplies feature by
feature. Questions are independent, as in the exact posterior of `QuestionAnswering`.

Source: Deng et al. (2018), section 5, who found this form to be the best.
Shapes: B images, T questions of an image, S regions, M memory features, Q query features, E embedding;
... = dims inference adds on the left.
"""

import pyro
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.categorical import Categorical
from hardpp.nn.attention import GatedScorer
from hardpp.types import QuestionBatch


class AnswerInformed(PyroModule):
    """region[b, t] ~ Categorical(scorer(query, answer, memory)).

    Args:
        encoder: images -> memory (B, S, M); usually the model's.
        reader: questions (B, T, L) and their mask -> queries (B, T, Q); usually the model's.
        embedding: answers (B, T) -> (B, T, E).
        scorer: memory, queries, embedded answers and mask -> scores (B, T, S).
    """

    max_plate_nesting = 2  # images, questions

    def __init__(self, encoder: nn.Module, reader: nn.Module, embedding: nn.Module, scorer: GatedScorer):
        super().__init__()
        self.encoder, self.reader, self.embedding, self.scorer = encoder, reader, embedding, scorer

    def scores(self, batch: QuestionBatch) -> Tensor:
        """The scores of regions for every question, (B, T, S); minus infinity where there is no region."""
        memory = self.encoder(batch.source)  # (B, S, M)
        query = self.reader(batch.question, batch.question_mask)  # (B, T, Q)
        return self.scorer(memory, query, self.embedding(batch.target), batch.source_mask)

    def forward(self, batch: QuestionBatch) -> Tensor:
        """Runs the guide; returns the regions, (..., B, T)."""
        scores = self.scores(batch)
        with sites.questions(batch.target_mask):
            return pyro.sample(sites.REGION, Categorical(logits=scores))
