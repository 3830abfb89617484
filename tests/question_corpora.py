"""Tiny data sets of questions about images, laid out as the real ones, and tiny programs over them."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cases import DOUBLE, sharpen
from PIL import Image
from torch import nn

from hardpp.guides.prior import Prior
from hardpp.guides.question_answering import AnswerInformed
from hardpp.models.question_answering import QuestionAnswering
from hardpp.nn.attention import AdditiveScorer, GatedScorer
from hardpp.nn.readout import AnswerReadout
from hardpp.nn.recurrent import QuestionReader
from hardpp.types import QuestionBatch

MODEL = "question-answering"
COLOURS = {"red": (200, 0, 0), "blue": (0, 0, 200)}
TINY = {
    "network": {
        "kernels": [2, 2, 2],
        "image": 6,
        "embedding": 4,
        "question": 6,
        "attention": 5,
        "readout": 8,
        "answer": 3,
        "guide": 5,
    },
    "training": {"batch_size": 4, "log_every": 1, "max_epochs": 1},
    "optimiser": {"warmup_steps": 1},
}
PEOPLE = ("red", "red", "blue", "red", "red", "red", "red", "red", "red", "Red.")


def write_easy(folder: Path, train: int = 20, test: int = 4, side: int = 32) -> Path:
    """Squares of 10 pixels in a corner of an image, with the questions of easy-VQA."""
    for part, count in (("train", train), ("test", test)):
        (folder / part / "images").mkdir(parents=True)
        rows: list[Any] = []
        for number in range(count):
            colour = list(COLOURS)[number % 2]
            left, top = (number % 3) * 10, (number % 2) * 11
            pixels = np.full((side, side, 3), 240, np.uint8)
            pixels[top : top + 10, left : left + 10] = COLOURS[colour]
            Image.fromarray(pixels).save(folder / part / "images" / f"{number}.png")
            rows.append(["what color is the shape?", colour, number])
            rows.append(
                [
                    f"is there a {'red' if number % 4 < 2 else 'blue'} shape?",
                    ["yes", "no"][number % 2],
                    number,
                ]
            )
        (folder / part / "questions.json").write_text(json.dumps(rows[::-1]))
    return folder


def tsv_line(image: int, boxes: np.ndarray, features: np.ndarray) -> bytes:
    cells = [base64.b64encode(part.astype("<f4").tobytes()) for part in (boxes, features)]
    return b"\t".join([b"%d" % image, b"100", b"80", b"%d" % len(boxes), *cells]) + b"\n"


def regions(image: int, count: int, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and features of an image, which are functions of its number."""
    draw = np.random.default_rng(image)
    left, top = draw.uniform(0, 40, (2, count))
    boxes = np.stack([left, top, left + 30, top + 20], -1).astype(np.float32)
    return boxes, draw.normal(size=(count, channels)).astype(np.float32)


def write_vqa(folder: Path, train: int = 6, val: int = 8, answers: Sequence[str] = PEOPLE) -> Path:
    """VQA v2 with bottom-up features: annotations in another order than questions."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for part, first, count in (("train", 100, train), ("val", 200, val)):
        asked, answered = [], []
        for image in range(first, first + count):
            lines.append(tsv_line(image, *regions(image, 2 + image % 2)))
            for extra in range(2):
                number = 10 * image + extra
                asked.append(
                    {"question_id": number, "image_id": image, "question": f"What color is {extra}?"}
                )
                given = [*answers[extra:], *answers[:extra]] if image % 2 else ["blue"] * 10
                answered.append({"question_id": number, "answers": [{"answer": answer} for answer in given]})
        name = f"v2_OpenEnded_mscoco_{part}2014_questions.json"
        (folder / name).write_text(json.dumps({"questions": asked}))
        name = f"v2_mscoco_{part}2014_annotations.json"
        (folder / name).write_text(json.dumps({"annotations": answered[::-1]}))
    (folder / "features.tsv").write_bytes(b"".join(lines))
    return folder


def program(guide: str = "variational", channels: int = 2, answers: int = 3) -> tuple[nn.Module, nn.Module]:
    """A model and guide over features of regions, in float64 and far from uniform."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder, reader = nn.Identity(), QuestionReader(nn.Embedding(5, 2), 2, 2)
        scorer = AdditiveScorer(2, channels, 3)
        model = sharpen(
            QuestionAnswering(encoder, reader, scorer, AnswerReadout(channels, 2, 3, answers, 0.0)), 2.0
        )
        if guide == "prior":
            return model.to(DOUBLE), Prior(model)
        informed = AnswerInformed(encoder, reader, nn.Embedding(answers, 2), GatedScorer(channels, 2, 2, 3))
        sharpen(informed, 2.0, but=model)
        return model.to(DOUBLE), informed.to(DOUBLE)


def batch(regions: Sequence[int] = (2, 3), asked: Sequence[int] = (2, 1), channels: int = 2) -> QuestionBatch:
    """Images with so many regions and questions each, padded to the most; questions differ in length."""
    draw = torch.Generator().manual_seed(5)
    B, S, T, L = len(regions), max(regions), max(asked), 3
    source_mask = torch.arange(S) < torch.tensor(regions).unsqueeze(-1)
    target_mask = torch.arange(T) < torch.tensor(asked).unsqueeze(-1)
    lengths = torch.randint(1, L + 1, (B, T, 1), generator=draw)
    question_mask = (torch.arange(L) < lengths) & target_mask.unsqueeze(-1)
    return QuestionBatch(
        torch.randn(B, S, channels, generator=draw, dtype=DOUBLE) * source_mask.unsqueeze(-1),
        source_mask,
        torch.randint(1, 5, (B, T, L), generator=draw) * question_mask,
        question_mask,
        torch.randint(0, 3, (B, T), generator=draw) * target_mask,
        target_mask,
    )
