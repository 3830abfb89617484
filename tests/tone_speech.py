"""A folder laid out as TIMIT in which every phone is a tone of its own: nobody's speech, but learnable."""

import random
from pathlib import Path
from typing import Any

import numpy as np
from speech_files import Samples, write_labels, write_sphere

from hardpp.data.speech.timit import DEV_SPEAKERS, TEST_SPEAKERS

MODEL = "online-alignment"
TONES = {"h#": 0, "sh": 3000, "iy": 700, "aa": 250, "s": 5500}  # Hz
TINY: dict[str, Any] = {
    "network": {"embedding": 4, "hidden": 6, "reader": 4, "guide": 5},
    "training": {"batch_size": 4, "log_every": 1, "max_epochs": 1},
    "optimiser": {"warmup_steps": 1},
}


def tone(phone: str, length: int, seed: int) -> Samples:
    noise = np.random.default_rng(seed).standard_normal(length) * 30
    return (8000 * np.sin(2 * np.pi * TONES[phone] * np.arange(length) / 16_000) + noise).astype(np.int16)


def write_tones(folder: Path, train: int = 6, dev: int = 2, test: int = 3) -> Path:
    """So many utterances of two to four phones between two silences, each phone of 60 to 120 ms."""
    draw = random.Random(0)
    speakers = {"TRAIN": [("fcjf0", train)], "TEST": [(min(DEV_SPEAKERS), dev), (min(TEST_SPEAKERS), test)]}
    for part, named in speakers.items():
        for speaker, count in named:
            for sentence in range(count):
                said = ["h#", *draw.choices([*TONES][1:], k=draw.randint(2, 4)), "h#"]
                ends = np.cumsum([draw.randrange(960, 1920, 16) for _ in said]).tolist()
                rows = list(zip([0, *ends[:-1]], ends, said, strict=True))
                sound = [tone(phone, end - start, start + sentence) for start, end, phone in rows]
                stem = folder / part / "DR1" / speaker.upper() / f"SX{sentence}"
                write_sphere(stem.with_suffix(".WAV"), np.concatenate(sound))
                write_labels(stem.with_suffix(".PHN"), rows)
    return folder
