"""Figures for papers: one look, and files that are whole or not there."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import choice
from karma_envs.rendering.drawing import drawing, load_matplotlib
from training.common.errors import ResultsError
from training.common.lines import text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE: Any = {
    "axes.formatter.limits": (-5, 5),  # 2 of 1e5 in place of 200000, as numbers of steps would overlap
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.dpi": 150,
    "font.size": 9,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
}
_TITLE = 32  # letters in a line
_LETTERS_PER_INCH = 14  # of small words above a figure
_PANELS_IN_ROW = 6
_LINES_IN_LEGEND = 6
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # readable to the colour-blind


class FolderFigures(NamedTuple):
    """How the folders that a room of ``training`` makes are drawn; its ``figures.py`` defines ``FOLDER``.

    Attributes:
        marker: a file that only such folders hold; None for those that hold none of the others' markers.
        draw: called with the folder, file endings that matplotlib knows, and whether its configuration may
            name functions to be imported; draws into ``figures`` and gives the files written.
    """

    marker: str | None
    draw: Callable[[Path, tuple[str, ...], bool], list[Path]]


@contextlib.contextmanager
def paper_style() -> Iterator[None]:
    """The look of all figures; also a decorator of functions that make one."""
    with drawing(STYLE):
        yield


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure with panels in a row, in inches; notebooks show it."""
    from training.common.notebook import PaperFigure

    figure = PaperFigure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    return figure, list(axes)


def new_panels(
    number: int, width: float, height: float, margin: float = 0.0, most: int = 24
) -> tuple[Figure, list[Axes]]:
    """A figure with panels of equal size in rows of up to six; notebooks show it.

    Args:
        number: how many panels.
        width: of a panel, in inches.
        height: of a panel.
        margin: what the figure is wider than its panels.
        most: how many panels are drawn; where there are more, the figure says so.
    """
    from training.common.notebook import PaperFigure

    shown = min(number, most)
    columns, rows = min(shown, _PANELS_IN_ROW), -(-shown // _PANELS_IN_ROW)
    figure = PaperFigure(figsize=(width * columns + margin, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for spare in axes[shown:]:
        spare.set_axis_off()
    if shown < number:
        figure.supxlabel(f"the first {shown} of {number}", fontsize="medium")
    return figure, list(axes[:shown])


def colours(number: int) -> list[Any]:
    """As many colours that tell lines apart, from dark to light where they are more than those at hand."""
    if number <= len(COLOURS):
        return list(COLOURS[:number])
    from matplotlib import colormaps

    return [colormaps["viridis"](0.9 * place / (number - 1)) for place in range(number)]


def positions_on_line(panel: Axes, values: NDArray[Any]) -> NDArray[Any]:
    """Where values are along the x axis of lines: where they say, or side by side if they are no numbers."""
    if values.dtype.kind not in "iuf":
        return positions_of_cells(panel, "x", values)
    panel.locator_params(axis="x", integer=values.dtype.kind != "f" or bool((values % 1 == 0).all()))
    return values


def positions_of_cells(panel: Axes, axis: Literal["x", "y"], values: NDArray[Any]) -> NDArray[Any]:
    """Where values are that stand side by side, as bars and the cells of a map do: 0, 1, 2 …, so labelled."""
    positions = np.arange(len(values))
    panel.locator_params(axis=axis, integer=True)
    if not np.array_equal(values, positions):
        names = dict(enumerate(map(text, values)))
        ticks = panel.xaxis if axis == "x" else panel.yaxis
        ticks.set_major_formatter(lambda place, _: names.get(int(place), "") if place % 1 == 0 else "")
    return positions


def legend_above(panel: Axes, columns: int = 4) -> None:
    """A legend that covers no line."""
    panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, columnspacing=1.2, handlelength=1.6)


def legend_of_lines(panel: Axes) -> None:
    """A legend where lines leave room, if any have labels; of many lines it names some, first to last."""
    handles, labels = panel.get_legend_handles_labels()
    if not labels:
        return
    named = np.linspace(0, len(labels) - 1, min(len(labels), _LINES_IN_LEGEND)).round().astype(int)
    panel.legend(
        [handles[line] for line in named],
        [labels[line] for line in named],
        title="some of the lines" if len(named) < len(labels) else None,
        loc="best",
        frameon=True,  # where lines leave no room, they are to be seen below it
        framealpha=0.8,
        edgecolor="none",
    )


def title_of_type(panel: Axes, name: str, more: str = "") -> None:
    """A title that fits above a narrow panel: the name of a type, in lines, and what else there is to say."""
    panel.set_title("\n".join([*textwrap.wrap(name, _TITLE), *filter(None, [more])]), fontsize="medium")


def what_it_is(figure: Figure, said: str) -> None:
    """Small words above all panels: which numbers a figure shows, in as many lines as it takes."""
    lines = textwrap.wrap(said, int(_LETTERS_PER_INCH * figure.get_figwidth()))
    figure.suptitle("\n".join(lines), fontsize="small")


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
        ResultsError: when Matplotlib is missing, or LaTeX is asked for and fails.
    """
    require_matplotlib()
    from matplotlib.backend_bases import FigureCanvasBase

    for ending in formats:
        choice("formats", ending, FigureCanvasBase.get_supported_filetypes())
    written = []
    with paper_style():
        for name, draw in figures.items():
            figure = draw()
            (folder / "figures").mkdir(exist_ok=True)
            for ending in formats:
                path = folder / "figures" / f"{name}.{ending}"
                temporary = path.with_name(f".{name}.tmp.{ending}")
                try:
                    figure.savefig(temporary)
                except RuntimeError as error:  # of LaTeX, which the format or the user's style asks for
                    temporary.unlink(missing_ok=True)
                    raise ResultsError(f"{path} cannot be drawn: {_first_line(error)}") from error
                temporary.replace(path)
                written.append(path)
    return written


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def require_matplotlib() -> None:
    """Raise a ResultsError that says what to do where Matplotlib is missing or does not start."""
    try:
        load_matplotlib()
    except ImportError as error:
        raise ResultsError(str(error)) from error
