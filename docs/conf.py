"""How the site is made: `sphinx-build docs site`, with the extra `docs` installed."""

import re
from typing import Any

from hardpp import __version__

project = "hardpp"
author = copyright = "The hardpp contributors"
release = version = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx_click"]
html_theme = "furo"
html_title = "hardpp"
exclude_patterns = ["_build"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"  # a page whose code does not run is not published
nb_execution_timeout = 60  # seconds a cell
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_merge_streams = True
suppress_warnings = ["myst-nb.lexer"]  # of pages that are not executed: their language is not known

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_class_signature = "separated"
python_use_unqualified_type_names = True


def as_written(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text: `code` is code, (*I, B) is a shape, and an indented block is a formula."""
    text = "\n".join(lines)
    text = re.sub(r"(?<!`)`([^`\n]+)`(?!`)", r"``\1``", text)
    parts = re.split(r"(``.+?``)", text)
    parts[::2] = [re.sub(r"([*|])", r"\\\1", part) for part in parts[::2]]
    text = re.sub(r"(?m)^(\S.*[^:\n])\n\n(?=    )", r"\1\n\n::\n\n", "".join(parts))
    lines[:] = text.split("\n")


def setup(app: Any) -> None:
    """Registers the reading of docstrings, after that of their sections."""
    app.connect("autodoc-process-docstring", as_written, priority=400)
