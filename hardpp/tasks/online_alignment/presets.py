"""Sizes and settings of the published systems."""

from hardpp.tasks.family import Recommended

# Of Lawson et al. (2018), whose systems draw 16 particles; the bonus is that of Luo et al. (2016).
PAPER = Recommended(
    {
        "network": {
            "hidden": 256,
            "layers": 2,
            "reader": 256,
            "reader_layers": 4,
            "guide": 256,
            "guide_layers": 2,
        },
        "optimiser": {"learning_rate": 7e-5, "weight_decay": 1e-3},
        # As many epochs as make the 850,000 steps of the published curves, of 16 utterances of TIMIT.
        "training": {
            "weight_noise": 0.15,
            "weight_noise_steps": 200_000,
            "max_epochs": 3700,
            "patience": 3700,
        },
    },
    options={
        **{objective: {"particles": 16} for objective in ("elbo", "nvil", "vimco", "vimco-temporal")},
        "reinforce": {"particles": 16, "entropy_bonus": 1.0, "entropy_bonus_steps": 200_000},
    },
)
