"""Every model family judges its posteriors on data of its own making, or says why it does not."""

import pytest
from tiny_families import TinyRun

from hardpp.errors import UsageError

REFUSED = ("saccader", "masked-image", "image-vae")


def test_posteriors_are_judged_by_what_the_model_draws(trained: TinyRun) -> None:
    run = trained.open()
    items = run.select(part="train")
    if trained.name in REFUSED:
        with pytest.raises(UsageError, match=f"model {trained.name} cannot be judged"):
            run.calibrate(items, draws=19)
        return
    rows = run.calibrate(items, draws=19).rows
    exact = "marginal" not in run.family.lacks(run.network)
    assert [row["posterior"] for row in rows] == [*["exact"] * exact, "guide"]
    assert all(row["data"] > 0 for row in rows)
    # Of the exact posterior p-values are uniform: both are above .0005 but once in 1,000.
    assert not exact or min(value for name, value in rows[0].items() if name.startswith("p ")) > 0.0005
    assert not exact or rows[1]["kl"] > -1e-4
    assert run.calibrate(items, draws=19).rows == rows
