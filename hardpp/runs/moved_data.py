"""A run goes on with its data wherever they lie: what they are is compared, not where."""

from pathlib import Path

from hardpp.config import RunConfig, to_toml
from hardpp.data.atomic_files import write_file
from hardpp.errors import DataError
from hardpp.runs.folder import differing
from hardpp.runs.run_files import named_code, read_config, read_json
from hardpp.tasks.catalogue import NONE, OwnGuides
from hardpp.tasks.family import Description
from hardpp.tasks.opened_run import Report


def follow_data(
    folder: Path,
    config: RunConfig,
    description: Description,
    report: Report = lambda text: None,
    own_guides: OwnGuides = NONE,
) -> None:
    """Goes on with a run's data, which may lie elsewhere by now; config.toml then says where.

    Args:
        folder: the run folder.
        config: what it goes on with, which `check_same_config` has compared.
        description: of the data that were read.
        report: told that they were moved.
        own_guides: see `hardpp.runs.run_files.read_config`.

    Raises:
        DataError: they are others than those that the run began with.
    """
    began_with = read_config(folder, named_code(dict(config)), own_guides)
    places = {*config.data.places}
    before, now = (which.data.model_dump(include=places) for which in (began_with, config))
    moved = differing(before, now, "data.")
    if read_json(folder / "data.json").get("fingerprint") != description.fingerprint:
        what = f"the data have changed since {folder} was begun" + (f" ({moved})" if moved else "")
        raise DataError(what, "give another --out, or --force")
    if moved:
        data = began_with.data.model_copy(update=now)
        write_file(folder / "config.toml", to_toml(began_with.model_copy(update={"data": data})).encode())
        report(f"{folder}: its data have moved, and are the same ({moved})")
