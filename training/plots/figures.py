"""Figures for papers: one look, and files that are whole or not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from karma_envs.config import choice
from training.results import ResultsError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE: Any = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.dpi": 150,
    "font.size": 9,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # readable to the colour-blind


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure with panels in a row, in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    return figure, list(axes)


def legend_above(panel: Axes) -> None:
    """A legend that covers no line."""
    panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, columnspacing=1.2, handlelength=1.6)


def save_figures(
    folder: Path, figures: Mapping[str, Callable[[], Figure]], formats: tuple[str, ...]
) -> list[Path]:
    """Draw figures into ``folder/figures``.

    Args:
        folder: of the run or solution.
        figures: by file name, each drawn when its turn comes.
        formats: file endings that matplotlib knows.

    Returns:
        the files written.

    Raises:
        ConfigError: for a file ending that matplotlib does not know.
    """
    import matplotlib.backend_bases

    for ending in formats:
        choice("formats", ending, matplotlib.backend_bases.FigureCanvasBase.get_supported_filetypes())
    written = []
    with matplotlib.rc_context(STYLE):
        for name, draw in figures.items():
            figure = draw()
            (folder / "figures").mkdir(exist_ok=True)
            for ending in formats:
                path = folder / "figures" / f"{name}.{ending}"
                temporary = path.with_name(f".{name}.tmp.{ending}")
                figure.savefig(temporary)
                temporary.replace(path)
                written.append(path)
    return written


def require_matplotlib() -> None:
    """Raise a ResultsError that says what to install where matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ResultsError("figures need matplotlib: pip install 'karma-envs[plot]'") from error
