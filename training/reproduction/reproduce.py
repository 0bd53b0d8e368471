"""Running an experiment: its rows, figures and page, in a folder that grows seed by seed."""

from __future__ import annotations

import contextlib
import functools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from karma_envs.config import choice
from karma_envs.files import remove_leftovers, write_text
from training.common.folders import owned, writing
from training.common.tables import Row, read_table, write_table
from training.reproduction.experiment import Experiment, Verdict, experiments, verdicts
from training.reproduction.numbers import mean_over_seeds, with_error
from training.runs.folder import read_metadata

SCALES = ("quick", "full")


Announce = Callable[[str], None]


_announce: ContextVar[Announce] = ContextVar("announce", default=lambda text: None)


def announcer() -> Announce:
    """Where a long experiment says how far it is."""
    return _announce.get()


@contextlib.contextmanager
def _announcing(observer: Announce | None, where: str) -> Iterator[None]:
    """Tell the observer where an experiment is, and let it say more as long as it runs."""
    if observer is None:
        yield
        return
    observer(where)
    token = _announce.set(lambda text: observer(f"{where}: {text}"))
    try:
        yield
    finally:
        _announce.reset(token)


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
        began = time.perf_counter()
        with _announcing(observer, f"seed {seed + 1} of {seeds}"):
            rows += [{"seed": seed, **row} for row in experiment.run(scale, seed)]
        seconds[str(seed)] = round(time.perf_counter() - began, 1)
        write_table(table, rows)
        write_text(path / "run.json", json.dumps({"seconds": seconds}, indent=2) + "\n")
    save_figures(
        path,
        {title: functools.partial(draw, rows) for title, draw in experiment.figures.items()},
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
    if experiment.meanings:
        lines += ["", "Gains by deviating are those of:", ""]
        lines += [f"- {name.replace('_', ' ')}: {meaning}" for name, meaning in experiment.meanings.items()]
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
