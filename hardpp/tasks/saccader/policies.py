"""The policies that a run's images can be looked at by: its own, and those it is compared with."""

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from hardpp.decoding.saccades import Policy, fixed
from hardpp.nn.place_scores import Central, OrderedLogits, Sobel
from hardpp.types import ImageBatch

PolicyName = Literal["learned", "ordered-logits", "sobel-mean", "sobel-variance", "centre", "random"]
POLICIES: tuple[PolicyName, ...] = get_args(PolicyName)


def policy(name: PolicyName, model: Any, batch: ImageBatch, memory: Tensor) -> Policy:
    """A policy for a batch of images.

    Args:
        name: which.
        model: a `Saccader`.
        batch: the images; of "ordered-logits" the class is the one predicted, whatever the labels are.
        memory: (B, A, D), what the model has seen of them.
    """
    if name == "learned":
        return lambda visited: model.attention(memory, visited)
    if name == "random":
        return fixed(torch.rand(memory.shape[:2], device=memory.device))
    bag = model.representation
    scores: dict[str, nn.Module] = {
        "ordered-logits": OrderedLogits(bag),
        "sobel-mean": Sobel(bag.field, "mean"),
        "sobel-variance": Sobel(bag.field, "variance"),
        "centre": Central(bag.field),
    }
    return fixed(scores[name].to(memory.device)(batch.source, batch.target))
