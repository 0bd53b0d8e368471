"""What a report shows: an interval for each metric, task and algorithm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from training.benchmark.columns import Column, number_text
from training.benchmark.statistics import Interval
from training.benchmark.task import BenchmarkTask


@dataclass(frozen=True)
class Cell:
    """A number of a table.

    Attributes:
        estimate: what is told of the seeds, and its interval.
        runs: for each seed the number, and those that its column needs besides.
        seeds: the same as printed.
        n_tasks: how many tasks they are of.
        comparable: whether all of them are.
        shows_seeds: whether the text has those of all seeds.
    """

    estimate: Interval
    runs: tuple[tuple[float, ...], ...]
    seeds: tuple[str, ...]
    n_tasks: int
    comparable: bool
    shows_seeds: bool = False

    @property
    def values(self) -> tuple[float, ...]:
        """The number of each seed."""
        return tuple(run[0] for run in self.runs)

    @property
    def text(self) -> str:
        """As printed: ``0.812 [0.801, 0.823]``, with a star if it is not comparable."""
        found = self.estimate
        text = number_text(found.value)
        if found.low is not None and found.high is not None:
            text += f" [{number_text(found.low)}, {number_text(found.high)}]"
        if self.shows_seeds and self.n_tasks == 1:
            text += f" ({', '.join(self.seeds)})"
        return text + ("" if self.comparable else "*")


@dataclass(frozen=True)
class Report:
    """All numbers of the tasks of one kind.

    Attributes:
        kind: of the tasks.
        tasks: names, in the registry's order.
        columns: the numbers that there are, by name; the first is the headline.
        algorithms: names, the best first.
        about: what each algorithm is, in a line.
        cells: by metric, task and algorithm; without those that have no number.
        overall: over all tasks of an algorithm, by metric and algorithm.
        refused: by task and algorithm, why the algorithm does not do the task.
        commands: what gives these results.
        environments: versions of packages, with the algorithms that were run with them.
    """

    kind: type[BenchmarkTask]
    tasks: tuple[str, ...]
    columns: Mapping[str, Column]
    algorithms: tuple[str, ...]
    about: Mapping[str, str]
    cells: Mapping[tuple[str, str, str], Cell]
    overall: Mapping[tuple[str, str], Cell]
    refused: Mapping[tuple[str, str], str]
    commands: tuple[str, ...]
    environments: Mapping[str, tuple[str, ...]]

    @property
    def headline(self) -> str:
        """The name of the number that algorithms are ordered by."""
        return next(iter(self.columns))

    def tasks_of(self, metric: str) -> list[str]:
        """The tasks in which some algorithm has a metric."""
        return [
            task for task in self.tasks if any((metric, task, each) in self.cells for each in self.algorithms)
        ]

    def best_first(self, task: str) -> list[str]:
        """The algorithms that were run in a task, by their headline in it."""
        found = [name for name in self.algorithms if (self.headline, task, name) in self.cells]
        return sorted(found, key=lambda name: self.rank(self.cells[self.headline, task, name]))

    def rank(self, cell: Cell) -> float:
        """A number that is less where the headline is better."""
        more_is_better = self.columns[self.headline].more_is_better
        return -cell.estimate.value if more_is_better else cell.estimate.value

    @property
    def comparable(self) -> bool:
        """Whether all results are."""
        return all(cell.comparable for cell in self.cells.values())
