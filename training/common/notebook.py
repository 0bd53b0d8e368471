"""A figure that shows itself in notebooks."""

from __future__ import annotations

import io

from matplotlib.figure import Figure

from training.common.figures import paper_style


class PaperFigure(Figure):
    """A figure that a notebook shows as the value of a cell, whatever its backend, without a magic line.

    Notebooks know what to do with a figure of pyplot's only, and only once pyplot's backend is loaded.
    """

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with paper_style():
            self.savefig(buffer, format="png")
        return buffer.getvalue()
