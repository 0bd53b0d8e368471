"""What an experiment is: how it is run and drawn, what was published, and whether ours agrees."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from karma_envs.meaning import Meaning
from karma_envs.plugins import defined_in
from training.common.tables import Row
from training.reproduction.numbers import mean_over_seeds

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
        meanings: of quantities that are an exploitability, which one it is.
    """

    name: str
    title: str
    source: str
    run: Callable[[str, int], Sequence[Row]]
    figures: Mapping[str, Callable[[Sequence[Row]], Figure]]
    published: tuple[Published, ...] = ()
    notes: str = ""
    meanings: Mapping[str, Meaning] = field(default_factory=dict)


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
    """All experiments by name: of each file of the folders here that defines an ``EXPERIMENT`` or several."""
    single = defined_in("training.reproduction", "EXPERIMENT").values()
    several = defined_in("training.reproduction", "EXPERIMENTS").values()
    return {each.name: each for each in (*single, *(each for group in several for each in group))}


def verdicts(experiment: Experiment, rows: Sequence[Row]) -> list[Verdict]:
    """Every published number beside ours."""
    return [Verdict(item, *mean_over_seeds(rows, item.case, item.quantity)) for item in experiment.published]
