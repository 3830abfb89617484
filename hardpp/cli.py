"""The command line: the names of its verbs, each of which is a few lines in `hardpp.verbs`.

Results go to standard output, progress and messages to standard error. Nothing heavy is imported before a
verb runs, so that `--help` answers at once.
"""

import io
import sys

import click

from hardpp import __version__
from hardpp.runs.processes.process_rank import rank
from hardpp.verbs.align import align
from hardpp.verbs.calibrate import calibrate
from hardpp.verbs.check import check
from hardpp.verbs.compare import compare
from hardpp.verbs.completion import complete_names, completion
from hardpp.verbs.decode import decode
from hardpp.verbs.design import design
from hardpp.verbs.evaluate import evaluate
from hardpp.verbs.exit_codes import OrderedGroup
from hardpp.verbs.listing import data, doctor, guides, models, objectives
from hardpp.verbs.new import new
from hardpp.verbs.options import SHARED
from hardpp.verbs.posterior import plot, posterior
from hardpp.verbs.replay import replay
from hardpp.verbs.report import report
from hardpp.verbs.runs import runs
from hardpp.verbs.sequences import sequences
from hardpp.verbs.train import train


@click.group(
    cls=OrderedGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, "-V", "--version", prog_name="hardpp")
@click.option("--quiet", is_flag=True, help="No messages and no progress, except warnings and errors.")
@click.option("--verbose", is_flag=True, help="Say more: what is opened and read, and how long it takes.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(quiet: bool, verbose: bool, debug: bool) -> None:
    """Hard attention as probabilistic programs: train, judge and inspect discrete alignments.

    \b
    hardpp train --model alignment --guide variational     spelling to phones on CMUdict, in minutes
    hardpp train --model alignment --data words.tsv        your own pairs: source TAB target
    hardpp train --model online-alignment                  tokens of speech, and when each was said
    hardpp evaluate runs/alignment-variational-elbo-0      error rates, exact likelihood, gap of the guide
    hardpp decode runs/alignment-variational-elbo-0        what it makes of words, its own or yours
    hardpp plot runs/alignment-variational-elbo-0          where each symbol comes from
    hardpp report runs/alignment-variational-elbo-0        all of it as one page for a browser

    What goes with one model or run: hardpp train --model NAME --help, hardpp evaluate RUN --help. Completion
    in a shell: hardpp completion --help. --quiet, --verbose and --debug may also stand after the verb.

    Exit codes: 0 done, 1 a replayed step is finite, 2 usage or configuration, 3 data, 4 checkpoint or run
    folder, 5 numbers went bad, 6 resources, 130 and 143 signals.
    """
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose: give one of them")
    context = click.get_current_context()
    if rank() and context.invoked_subcommand not in (train.name, replay.name, *SHARED):
        context.exit()  # torchrun started several processes: what they do not share is done by the first
    if rank():
        sys.stdout = io.StringIO()  # the first prints what they share; the group puts it back


_VERBS = (
    train,
    evaluate,
    decode,
    align,
    posterior,
    plot,
    report,
    calibrate,
    design,
    sequences,
    compare,
    replay,
)
_OWN = (new, check)
_LISTS = (runs, data, models, guides, objectives, doctor, completion)
for _verb in (*_VERBS, *_OWN, *_LISTS):
    main.add_command(_verb)
complete_names(main)
