"""Hard attention as Pyro programs: alignments and glimpses, any guide, any objective.

    run = hardpp.train(model="alignment", guide="variational", data="words.tsv")
    run = hardpp.open_run("runs/alignment-variational-elbo-0")
    run.evaluate(beam=5); run.decode(["climbed"]); run.posterior(draws=200); run.plot("climbed")

The same words as on the command line (`hardpp --help`); `hardpp.inference` has the objectives for Pyro
programs of one's own. Nothing heavy is imported before it is used.
"""

import lazy_loader

__version__ = "0.1.0"

# The names of __init__.pyi, each imported when it is first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
