"""Orders in which to visit the places of an image that no attention network has learnt: scores of places.

    ordered logits   the logit of one class at every place: of the class predicted from all places, of the
                     right class, or of whichever class is largest at the place
    centre           nearer to the centre first
    Sobel            mean or variance, over the pixels that a place sees, of the Sobel gradient of the grey
                     image

Source: Elsayed, Kornblith and Le (2019), Saccader, sections 3.3 and 4 and the code of its authors.
Shapes: B images, A places, C a side, V classes.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d

from hardpp.nn.bagnet import BagNet
from hardpp.nn.modes import evaluating
from hardpp.ops.receptive_field import ReceptiveField

Target = Literal["predicted", "label", "max"]
Statistic = Literal["mean", "variance"]


class OrderedLogits(nn.Module):
    """Scores by the logits of a representation, which gets no gradient and whose statistics do not move.

    Args:
        representation: gives every place its logits.
        target: the class whose logit counts: "predicted" from the mean of all places, the right "label", or
            "max", the largest one at each place.
    """

    def __init__(self, representation: BagNet, target: Target = "predicted"):
        super().__init__()
        self.representation, self.target = representation, target

    @torch.no_grad()
    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """(B, A), in nats, of images (B, channels, height, width), or their features, and labels (B,)."""
        with evaluating(self.representation):
            logits = self.representation(images).logits  # (B, A, V)
        if self.target == "max":
            return logits.max(-1).values
        label = labels if self.target == "label" else logits.mean(1).argmax(-1)
        return logits.gather(-1, label.view(-1, 1, 1).expand(-1, logits.shape[1], 1)).squeeze(-1)


class Central(nn.Module):
    """Scores by the distance from the centre; of places equally far the first ones come first.

    Args:
        field: the windows that places see.
    """

    def __init__(self, field: ReceptiveField):
        super().__init__()
        self.field = field

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """(B, A), minus the distance in places, of images (B, channels, height, width), or their features."""
        C = images.shape[-1] if images.is_floating_point() else self.field.places(images.shape[-1])
        row = torch.arange(C, device=images.device) - (C - 1) / 2
        distance = torch.hypot(row.unsqueeze(-1), row.unsqueeze(0)).flatten()
        # Equal scores would be taken in an order that is not defined.
        ties = torch.arange(C * C, device=distance.device) * 1e-6
        return (-distance - ties).expand(len(images), -1)


class Sobel(nn.Module):
    """Scores by the edges that a place sees.

    Args:
        field: the windows that places see.
        statistic: of the magnitude of the Sobel gradient in the window; the variance is unbiased.
    """

    kernel: Tensor

    def __init__(self, field: ReceptiveField, statistic: Statistic = "mean"):
        super().__init__()
        self.field, self.statistic = field, statistic
        across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
        self.register_buffer("kernel", torch.stack([across, across.T]).unsqueeze(1), persistent=False)

    @torch.no_grad()
    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """(B, A), of grey values from 0 to 1, of images (B, channels, height, width) uint8."""
        grey = images.to(self.kernel.dtype).mean(1, keepdim=True) / 255
        edges = nn.functional.pad(grey, (1, 1, 1, 1), mode="replicate")
        magnitude = conv2d(edges, self.kernel).square().sum(1, keepdim=True).sqrt()
        side, stride = self.field
        mean = avg_pool2d(magnitude, side, stride)
        if self.statistic == "mean":
            return mean.flatten(1)
        n = side * side
        variance = (avg_pool2d(magnitude.square(), side, stride) - mean.square()) * n / (n - 1)
        return variance.flatten(1)
