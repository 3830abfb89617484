"""A run that can be trained: data, programs and objective, made once from one configuration."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyro
import torch

from hardpp.config import RunConfig
from hardpp.runs import checkpoint
from hardpp.runs.device import choose_device
from hardpp.runs.initialisation import initialise
from hardpp.runs.nonfinite import NonFiniteGuard
from hardpp.runs.optimiser_schedule import Schedule
from hardpp.runs.trainer import Trainer
from hardpp.tasks import catalogue
from hardpp.tasks.family import Family, Programs
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import Record


class Session:
    """A run that can be trained.

    Args:
        config: the resolved configuration.
        report: told in a few words what is going on.
        restored: a checkpoint will give the weights, so that those of `init_from` are not asked for.
    """

    def __init__(self, config: RunConfig, report: Callable[[str], None], *, restored: bool = False):
        # Modules own their parameters; Pyro's global store would share them between runs.
        pyro.settings.set(module_local_params=True)
        self.config = config
        self.family: Family = catalogue.family(config.model)
        self.device = choose_device(config.device)
        if config.threads:
            torch.set_num_threads(config.threads)
        self.data = self.family.load(config.data, report)
        self.description = self.family.describe(self.data)
        pyro.set_rng_seed(config.seed)
        programs = self.family.build(config, self.description)
        if config.init_from is not None and not restored:
            initialise(programs, config, self.description, Path(config.init_from))
        self.programs = Programs(*(program.to(self.device) for program in programs))
        self.objective = catalogue.objective(config.objective, config.inference)
        self.dev = [
            batch.to(self.device) for batch in self.family.dev_batches(config, self.data, self.description)
        ]

    def trainer(self) -> Trainer:
        """A trainer before its first step."""
        config = self.config
        batches = self.family.epoch_batches(config, self.data, self.description)
        steps = len(batches(0)) * config.training.max_epochs
        schedule = Schedule(
            **config.optimiser.model_dump(), total_steps=min(steps, config.training.max_steps or steps)
        )
        nonfinite = NonFiniteGuard(
            self.device,
            config.training.on_nonfinite,
            latest=lambda: self.objective.latest,
            describe=lambda batch, row: self.family.label(self.description, batch, row),
        )
        return Trainer(
            self.objective(*self.programs).to(self.device),
            batches,
            self.dev_bound,
            schedule,
            device=self.device,
            max_epochs=config.training.max_epochs,
            patience=config.training.patience,
            nonfinite=nonfinite,
            weight_noise=config.training.weight_noise,
            weight_noise_steps=config.training.weight_noise_steps,
        )

    def monitors(self, record: Record) -> dict[str, float]:
        """What the objective says of the last training step besides its bound: the mean over its data."""
        latest = self.objective.latest
        if record.split != "train" or latest is None:
            return {}
        return {name: float(value.float().mean()) for name, value in latest.diagnostics.items()}

    @torch.no_grad()
    def dev_bound(self, module: Any = None) -> float:
        """The bound of the dev part under the objective (or a copy of it), in nats per symbol."""
        if module is None:
            module = self.objective(*self.programs).eval()
        bounds = [module.elbo.estimate(module.model, module.guide, batch).bound.sum() for batch in self.dev]
        return float(torch.stack(bounds).sum() / sum(batch.symbols for batch in self.dev))

    def opened(self, folder: Path, weights: checkpoint.Checkpoint) -> OpenedRun:
        """The run as it is after training: its data, and its programs with the weights of a checkpoint."""
        self.objective(*self.programs).load_state_dict(weights.model)
        for program in self.programs:
            program.eval()
        run: OpenedRun = self.family.run(
            folder,
            self.family,
            self.config,
            self.description,
            self.programs,
            self.objective,
            self.device,
            weights.state["step"],
            self.data,
        )
        return run
