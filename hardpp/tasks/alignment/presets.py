"""Settings for kinds of pairs, and the sizes of the published system."""

from typing import Any

from hardpp.config import merge
from hardpp.tasks.family import Recommended

# More symbols, fewer passes, and wider beams that are paid for by length. Much dropout and fast steps let
# attention settle on one position for good before it has learnt where to look.
_TRANSLATION: dict[str, Any] = {
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

_SENTENCES = merge([_TRANSLATION, {"data": {"source_tokens": "pieces", "target_tokens": "pieces"}}])
_SMALLER = {"embedding": 128, "encoder": 96, "decoder": 192, "guide": 64}

TRANSLATION = Recommended(_TRANSLATION)
SENTENCES = Recommended(_SENTENCES)
FEW_SENTENCES = Recommended(merge([_SENTENCES, {"data": {"pieces": 1000}, "network": _SMALLER}]))

# Few verses and many rare words: each word by itself, with its analysis, and moves from one to the next.
WORDS = Recommended(
    {
        "objective": "exact",
        "network": {"alignment": "chain", "decoder": 256, "dropout": 0.3},
        "optimiser": {"learning_rate": 3e-3, "weight_decay": 0.0, "warmup_steps": 100, "clip_norm": 20.0},
        "training": {"max_epochs": 7},
        "decoding": {"beam": 1},
    },
    guides={"exact": "smoothed"},
)

# Of Deng et al. (2018), appendix.
PAPER = Recommended(
    {
        "network": {
            "embedding": 512,
            "encoder": 512,
            "encoder_layers": 2,
            "decoder": 768,
            "decoder_layers": 2,
            "scorer": "additive",
            "guide": 512,
            "dropout": 0.3,
            "embedding_dropout": 0.3,
            "symbol_dropout": 0.0,
            "guide_dropout": 0.3,
        },
        "optimiser": {"learning_rate": 3e-4},
    }
)
