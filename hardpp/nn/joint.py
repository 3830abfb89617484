"""The joint network of a transducer: features of frames and of tokens together.

    features = tanh(A frame + B token)

Source: Graves, Mohamed and Hinton (2013), Speech Recognition with Deep Recurrent Neural Networks, section
3.2.
Shapes: H features; ... = any leading dims, which broadcast.
"""

import torch
from torch import Tensor, nn


class Joint(nn.Module):
    """The equation above. The products are separate: a grid costs as many as its sides, not its area.

    Args:
        frame: features of a frame.
        token: features of the tokens so far.
        hidden: H.
    """

    def __init__(self, frame: int, token: int, hidden: int):
        super().__init__()
        self.frame = nn.Linear(frame, hidden)
        self.token = nn.Linear(token, hidden, bias=False)

    def forward(self, frame: Tensor, token: Tensor) -> Tensor:
        """The features, (..., H)."""
        return torch.tanh(self.frame(frame) + self.token(token))
