"""All programs of these tests, by name."""

from collections.abc import Callable

from programs.chains import CHAINS
from programs.handlers import HANDLERS
from programs.kinds import KINDS
from programs.masks import MASKS
from programs.mixtures import MIXTURES
from programs.modules import MODULES
from programs.networks import NETWORKS
from programs.orders import ORDERS
from programs.plates import PLATES
from programs.program import Program
from programs.subsamples import SUBSAMPLES
from programs.unusual import UNUSUAL

PROGRAMS: dict[str, Callable[[], Program]] = {
    **CHAINS,
    **PLATES,
    **SUBSAMPLES,
    **HANDLERS,
    **MASKS,
    **MIXTURES,
    **NETWORKS,
    **MODULES,
    **UNUSUAL,
    **ORDERS,
    **KINDS,
}
