"""Image captioning: every word of a sentence attends to exactly one region of the image.

    region[b, t] ~ Categorical(scores(query[b, t], memory[b]))                # 0 .. S-1
    word[b, t]   ~ Categorical(readout(memory[b, region[b, t]], query[b, t])) # 0 .. V-1

This is `LatentAlignment` with an image as the source: `memory[b]` holds features of the regions of the image,
from `hardpp.nn.grid_encoder` or from an external detector. The recurrence reads the expected region and not
the drawn one, so the regions of a sentence are independent given its words: their posterior can be computed
exactly, and each is credited with its own word.

Source: Xu, Ba, Kiros, Cho, Courville, Salakhutdinov, Zemel and Bengio (2015), Show, Attend and Tell, whose
hard attention feeds back what was drawn; Deng et al. (2018), section 2.2, for feeding back the expectation;
Ba et al. (2015), section 5.
Shapes: B data, S regions, T words, M memory features, Q query features, V symbols; ... = dims inference adds
on the left.
"""

from torch import Tensor, nn

from hardpp import sites
from hardpp.models.latent_alignment import Decoder, Features, LatentAlignment


class Captioner(LatentAlignment):
    """p(words, regions | image); its parts are given, not built. It decodes as its parent class does.

    Args:
        encoder: images, as a batch holds them -> memory (B, S, M).
        decoder: previous words, memory and mask -> queries (B, T, Q) and scores (B, T, S).
        readout: memory (..., M) and query (..., Q) -> values, features (..., H) and logits (..., V).
        boundary: the symbol that stands before the first word and ends every sentence.
    """

    latent = sites.REGION

    def __init__(self, encoder: nn.Module, decoder: Decoder, readout: Features, boundary: int = 0):
        super().__init__(encoder, _Unordered(), decoder, readout, boundary)


# The regions of an image have no order, so no encoder reads them as a sequence.
class _Unordered(nn.Module):
    def forward(self, memory: Tensor, mask: Tensor) -> Tensor:
        return memory
