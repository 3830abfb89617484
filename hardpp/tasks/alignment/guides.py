"""The guides on offer for alignment models, and how each is made from the parts of a model."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn

from hardpp import sites
from hardpp.data.vocabulary import BOUNDARY
from hardpp.errors import UsageError
from hardpp.guides.alignment import StepwiseAlignment
from hardpp.guides.autoregressive_alignment import AutoregressiveAlignment
from hardpp.guides.markov_alignment import MarkovAlignment
from hardpp.guides.mixture_alignment import MixtureAlignment
from hardpp.guides.offset_prior import OffsetPrior
from hardpp.guides.smoothed_alignment import SmoothedAlignment
from hardpp.guides.tempered_prior import TemperedPrior
from hardpp.nn.attention import BilinearScorer
from hardpp.nn.recurrent import BidirectionalLSTM, StepwiseLSTM
from hardpp.tasks.alignment.network import AlignmentParts, transformed
from hardpp.tasks.family import GuideSpec, Lack, prior_guide
from hardpp.tasks.refinement import posterior_guide, refined
from hardpp.types import Need


def mean_field(parts: AlignmentParts, transform: Any = "softmax") -> StepwiseAlignment:
    """A guide that reads the whole source and target, with the model's embeddings where it has them."""
    network = parts.network
    source_reader, target_reader = (
        BidirectionalLSTM(network.embedding, network.guide, 1, network.guide_dropout) for _ in range(2)
    )
    match = BilinearScorer(target_reader.features, source_reader.features)
    source, target = parts.embeddings or (nn.Embedding(size, network.embedding) for size in parts.symbols)
    return StepwiseAlignment(source, target, source_reader, target_reader, transformed(match, transform))


def stepwise_guide(parts: AlignmentParts) -> nn.Module:
    """The guide that reads the whole source and target.

    Raises:
        UsageError: the model is a chain, or has a sparse prior.
    """
    if parts.network.alignment == "chain":
        raise UsageError("a chain has no guide 'variational'", "give --guide smoothed, prior or markov")
    _check_prior("variational", parts)
    return mean_field(parts, parts.network.guide_transform)


def smoothed_guide(parts: AlignmentParts) -> nn.Module:
    """The guide that knows the whole target, without parameters of its own.

    Raises:
        UsageError: the model is no chain.
    """
    if parts.network.alignment != "chain":
        raise UsageError("guide 'smoothed' is that of a chain", "add --set network.alignment=chain")
    model: Any = parts.model
    return SmoothedAlignment(model.embedding, model.encoder, model.decoder, BOUNDARY)


def markov_guide(parts: AlignmentParts, *, backwards: bool) -> nn.Module:
    """A Markov chain of positions; a UsageError if the model has a sparse prior."""
    _check_prior("markov" if backwards else "monotone", parts)
    return MarkovAlignment(mean_field(parts), parts.network.reach, backwards=backwards)


def autoregressive_guide(parts: AlignmentParts) -> nn.Module:
    """A recurrent network over the positions before; a UsageError if the model has a sparse prior."""
    _check_prior("autoregressive", parts)
    steps, hidden = mean_field(parts), parts.network.guide
    features = 2 * hidden
    return AutoregressiveAlignment(steps, StepwiseLSTM(2 * features, hidden), nn.Linear(hidden, features))


def mixture_guide(parts: AlignmentParts) -> nn.Module:
    """A mixture of mean-field guides; a UsageError if the model has a sparse prior."""
    _check_prior("mixture", parts)
    features, components = 2 * parts.network.guide, parts.network.guide_components
    others = [BilinearScorer(features, features) for _ in range(components - 1)]
    return MixtureAlignment(mean_field(parts), others, nn.Linear(features, components))


def tempered_guide(parts: AlignmentParts) -> nn.Module:
    """The prior with a temperature."""
    return TemperedPrior(parts.model, parts.network.guide_temperature)


def offset_guide(parts: AlignmentParts) -> nn.Module:
    """The prior and what a mean-field guide adds to it, at first nothing."""
    steps = mean_field(parts)
    return OffsetPrior(parts.model, sites.ALIGNMENT, steps, steps.scorer.parameters())  # type: ignore[attr-defined]


def refined_guide(parts: AlignmentParts) -> nn.Module:
    """The mean-field guide, refined for each pair; a UsageError if the model has a sparse prior."""
    _check_prior("refined", parts)
    return refined(mean_field(parts), parts.model, parts.network.guide_steps)


# A guide whose probabilities are all above zero may draw what a sparse prior rules out.
def _check_prior(guide: str, parts: AlignmentParts) -> None:
    if (transform := parts.network.prior_transform) != "softmax":
        raise UsageError(
            f"guide {guide!r} may draw what a prior by {transform} rules out",
            "give --guide prior, or leave network.prior_transform at softmax",
        )


_DRAWN_TOGETHER = "the steps of this guide depend on one another, so objective {objective!r} cannot "
_OTHER = "give an objective that draws alignments, such as elbo, or --guide variational"
OF_JOINT_GUIDES: Mapping[Need, Lack] = {
    "enumerable": Lack(_DRAWN_TOGETHER + "sum over them one by one", _OTHER),
    "independent": Lack(_DRAWN_TOGETHER + "treat them one by one", _OTHER),
    "relaxable": Lack(_DRAWN_TOGETHER + "put weights in place of their positions", _OTHER),
}

GUIDES: dict[str, GuideSpec] = {
    "variational": GuideSpec(
        "mean-field: reads the whole source and target, bilinear score (Deng et al. 2018)", stepwise_guide
    ),
    "prior": GuideSpec("the model's own latents: hard attention (Xu et al. 2015)", prior_guide, False),
    "smoothed": GuideSpec(
        "of a chain: each position given all symbols; has nothing to train", smoothed_guide, False
    ),
    "markov": GuideSpec(
        "a Markov chain: each position given the one before, drawn and summed exactly",
        partial(markov_guide, backwards=True),
        lacks=OF_JOINT_GUIDES,
    ),
    "monotone": GuideSpec(
        "a Markov chain that never goes back", partial(markov_guide, backwards=False), lacks=OF_JOINT_GUIDES
    ),
    "autoregressive": GuideSpec(
        "each position given all before, by a recurrent network", autoregressive_guide, lacks=OF_JOINT_GUIDES
    ),
    "mixture": GuideSpec(
        "a mixture of mean-field guides, its component summed out", mixture_guide, lacks=OF_JOINT_GUIDES
    ),
    "tempered": GuideSpec("the prior with a learnt temperature", tempered_guide),
    "offset": GuideSpec("begins where the prior is, and learns how to depart from it", offset_guide),
    "posterior": GuideSpec(
        "the exact posterior of each step, by enumeration; has nothing to train", posterior_guide, False
    ),
    "refined": GuideSpec(
        "mean-field, and a few steps of refinement for each pair (Kim et al. 2018)", refined_guide
    ),
}
