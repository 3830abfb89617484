"""Which process this is, of those that torchrun started; it says so in the environment."""

import os


def size() -> int:
    """How many there are: 1 where nothing was started by torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def rank() -> int:
    """Its number among all, from 0."""
    return int(os.environ["RANK"]) if size() > 1 else 0


def local() -> int:
    """Its number among those of its machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def restarted() -> bool:
    """Were they started again, after one had ended?"""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
