"""A run that can be trained: data, programs and objective, made once from one configuration."""

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property, partial
from math import isfinite
from pathlib import Path
from typing import Any

import pyro
import torch

from hardpp.config import RunConfig
from hardpp.diagnostics.seeds import seeded
from hardpp.errors import UsageError, memory_advice
from hardpp.ops.precision import has_instructions
from hardpp.runs.batch_parts import BatchParts
from hardpp.runs.compiled_networks import compile_networks
from hardpp.runs.cores import check_threads
from hardpp.runs.folder import choose_device, differing, open_run
from hardpp.runs.nonfinite import NonFiniteGuard
from hardpp.runs.optimisation import Schedule
from hardpp.runs.processes.ranks import ALONE, Ranks
from hardpp.runs.resources import check_fits
from hardpp.runs.run_files import UntrustedRun, named_code
from hardpp.runs.stage import freeze
from hardpp.runs.trainer import Trainer
from hardpp.tasks import catalogue
from hardpp.tasks.family import Description, Family, Programs, has_own_parameters
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import Record

# What takes less memory.
_FEWER = "give fewer data, or fewer of them for training (data.train_limit)"
_SMALLER = "give smaller sizes of network. (hardpp train --dry-run counts parameters)"
_SMALLER_BATCHES = "give a smaller training.batch_size"


class Session:
    """A run that can be trained, of a resolved configuration.

    Args:
        config: the run, or one stage of it.
        report: told in a few words what is going on.
        restored: a checkpoint will give the weights, so that those of `init_from` are not asked for.
        data: the run's data, where they are loaded already.
        family: of the run, with guides that were given as such; else that of its name.
        ranks: this process among those that train the run.

    Raises:
        UsageError: as the family says, or `hardpp.runs.stage.freeze`.
        ResourceError: networks do not fit into memory (`hardpp.runs.resources`).
    """

    def __init__(
        self,
        config: RunConfig,
        report: Callable[[str], None],
        *,
        restored: bool = False,
        data: Any = None,
        family: Family | None = None,
        ranks: Ranks = ALONE,
    ):
        # Modules own their parameters; Pyro's global store would share them between runs.
        pyro.settings.set(module_local_params=True)
        self.config, self.ranks, self.report = config, ranks, report
        self.family: Family = family or catalogue.family(config.model)
        self.device = choose_device(config.device)
        if isinstance(config.threads, int):
            check_threads(config.threads)
            torch.set_num_threads(config.threads)
        with memory_advice("while the data were read", _FEWER):
            self.data = self.family.load(config.data, report) if data is None else data
        self.description = self.family.describe(self.data)
        check_fits(lambda: catalogue.programs(self.family, config, self.description), self.device)
        pyro.set_rng_seed(config.seed)
        with memory_advice("while the networks were made", _SMALLER):
            programs = catalogue.programs(self.family, config, self.description)
        if config.init_from is not None and not restored:
            initialise(programs, config, self.description, Path(config.init_from), report, self.family)
        self.programs = Programs(*(program.to(self.device) for program in programs))
        if config.training.compile:
            compile_networks(self.programs, config.model, report)
        self.frozen = freeze(self.programs, config)
        self.objective = catalogue.objective(config.objective, config.inference)
        usable = self.family.usable(config, self.data, self.description, report)
        self.prepared = self.family.prepared(config, usable, self.programs)

    @cached_property
    def dev(self) -> list[Any]:
        """The dev part in batches; asked for when the weights are those to begin with."""
        batches = self.family.dev_batches(self.config, self.prepared, self.description)
        return [batch.to(self.device) for batch in batches]

    def trainer(self) -> Trainer:
        """A trainer before its first step."""
        training = self.config.training
        batches = self.family.epoch_batches(self.config, self.prepared, self.description)
        steps = len(batches(0)) * training.max_epochs
        steps = min(steps, training.max_steps or steps)
        precision: torch.dtype = getattr(torch, training.precision)
        if not has_instructions(precision, self.device):
            self.report(
                f"warning: this {self.device.type.upper()} has no instructions for {training.precision}, "
                "with which steps take longer, not less"
            )
        nonfinite = NonFiniteGuard(
            self.device,
            training.on_nonfinite,
            latest=lambda: self.objective.latest,
            describe=lambda batch, row: self.family.label(self.description, batch, row),
            place_of=self.ranks.first_row,
        )
        return Trainer(
            self.objective(*self.programs).to(self.device),
            batches,
            self.dev_bound,
            Schedule(**self.config.optimiser.model_dump(), total_steps=steps),
            device=self.device,
            nonfinite=nonfinite,
            frozen=self.frozen,
            ranks=self.ranks,
            parts=BatchParts(self.device, training.auto_batch, self.report, precision),
            **training.model_dump(include={"max_epochs", "patience", "weight_noise", "weight_noise_steps"}),
        )

    def monitors(self, record: Record) -> dict[str, float]:
        """What the objective says of the last training step besides its bound: the mean over its data."""
        latest = self.objective.latest
        if record.split != "train" or latest is None:
            return {}
        means = {name: float(value.float().mean()) for name, value in latest.diagnostics.items()}
        return {name: mean for name, mean in means.items() if isfinite(mean)}

    def dev_figures(self, trainer: Trainer, folder: Path) -> dict[str, float]:
        """Cheap figures of a few dev items with the averaged weights, if the family has any.

        They leave the random state of training alone, and do not decide which weights are kept.
        """
        module: Any = trainer.evaluated
        run = self.opened(folder, trainer.step, Programs(module.model, module.guide))
        # A package that is missing, say, is told by `evaluate`, once the weights are safe.
        with seeded(0, self.device), torch.no_grad(), suppress(UsageError):
            return self.family.dev_figures(run)
        return {}

    @torch.no_grad()
    def dev_bound(self, module: Any = None) -> float:
        """The bound of the dev part under the objective (or a copy of it), in nats per symbol."""
        if module is None:
            module = self.objective(*self.programs).eval()
        estimate = partial(module.elbo.estimate, module.model, module.guide)
        mine, advice = self.ranks.mine(self.dev), memory_advice("at the dev part", _SMALLER_BATCHES)
        with advice:
            bounds = self.ranks.none_failing(lambda: [estimate(batch).bound.sum() for batch in mine])
        total = torch.stack(bounds).sum() if bounds else torch.zeros((), device=self.device)
        return float(self.ranks.sum(total) / sum(batch.symbols for batch in self.dev))

    def opened(
        self, folder: Path, step: int, programs: Programs | None = None, config: RunConfig | None = None
    ) -> OpenedRun:
        """The run with its data at hand, and programs in evaluation mode: its own, or copies of them.

        `config` is that of the whole run, if this is a stage of it.
        """
        programs = Programs(*(program.eval() for program in programs or self.programs))
        made_of = (
            folder,
            self.family,
            config or self.config,
            self.description,
            programs,
            self.objective,
            self.device,
        )
        run: OpenedRun = self.family.run(*made_of, step=step, data=self.data)
        return run


