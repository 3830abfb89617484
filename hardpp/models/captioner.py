"""A sentence about an image, each word said of exactly one region.

    region[b, t] ~ Categorical(scores(query[b, t], memory[b]))                # 0 .. S-1
    word[b, t]   ~ Categorical(readout(memory[b, region[b, t]], query[b, t])) # 0 .. V-1

This is `LatentAlignment` with an image for a source: `memory[b]` describes the regions of the image, by what
lies in each (`hardpp.nn.grid_encoder`) or as somebody else found them. The recurrence is fed the expected
region and not the drawn one, so that the regions of a sentence are independent given its words: their
posterior is exact, and each is credited with its own word.

Source: Xu, Ba, Kiros, Cho, Courville, Salakhutdinov, Zemel and Bengio (2015), Show, Attend and Tell, whose
hard attention feeds back what was drawn; Deng et al. (2018), section 2.2, for feeding back the expectation;
Ba et al. (2015), section 5.
Shapes: B data, S regions, T words, M memory features, Q query features, V symbols; ... = dims inference adds
on the left.
"""

import pyro
from torch import Tensor, nn
from torch.nn.functional import pad

from hardpp import sites
from hardpp.distributions.categorical import Categorical
from hardpp.distributions.linear_categorical import LinearCategorical
from hardpp.models.latent_alignment import Decoder, Features, LatentAlignment
from hardpp.ops.attention import attend
from hardpp.types import CaptionBatch


class Captioner(LatentAlignment):
    """p(words, regions | image), from parts that are given rather than built; decodes as its parent does.

    Args:
        encoder: images, as a batch holds them -> memory (B, S, M).
        decoder: previous words, memory and mask -> queries (B, T, Q) and scores (B, T, S).
        readout: attended memory (..., M) and query (..., Q) -> logits (..., V).
        boundary: the symbol that stands before the first word and ends every sentence.
    """

    def __init__(self, encoder: nn.Module, decoder: Decoder, readout: Features, boundary: int = 0):
        super().__init__(encoder, _Unordered(), decoder, readout, boundary)

    def forward(self, batch: CaptionBatch) -> Tensor:  # type: ignore[override]  # images, not symbols
        """Runs the program; returns the regions, (..., B, T)."""
        memory = self.embedding(batch.source)  # (B, S, M)
        previous = pad(batch.target[:, :-1], (1, 0), value=self.boundary)  # (B, T)
        query, scores = self.decoder(previous, memory, batch.source_mask)  # (B, T, Q), (B, T, S)
        with sites.output_steps(batch.target_mask):
            region = pyro.sample(sites.REGION, Categorical(logits=scores))
            features = self.readout.features(attend(memory, region), query)  # (..., B, T, H)
            last = self.readout.symbols
            pyro.sample(sites.SYMBOL, LinearCategorical(features, last.weight, last.bias), obs=batch.target)
        return region


# Regions stand side by side: nothing reads them in a row, as words of a source are read.
class _Unordered(nn.Module):
    def forward(self, memory: Tensor, mask: Tensor) -> Tensor:
        return memory
