"""The guide for captioning that knows the whole sentence: q(region | image, words), independent at each word.

    region[b, t] ~ Categorical(scorer(reader(words)[b, t], memory[b]))

`reader` reads the sentence from both ends. For `Captioner` the exact posterior factorises over words, so this
family contains it: a remaining gap is due to amortisation or optimisation.

Source: Ba, Salakhutdinov, Grosse and Frey (2015), Learning Wake-Sleep Recurrent Attention Models; Deng et
al. (2018), section 3.
Shapes: B data, S regions, T words, M memory features, E embedding; ... = dims inference adds on the left.
"""

import pyro
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.categorical import Categorical
from hardpp.nn.attention import Scorer
from hardpp.types import SequenceBatch


class SentenceInformed(PyroModule):
    """Regions as above; its parts are given, not built.

    Args:
        encoder: images -> memory (B, S, M); usually the model's.
        embedding: words (B, T) -> (B, T, E); usually the model's.
        reader: embedded words and their mask -> states (B, T, .).
        scorer: states, `scorer.keys(memory)` and mask of regions -> scores (B, T, S).
    """

    max_plate_nesting = 2  # data, steps
    scorer: Scorer

    def __init__(self, encoder: nn.Module, embedding: nn.Module, reader: nn.Module, scorer: Scorer):
        super().__init__()
        self.encoder, self.embedding, self.reader, self.scorer = encoder, embedding, reader, scorer

    def forward(self, batch: SequenceBatch) -> Tensor:
        """Runs the guide; returns the regions, (..., B, T)."""
        memory = self.encoder(batch.source)
        words = self.reader(self.embedding(batch.target), batch.target_mask)  # (B, T, .)
        scores = self.scorer(words, self.scorer.keys(memory), batch.source_mask)  # (B, T, S)
        with sites.output_steps(batch.target_mask):
            return pyro.sample(sites.REGION, Categorical(logits=scores))
