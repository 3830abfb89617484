"""Figures by name that a notebook shows."""

from base64 import b64encode
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure
else:
    Figure = Any


class Plots(dict[str, Figure]):
    """Figures by names that can be a file's; the last line of a notebook's cell shows them."""

    def _repr_html_(self) -> str:
        return "".join(f'<img alt="{escape(name, quote=True)}" src="{_url(self[name])}">' for name in self)


def _url(figure: Figure) -> str:
    from hardpp.diagnostics.plot_fonts import legible  # slow to import

    png = BytesIO()
    with legible([figure]):
        figure.savefig(png, format="png", bbox_inches="tight")
    return f"data:image/png;base64,{b64encode(png.getvalue()).decode()}"
