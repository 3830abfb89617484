"""The likeliest of some classes, with their probabilities.

Shapes: B data, V classes.
"""

from collections.abc import Sequence

from torch import Tensor

from hardpp.tasks.answers.decoded import Hypothesis, ranked


def likeliest(
    log_prob: Tensor, classes: Sequence[str], count: int, *, exact: bool
) -> list[tuple[Hypothesis, ...]]:
    """The `count` likeliest classes of every row of log-probabilities (B, V), in nats.

    Classes of one name are made one; `exact` is as in `Hypothesis`.
    """
    return [
        ranked((Hypothesis(name, value, exact) for name, value in zip(classes, row, strict=True)), count)
        for row in log_prob.tolist()
    ]
