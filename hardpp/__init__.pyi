from .data.fetch.sources import list_data as list_data
from .runs.folder import open_run as open_run
from .runs.new_run import load_data as load_data
from .runs.new_run import train as train
from .tasks.listing import list_guides as list_guides
from .tasks.listing import list_models as list_models
from .tasks.listing import list_objectives as list_objectives
from .tasks.opened_run import OpenedRun as OpenedRun

__version__: str
