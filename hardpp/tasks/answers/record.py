"""What a run folder has on record, and copies of it: what an opened run answers without its programs."""

import json
import shutil
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardpp.config import RunConfig
from hardpp.data.atomic_files import PARTIAL, replacing_folder, write_errors
from hardpp.errors import CheckpointError, ResourceError, UsageError, mended

if TYPE_CHECKING:
    from pandas import DataFrame
else:
    DataFrame = Any


class RunRecord:
    """The record of a run whose weights are those of a step."""

    path: Path
    config: RunConfig
    step: int
    description: Any

    def __repr__(self) -> str:
        """One line, as notebooks print it: a run holds all of its data."""
        return f"<run {self.path}: {self.config.model}, {self.config.guide} guide, {self.config.objective}>"

    def _repr_html_(self) -> str:
        rows = {**self.provenance, "run": self.path, "data": self.config.data.name}
        cells = (f"<tr><th>{name}</th><td>{escape(str(value))}</td></tr>" for name, value in rows.items())
        return f"<table>{''.join(cells)}</table>"

    @property
    def provenance(self) -> dict[str, Any]:
        """What a file that is made from the run says of it."""
        names = {key: getattr(self.config, key) for key in ("model", "guide", "objective")}
        about = {"run": self.path.name, "data": self.description.fingerprint}
        return {**names, **about, "step": self.step, "training_seed": self.config.seed}

    @property
    def history(self) -> DataFrame:
        """The metrics of training as a pandas frame: a row for each line of metrics.jsonl, by step.

        Rows of the training and the dev part have a `split` of "train" or "dev"; bounds are in nats a symbol,
        and `time` is UTC, as text. `history.groupby("split").bound.plot(legend=True)` draws both curves.

        Raises:
            CheckpointError: the file is missing, or a line of it is not one that hardpp writes.
        """
        from pandas import DataFrame, to_datetime

        file, rows = self.path / "metrics.jsonl", list[dict[str, Any]]()
        try:
            lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{file} cannot be read ({error})") from error
        for number, line in enumerate(lines, 1):
            if not line.endswith("\n"):  # it is being written
                continue
            try:
                rows.append(dict(json.loads(line)))
            except (ValueError, TypeError, RecursionError) as error:
                raise CheckpointError(
                    f"{file}:{number} is not a line that hardpp writes ({error})"
                ) from error
        frame = DataFrame(rows, columns=None if rows else ["step", "split", "epoch", "bound", "time"])
        if "step" not in frame:
            raise CheckpointError(f"{file} is not a file that hardpp writes: its lines have no step")
        try:
            if "time" in frame:  # as text: numbers or dates would dwarf all else in `history.plot()`
                frame["time"] = to_datetime(frame["time"], unit="s").dt.strftime("%Y-%m-%d %H:%M:%S.%f")
        except (ValueError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{file} is not a file that hardpp writes: its times are none") from error
        return frame.set_index("step")

    @mended()
    def save(self, path: Path | str) -> Path:
        """Copies the run folder, whole or not at all, and returns where to: a folder that is not there yet.

        Raises:
            UsageError: there is something, or it is inside the run folder.
            ResourceError: the disk is full, or the folder cannot be written.
        """
        path = Path(path)

        def occupied() -> bool:
            raise UsageError(f"{path} exists already", "give another name")

        if path.resolve().is_relative_to(self.path.resolve()):
            raise UsageError(f"{path} lies in the run folder that is to be copied", "give another folder")
        if path.exists() or path.is_symlink():
            occupied()
        left_out = shutil.ignore_patterns(f"{PARTIAL}*", "*.lock")
        with write_errors(path), replacing_folder(path, unless=occupied) as folder:
            try:
                shutil.copytree(self.path, folder, ignore=left_out, dirs_exist_ok=True)
            except shutil.Error as error:  # a list of all files that it could not copy
                raise ResourceError(f"{path} cannot be written: {error.args[0][0][-1]}") from error
        return path
