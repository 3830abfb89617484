"""Emission counts: how much each particle has emitted after each of its latents.

Where latents say whether something is emitted now, particles are fairly compared at the same progress and
not at the same latent (`hardpp.ops.leave_one_out`): the temporal baseline and VIMCO's temporal control.

Source: Lawson et al. (2017), equation 7.
Shapes: K particles, I instances, N stages (see `hardpp.inference.weights.weight_table`).
"""

from collections.abc import Callable

from pyro.distributions import Delta
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.weights.weight_table import WeightTable

Progress = Callable[[Tensor], Tensor]  # of the latents' values (K, *I, N - 1), in that shape


def progress_of(table: WeightTable, progress: Progress | None) -> Tensor:
    """What each particle has emitted after each latent, (K, *I, N - 1).

    Args:
        table: whose latents are scalars in the plates that all sites share.
        progress: of the values, 0 where a latent is masked out; it must not fall, and must not depend on
            later latents. Left out, it is their cumulative sum: right for binary decisions to emit.
    """
    values = table.values.where(table.live[..., 1:], 0)
    if progress is None:
        kinds = {latent.guide["name"]: latent.guide["fn"] for latent in table.latents}
        if kinds and not any(fn.support.is_discrete or isinstance(fn, Delta) for fn in kinds.values()):
            raise UsageError(
                f"latent site {next(iter(kinds))!r} takes continuous values, which count no emissions: say "
                "by progress= how much has been emitted after each latent"
            )
        return values.cumsum(-1)
    counts = progress(values)
    if counts.shape != values.shape:
        raise UsageError(
            f"progress must have the shape of the latents' values, {tuple(values.shape)}, "
            f"got {tuple(counts.shape)}"
        )
    return counts
