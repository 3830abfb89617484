"""All programs of these tests, by name."""

from collections.abc import Callable

from programs.chains import CHAINS
from programs.plates import PLATES
from programs.program import Program

PROGRAMS: dict[str, Callable[[], Program]] = {**CHAINS, **PLATES}
