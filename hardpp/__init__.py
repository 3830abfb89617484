"""Hard attention as Pyro programs: alignments and glimpses, any guide, any objective.

    run = hardpp.train(model="alignment", guide="variational", data="words.tsv")
    run = hardpp.open_run("runs/alignment-variational-elbo-0")
    run.evaluate(beam=5); run.decode(["climbed"]); run.posterior(draws=200); run.plot("climbed")

The same words as on the command line (`hardpp --help`); `hardpp.inference` has the objectives for Pyro
programs of one's own. Nothing heavy is imported before it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from hardpp.data.fetch.sources import listing as list_data
    from hardpp.runs.folder import open_run
    from hardpp.runs.new_run import load_data, train
    from hardpp.tasks.listing import list_guides, list_models, list_objectives
    from hardpp.tasks.opened_run import OpenedRun

__all__ = [
    "OpenedRun",
    "__version__",
    "list_data",
    "list_guides",
    "list_models",
    "list_objectives",
    "load_data",
    "open_run",
    "train",
]

_HOMES = {
    "OpenedRun": "hardpp.tasks.opened_run:OpenedRun",
    "list_data": "hardpp.data.fetch.sources:listing",
    "list_guides": "hardpp.tasks.listing:list_guides",
    "list_models": "hardpp.tasks.listing:list_models",
    "list_objectives": "hardpp.tasks.listing:list_objectives",
    "load_data": "hardpp.runs.new_run:load_data",
    "open_run": "hardpp.runs.folder:open_run",
    "train": "hardpp.runs.new_run:train",
}


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hardpp' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(import_module(module), attribute)
