"""Made-up questions about coloured squares, and networks of a few numbers."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hardpp.data.images.rasters import Box
from hardpp.data.questions.questions import Question, Questions
from hardpp.tasks.family import Toy

_COLOURS = {"red": (200, 0, 0), "blue": (0, 0, 200)}
_SIDE = 16  # pixels
_CORNERS = ((0, 0), (0, 8), (8, 0), (8, 8))
_TRAIN, _OTHERS = ("red-0", "blue-1", "blue-2", "red-3"), ("blue-0", "red-1", "red-2")


class Squares:
    """Pictures with a square of 8 pixels in a corner; the name says its colour and which corner."""

    kind: Literal["pixels", "regions"] = "pixels"
    channels = 3

    def __contains__(self, image: str) -> bool:
        return image in (*_TRAIN, *_OTHERS)

    def read(self, image: str) -> NDArray[Any]:
        return self.shown(image).transpose(2, 0, 1)

    def boxes(self, image: str) -> None:
        return None

    def shown(self, image: str) -> NDArray[Any]:
        left, top, right, bottom = map(int, self.gold(image))
        pixels = np.full((_SIDE, _SIDE, 3), 240, np.uint8)
        pixels[top:bottom, left:right] = _COLOURS[image.partition("-")[0]]
        return pixels

    def gold(self, image: str) -> Box:
        top, left = _CORNERS[int(image.partition("-")[2])]
        return left, top, left + 8, top + 8

    def fingerprint(self) -> str:
        return "squares"


def toy() -> Toy:
    """Seven images of four regions; the first has one question, the others two."""
    train = [question for image in _TRAIN for question in _about(image)][1:]
    others = [question for image in _OTHERS for question in _about(image)]
    network = {
        **{"kernels": [2, 2, 2], "image": 6, "embedding": 4, "question": 6, "attention": 5},
        **{"readout": 8, "answer": 3, "guide": 5},
    }
    settings = {
        "network": network,
        "training": {"batch_size": 4, "log_every": 1},
        "optimiser": {"warmup_steps": 1},
    }
    return Toy(Questions("toy", train, others, others, Squares()), settings)


def _about(image: str) -> list[Question]:
    colour = image.partition("-")[0]
    is_red = "yes" if colour == "red" else "no"
    return [
        Question(f"{image}-red", "is it red?", image, (is_red,)),
        Question(f"{image}-colour", "what colour is the square?", image, (colour,)),
    ]
