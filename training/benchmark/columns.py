"""The numbers of a result, in the order of a report: the headline, what is measured, and what it took."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from karma_envs.outcome import headlines
from training.benchmark.statistics import Statistic, interquartile_mean_of_first

if TYPE_CHECKING:
    from training.benchmark.tasks import Task


def number_text(value: float) -> str:
    """Four decimals, fewer of large numbers; three digits of huge and tiny ones."""
    size = abs(value)
    if size == float("inf"):
        return "∞" if value > 0 else "-∞"
    if value and (size < 5e-5 or size >= 1e6):
        return f"{value:.3g}"
    return f"{value:,.{4 if size < 10 else 1 if size < 100 else 0}f}"


def first_number(numbers: Sequence[float]) -> str:
    """The first of the numbers of a seed, as printed."""
    return number_text(numbers[0])


@dataclass(frozen=True)
class Column:
    """What a number is, and how it is told of several seeds.

    Attributes:
        title: in tables.
        meaning: what it is, in words.
        more_is_better: whether a larger number is better.
        optional: whether it may be missing.
        also: numbers of a row that the statistic needs besides the column's own.
        statistic: what is told of the seeds.
        seed_text: the numbers of a seed as printed.
        shows_seeds: whether tables show those of all seeds, too.
        across_tasks: whether there is a sense in telling it of several tasks together.
        drawing: how a page draws it: ``"intervals"``, or ``"profiles"``, the share of runs that reached a
            target against what they spent.
    """

    title: str
    meaning: str
    more_is_better: bool = True
    optional: bool = False
    also: tuple[str, ...] = ()
    statistic: Statistic = interquartile_mean_of_first
    seed_text: Callable[[Sequence[float]], str] = first_number
    shows_seeds: bool = False
    across_tasks: bool = True
    drawing: str = "intervals"


_LOAD = "of training, compilation and other load included"
_COST = {
    "steps_per_second": Column("agent-steps per second", _LOAD, optional=True),
    "seconds": Column("seconds", _LOAD, more_is_better=False),
}


def columns(tasks: Iterable[Task]) -> dict[str, Column]:
    """The numbers of results in some tasks, by name.

    Args:
        tasks: at least one.
    """
    tasks = list(tasks)
    meaning = "; or ".join(dict.fromkeys(_score(task) for task in tasks))
    measured = {
        metric.name: Column(metric.title, metric.meaning, metric.more_is_better, optional=number > 0)
        for task in tasks
        for number, metric in enumerate(headlines(task.game_class.metrics))
    }
    score = {"score": Column("normalised score", meaning)}
    return {**score, **measured, "exploitability": _exploitability(tasks), **_COST}


def _exploitability(tasks: Iterable[Task]) -> Column:
    """Of the mean field, but of a city, and where a task is of few agents."""
    few = [task.name for task in tasks if task.finite]
    meaning = (
        "what a best response gains in the mean field, of a city in its large-population model, as a share "
        "of the mean discounted payoff"
    )
    if few:
        meaning += (
            f"; in {' and '.join(few)} what one gains at least in the game of so few agents itself that "
            "sees its own state and leaves the average policy of each type"
        )
    return Column("normalised exploitability", meaning, more_is_better=False, optional=True)


def _score(task: Task) -> str:
    """What the score is in a task."""
    if task.by_exploitability:
        return "1 is an equilibrium, 0 as exploitable as {}".format(*task.references.values())
    if task.references:
        return "0 is {}, 1 {}".format(*task.references.values())
    first = task.game_class.metrics[0]
    return f"{'' if first.more_is_better else 'minus '}{first.title}, as it is, in {task.name}"
