"""Hard attention as Pyro programs: alignments and glimpses, any guide, any objective.

    run = hardpp.train(model="alignment", guide="variational", data="words.tsv")
    run = hardpp.open_run("runs/alignment-variational-elbo-0")
    run.evaluate(beam=5); run.decode(["climbed"]); run.posterior(draws=200); run.plot("climbed")

The same words as on the command line (`hardpp --help`); `hardpp.inference` has the objectives for Pyro
programs of one's own. Nothing heavy is imported before it is used.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:  # what type checkers see of the names below, each imported when it is first asked for
    from hardpp.diagnostics.posterior_file import read_posterior as read_posterior
    from hardpp.runs.bad_steps.replay import replay as replay
    from hardpp.runs.comparison import compare_runs as compare_runs
    from hardpp.runs.folder import open_run as open_run
    from hardpp.runs.listing import list_runs as list_runs
    from hardpp.runs.new_run import load_data as load_data
    from hardpp.runs.new_run import train as train
    from hardpp.runs.report import write_report as write_report
    from hardpp.tasks.doctor.guide import check_guide as check_guide
    from hardpp.tasks.listing import list_data as list_data
    from hardpp.tasks.listing import list_guides as list_guides
    from hardpp.tasks.listing import list_models as list_models
    from hardpp.tasks.listing import list_objectives as list_objectives
    from hardpp.tasks.opened_run import OpenedRun as OpenedRun

__version__ = "0.1.0"

_FACE = {
    "diagnostics.posterior_file": ["read_posterior"],
    "runs.bad_steps.replay": ["replay"],
    "runs.comparison": ["compare_runs"],
    "runs.folder": ["open_run"],
    "runs.listing": ["list_runs"],
    "runs.new_run": ["load_data", "train"],
    "runs.report": ["write_report"],
    "tasks.doctor.guide": ["check_guide"],
    "tasks.listing": ["list_data", "list_guides", "list_models", "list_objectives"],
    "tasks.opened_run": ["OpenedRun"],
}
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=_FACE)
