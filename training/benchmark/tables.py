"""What a report shows: an interval for each metric, task and algorithm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from training.benchmark.columns import Column
from training.benchmark.statistics import Interval


@dataclass(frozen=True)
class Cell:
    """A number of a table.

    Attributes:
        estimate: interquartile mean and interval.
        values: of the seeds.
        n_tasks: how many tasks they are of.
        comparable: whether all of them are.
    """

    estimate: Interval
    values: tuple[float, ...]
    n_tasks: int
    comparable: bool

    @property
    def text(self) -> str:
        """As printed: ``0.812 [0.801, 0.823]``, with a star if it is not comparable."""
        found = self.estimate
        text = number_text(found.value)
        if found.low is not None and found.high is not None:
            text += f" [{number_text(found.low)}, {number_text(found.high)}]"
        return text + ("" if self.comparable else "*")


@dataclass(frozen=True)
class Report:
    """All numbers of a report.

    Attributes:
        tasks: names, in the registry's order.
        columns: the numbers that there are, by name.
        algorithms: names, the best first.
        about: what each algorithm is, in a line.
        cells: by metric, task and algorithm; without those that have no number.
        overall: over all tasks of an algorithm, by metric and algorithm.
        commands: what gives these results.
        environments: versions of packages, with the algorithms that were run with them.
    """

    tasks: tuple[str, ...]
    columns: Mapping[str, Column]
    algorithms: tuple[str, ...]
    about: Mapping[str, str]
    cells: Mapping[tuple[str, str, str], Cell]
    overall: Mapping[tuple[str, str], Cell]
    commands: tuple[str, ...]
    environments: Mapping[str, tuple[str, ...]]

    def tasks_of(self, metric: str) -> list[str]:
        """The tasks in which some algorithm has a metric."""
        return [
            task for task in self.tasks if any((metric, task, each) in self.cells for each in self.algorithms)
        ]

    def best_first(self, task: str) -> list[str]:
        """The algorithms that were run in a task, by their score in it."""
        found = [name for name in self.algorithms if ("score", task, name) in self.cells]
        return sorted(found, key=lambda name: -self.cells["score", task, name].estimate.value)

    @property
    def comparable(self) -> bool:
        """Whether all results are."""
        return all(cell.comparable for cell in self.cells.values())


def number_text(value: float) -> str:
    """Four decimals, fewer of large numbers; three digits of huge and tiny ones."""
    size = abs(value)
    if value and (size < 5e-5 or size >= 1e6):
        return f"{value:.3g}"
    return f"{value:,.{4 if size < 10 else 1 if size < 100 else 0}f}"
