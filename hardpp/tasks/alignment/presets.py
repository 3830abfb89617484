"""What is recommended for kinds of pairs: tables that lie under a run's configuration."""

from collections.abc import Mapping
from typing import Any

from hardpp.config import merge

# More symbols, fewer passes, and wider beams that are paid for by length. Much dropout and fast steps let
# attention settle on one position for good before it has learnt where to look.
TRANSLATION: Mapping[str, Any] = {
    "network": {
        "embedding": 192,
        "encoder": 128,
        "skip": True,
        "decoder": 256,
        "scorer": "additive",
        "guide": 96,
        "dropout": 0.2,
        "embedding_dropout": 0.1,
        "symbol_dropout": 0.0,
    },
    "optimiser": {"learning_rate": 2e-3, "weight_decay": 0.01},
    "training": {"batch_size": 32, "max_epochs": 6},
    "decoding": {"length_penalty": 1.0},
}

SENTENCES: Mapping[str, Any] = merge(
    [TRANSLATION, {"data": {"source_tokens": "pieces", "target_tokens": "pieces"}}]
)

FEW_SENTENCES: Mapping[str, Any] = merge(
    [
        SENTENCES,
        {"data": {"pieces": 1000}, "network": {"embedding": 128, "encoder": 96, "decoder": 192, "guide": 64}},
    ]
)

# Few verses and many rare words: each word by itself, with its analysis, and moves from one to the next.
WORDS: Mapping[str, Any] = {
    "objective": "exact",
    "guides": {"exact": "smoothed"},
    "network": {"looks": "chain", "decoder": 256, "dropout": 0.3},
    "optimiser": {"learning_rate": 3e-3, "weight_decay": 0.0, "warmup_steps": 100, "clip_norm": 20.0},
    "training": {"max_epochs": 7},
    "decoding": {"beam": 1},
}
