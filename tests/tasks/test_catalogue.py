"""How layers become a configuration: what a data set recommends stands under what the user says."""

import pytest

from hardpp.errors import UsageError
from hardpp.tasks.catalogue import resolve


def chosen(**tables: object) -> tuple[str, str]:
    config = resolve([{"model": "question-answering"}, tables])
    return config.objective, config.guide


def test_a_recommended_objective_makes_way_for_the_users() -> None:
    assert chosen() == ("exact", "prior")
    assert chosen(objective="enum") == ("enum", "variational")
    assert chosen(guide="variational") == ("elbo", "variational")
    assert chosen(guide="prior") == ("exact", "prior")
    with pytest.raises(UsageError, match="trains no guide"):
        chosen(objective="exact", guide="variational")


def test_one_particle_is_compared_with_what_the_family_has() -> None:
    def baseline(model: str, **inference: object) -> object:
        found = resolve([{"model": model, "objective": "elbo", "inference": inference}])
        return found.inference["baseline"]

    assert baseline("caption", particles=1) == "soft-attention"
    assert baseline("glimpse", particles=1) == "average"
    assert baseline("glimpse", particles=2) == "leave-one-out"
    assert baseline("glimpse", particles=1, baseline="learned") == "learned"


def test_settings_lie_under_the_preset_and_the_user() -> None:
    def config(preset: str, **training: int) -> tuple[int, int, float]:
        found = resolve([{"data": {"name": "ding"}, "preset": preset, "training": training}])
        return found.training.max_epochs, found.network["decoder"], found.decoding["length_penalty"]

    epochs, decoder, penalty = config("small")
    assert penalty == 1.0
    assert decoder < 768
    assert config("paper") == (epochs, 768, 1.0)
    assert config("small", max_epochs=2) == (2, decoder, 1.0)
    assert resolve([{}]).data.name == "cmudict"