def initialise(
    programs: Programs,
    config: RunConfig,
    description: Description,
    folder: Path,
    report: Callable[[str], None],
    family: Family,
) -> None:
    """Gives programs the weights of another run's best checkpoint; the guide's if it has the same name.

    The data may be others, as long as symbols keep their numbers. Modules that the other model does not have
    at all, as after an early stage of training, begin anew, and `report` is told. Of classes that the other
    run names those of `config` are trusted.

    Raises:
        UsageError: the other run has other symbols, or networks of other sizes, or not the guide that is used
            here without being trained.
        CheckpointError: it is no run.
    """
    try:
        other = open_run(folder, "cpu", trust=named_code(dict(config)), guide=family.own_guides)
    except UntrustedRun as error:
        hint = "train with the same class (--objective, --guide or --model) if you know who made that run"
        raise UntrustedRun(f"--init-from {folder}: {error}", hint) from error
    trained = has_own_parameters(programs)
    trains = catalogue.objective(config.objective, config.inference).trains_guide
    if trained and not trains and config.guide != other.config.guide:
        what = f"--init-from {folder}: that run has no guide {config.guide}"
        raise UsageError(what, f"begin with one that has it: {config.objective} trains none")
    if apart := description.symbols_apart(other.description):
        what = f"--init-from {folder}: that run has other symbols ({', '.join(apart)})"
        raise UsageError(what, "train it on data with the same ones")
    try:
        given = other.programs.model.state_dict()
        parts = {name.partition(".")[0] for name in given}
        ours = programs.model.state_dict()
        anew = {name: value for name, value in ours.items() if name.partition(".")[0] not in parts}
        programs.model.load_state_dict({**anew, **given})
        if anew:
            names = ", ".join(dict.fromkeys(name.partition(".")[0] for name in anew))
            report(f"--init-from {folder}: that run has no {names}, which begin anew")
        # One without weights of its own may hold the model's, which are given.
        if config.guide == other.config.guide and trained:
            programs.guide.load_state_dict(other.programs.guide.state_dict())
    except RuntimeError as error:
        there, here = ({"model": which.model, "network": which.network} for which in (other.config, config))
        difference = differing(there, here) or "made for data of another size"
        raise UsageError(f"--init-from {folder}: that run has another network ({difference})") from error
