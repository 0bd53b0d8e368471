"""What an experiment is, and how its results become a table, a verdict and a page."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from karma_envs.config import choice
from karma_envs.files import remove_leftovers, write_text
from karma_envs.plugins import defined_in
from training.common.folders import owned, writing
from training.common.tables import Row, read_table, write_table
from training.runs.folder import read_metadata

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCALES = ("quick", "full")
_ROUNDING = 1e-12  # a relative error that is no spread


Announce = Callable[[str], None]

_announce: ContextVar[Announce] = ContextVar("announce", default=lambda text: None)


def announcer() -> Announce:
    """Where a long experiment says how far it is."""
    return _announce.get()


@dataclass(frozen=True)
class Published:
    """A number that was published, and how near ours must be to confirm it.

    Attributes:
        case: which row of the results it belongs to.
        quantity: which column.
        value: as printed.
        tolerance: largest difference that confirms it.
        reason: why that is the tolerance.
    """

    case: str
    quantity: str
    value: float
    tolerance: float
    reason: str


@dataclass(frozen=True)
class Experiment:
    """A published table or figure.

    Attributes:
        name: as in ``karma-envs reproduce NAME``.
        title: what it shows.
        source: where it was published.
        run: makes the rows of one seed, ``run(scale, seed)``; each row has a ``case``, and numbers. Rows
            whose ``point`` is 0 or more are points of curves, to be drawn and not to be listed.
        figures: draws them from all rows, by file name.
        published: numbers to compare with.
        notes: what to know when reading the results.
    """

    name: str
    title: str
    source: str
    run: Callable[[str, int], Sequence[Row]]
    figures: Mapping[str, Callable[[Sequence[Row]], Figure]]
    published: tuple[Published, ...] = ()
    notes: str = ""


@dataclass(frozen=True)
class Verdict:
    """Ours beside what was published."""

    published: Published
    ours: float
    standard_error: float

    @property
    def agrees(self) -> bool:
        """Whether ours is within the tolerance."""
        return abs(self.ours - self.published.value) <= self.published.tolerance


@cache
def experiments() -> dict[str, Experiment]:
    """All experiments by name: each file of the folders here that defines an ``EXPERIMENT``."""
    defined = defined_in("training.reproduction", "EXPERIMENT").values()
    return {each.name: each for each in defined}


def row_of(
    names: Sequence[str],
    case: str,
    point: int = -1,
    x: float = np.nan,
    y: float = np.nan,
    **summary: float,
) -> Row:
    """A row of a summary, or a point of a curve; NaN where the one says nothing of the other."""
    return {"case": case, "point": point, "x": x, "y": y} | {
        name: summary.get(name, np.nan) for name in names
    }


def points(rows: Sequence[Row], case: str, seed: int, *quantities: str) -> tuple[list[float], ...]:
    """The points of a curve: a list for each quantity, x and y where none is named."""
    chosen = [row for row in rows if row["case"] == case and row["seed"] == seed]
    return tuple([row[quantity] for row in chosen] for quantity in quantities or ("x", "y"))


def mean_over_seeds(rows: Sequence[Row], case: str, quantity: str) -> tuple[float, float]:
    """Mean and standard error (NaN for one seed) of a quantity of a case."""
    values = np.array([row[quantity] for row in rows if row["case"] == case], np.float64)
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    return float(values.mean()), float(error)


def with_error(value: float, standard_error: float) -> str:
    """A number and its standard error, to two digits of the error; alone where it has none."""
    if not np.isfinite(value):
        return "–"
    if not standard_error > _ROUNDING * abs(value):
        return f"{value:.6g}"
    if standard_error < 1e-8:
        return f"{value:.1e} ± {standard_error:.0e}"
    digits = int(np.clip(1 - np.floor(np.log10(standard_error)), 0, 8))
    return f"{value:.{digits}f} ± {standard_error:.{digits}f}"


def verdicts(experiment: Experiment, rows: Sequence[Row]) -> list[Verdict]:
    """Every published number beside ours."""
    return [Verdict(item, *mean_over_seeds(rows, item.case, item.quantity)) for item in experiment.published]


def reproduce(
    name: str,
    *,
    folder: Path,
    scale: str = "quick",
    seeds: int = 3,
    observer: Announce | None = None,
) -> list[Verdict]:
    """Run an experiment and write its rows, figures and page.

    A seed whose rows are in the table is not run again, so that an interrupted call can be repeated: rows
    are written when their seed has ended.

    Args:
        name: of the experiment.
        folder: where; results go to ``<folder>/<name>-<scale>``.
        scale: ``quick`` (minutes, reduced) or ``full`` (as published).
        seeds: how many independent repetitions.
        observer: told what is going on.

    Returns:
        the verdicts.

    Raises:
        ConfigError: for an unknown experiment or scale.
        ResultsError: when figures cannot be drawn, or the folder is in use, cannot be written or holds a
            damaged table.
    """
    from training.common.figures import require_matplotlib

    experiment = experiments()[choice("experiment", name, experiments())]
    choice("scale", scale, SCALES)
    require_matplotlib()
    path = Path(folder) / f"{name}-{scale}"
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    with owned(path):
        return _reproduce(experiment, scale, seeds, path, observer)


def _reproduce(
    experiment: Experiment, scale: str, seeds: int, path: Path, observer: Announce | None
) -> list[Verdict]:
    """Run what is missing in a folder that is ours."""
    from training.common.figures import save_figures

    remove_leftovers(path)
    table = path / "results.csv"
    rows = read_table(table) if table.is_file() else []
    seconds = _seconds(path)
    finished = {row["seed"] for row in rows}
    for seed in range(seeds):
        if seed in finished:
            continue
        if observer is not None:
            where = f"seed {seed + 1} of {seeds}"
            observer(where)
            _announce.set(lambda text, where=where: observer(f"{where}: {text}"))  # type: ignore[misc]
        began = time.perf_counter()
        rows += [{"seed": seed, **row} for row in experiment.run(scale, seed)]
        seconds[str(seed)] = round(time.perf_counter() - began, 1)
        write_table(table, rows)
        write_text(path / "run.json", json.dumps({"seconds": seconds}, indent=2) + "\n")
    save_figures(
        path,
        {title: (lambda draw=draw: draw(rows)) for title, draw in experiment.figures.items()},  # type: ignore[misc]
        ("png",),
    )
    found = verdicts(experiment, rows)
    write_text(path / "README.md", page(experiment, scale, rows, found, seconds))
    write_text(path.parent / "README.md", index(path.parent))
    return found


def _seconds(path: Path) -> dict[str, float]:
    """How long each seed took, as far as it is known: no result depends on it."""
    seconds = read_metadata(path).get("seconds")
    if not isinstance(seconds, dict):
        return {}
    return {seed: took for seed, took in seconds.items() if isinstance(took, (int, float))}


def _n_seeds(rows: Sequence[Row]) -> int:
    return len({row["seed"] for row in rows})


def index(folder: Path) -> str:
    """What results there are, as Markdown.

    Args:
        folder: of all experiments' results.
    """
    lines = [
        "# Results",
        "",
        "Published tables and figures made anew, and what we compare them with. Each page has the numbers, "
        "the verdicts, the figures and the command that makes it.",
        "",
        "| experiment | what | scale | seeds | verdicts | run time |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, experiment in sorted(experiments().items()):
        for scale in SCALES:
            path = folder / f"{name}-{scale}"
            if not (path / "results.csv").is_file():
                continue
            seconds, rows = _seconds(path), read_table(path / "results.csv")
            found = verdicts(experiment, rows)
            agreeing = sum(item.agrees for item in found)
            said = f"{agreeing} of {len(found)} agree" if found else "no numbers printed"
            minutes = f"{sum(seconds.values()) / 60:.0f} min"
            cells = (f"[{name}]({path.name}/README.md)", experiment.title, scale, str(_n_seeds(rows)), said)
            lines.append(f"| {' | '.join(cells)} | {minutes} |")
    return "\n".join([*lines, ""])


def page(
    experiment: Experiment,
    scale: str,
    rows: Sequence[Row],
    found: Sequence[Verdict],
    seconds: Mapping[str, float],
) -> str:
    """The experiment's results as Markdown."""
    lines = [
        f"# {experiment.title}",
        "",
        f"{experiment.source}. Made by `karma-envs reproduce {experiment.name} --scale {scale} "
        f"--seeds {_n_seeds(rows)}` in {sum(seconds.values()):.0f} s.",
        "",
    ]
    if found:
        lines += [
            "| what | published | ours ± standard error | tolerance | verdict |",
            "| --- | --- | --- | --- | --- |",
        ]
        for item in found:
            said = item.published
            cells = (
                f"{said.case}: {said.quantity.replace('_', ' ')}",
                f"{said.value:g}",
                with_error(item.ours, item.standard_error),
                f"{said.tolerance:g} ({said.reason})",
                "agrees" if item.agrees else "**disagrees**",
            )
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    quantities = [key for key in rows[0] if key not in ("seed", "case", "point", "x", "y")]
    lines += [
        "| case | " + " | ".join(key.replace("_", " ") for key in quantities) + " |",
        "|" + " --- |" * (len(quantities) + 1),
    ]
    for case in dict.fromkeys(row["case"] for row in rows if row.get("point", -1) < 0):
        means = (with_error(*mean_over_seeds(rows, case, key)) for key in quantities)
        lines.append(f"| {case} | " + " | ".join(means) + " |")
    lines += ["", *(f"![{name}](figures/{name}.png)\n" for name in experiment.figures)]
    if experiment.notes:
        lines += [experiment.notes, ""]
    return "\n".join(lines)


def summary_line(item: Verdict) -> dict[str, Any]:
    """A verdict as a row of a table."""
    return {
        "what": f"{item.published.case}: {item.published.quantity.replace('_', ' ')}",
        "published": f"{item.published.value:g}",
        "ours": with_error(item.ours, item.standard_error),
        "tolerance": f"{item.published.tolerance:g}",
        "verdict": "agrees" if item.agrees else "disagrees",
    }
