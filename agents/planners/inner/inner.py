"""What an inner problem is: a mechanism's parameters in, measures of what selfish agents make of it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from agents.planners.space import Point
from karma_envs.meaning import Meaning

Arrays = Mapping[str, NDArray[Any]]
"""Arrays by name, as they stand in a file."""


class NotConverged(RuntimeError):  # noqa: N818
    """An inner problem has come to no end that can be measured: the trial counts as failed."""


@dataclass(frozen=True)
class Evaluation:
    """What a point comes to.

    Attributes:
        values: measures by name, always the same names.
        standard_errors: of those that are estimates; exact ones may be left out or 0.
        warm: what helps to evaluate a point nearby, such as a policy, as arrays by name, which a study keeps
            in files; None for nothing.
        derivatives: of measures by continuous parameters, ``derivatives["efficiency"]["karma_mean"]``; None
            where they are not known.
        reach: by continuous parameter, between which values the derivatives say something: beyond, the branch
            of equilibria turns back and there is none nearby. A parameter that is left out has no such ends.
        notes: anything worth knowing of this evaluation.
    """

    values: Mapping[str, float]
    standard_errors: Mapping[str, float] = field(default_factory=dict)
    warm: Arrays | None = None
    derivatives: Mapping[str, Mapping[str, float]] | None = None
    reach: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    notes: str = ""


@runtime_checkable
class Inner(Protocol):
    """An inner problem: anything with these three members will do."""

    @property
    def meanings(self) -> Mapping[str, Meaning]:
        """Which exploitability it is, of each measure that is one; empty for none."""
        ...

    def evaluate(self, point: Point, *, seed: int, warm: Arrays | None) -> Evaluation:
        """What a point comes to; the same for the same arguments, and callable from several threads.

        Args:
            point: the parameters; an empty one is the problem as it is, before a planner meddles.
            seed: of all random draws, from 0 to 2**32 - 1.
            warm: what the evaluation of a point nearby left; None to begin anew.

        Raises:
            Exception: anything at all makes it one failed trial, :class:`NotConverged` for lack of an
                equilibrium.
        """
        ...

    def to_plain(self) -> dict[str, Any]:
        """What the problem is, as plain data (numbers, texts, lists, dicts), for a study's file.

        A study is gone on with only where this is the same.
        """
        ...


def mean_of(evaluations: list[Evaluation]) -> Evaluation:
    """One evaluation of several with seeds of their own: means, and standard errors between them.

    Derivatives are averaged, reaches intersected; what to begin with nearby is the first's.
    """
    first = evaluations[0]
    if len(evaluations) == 1:
        return first
    count = len(evaluations)
    table = {name: np.array([each.values[name] for each in evaluations]) for name in first.values}
    derivatives = None
    if all(each.derivatives is not None for each in evaluations):
        derivatives = {
            measure: {
                name: float(np.mean([(each.derivatives or {})[measure][name] for each in evaluations]))
                for name in slopes
            }
            for measure, slopes in (first.derivatives or {}).items()
        }
    reach = {
        name: (
            max(each.reach[name][0] for each in evaluations),
            min(each.reach[name][1] for each in evaluations),
        )
        for name in first.reach
        if all(name in each.reach for each in evaluations)
    }
    return Evaluation(
        values={name: float(values.mean()) for name, values in table.items()},
        standard_errors={name: float(values.std(ddof=1) / count**0.5) for name, values in table.items()},
        warm=first.warm,
        derivatives=derivatives,
        reach=reach,
        notes="; ".join(dict.fromkeys(each.notes for each in evaluations if each.notes)),
    )
