"""A study: what is sought, and by which method; what a method is told, and what it proposes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from agents.planners.objectives import Limit, Objective, objective_from_plain, objective_to_plain
from agents.planners.space import Point, Space
from agents.planners.trial import Trial
from karma_envs.config import choice, refusal
from karma_envs.plugins import defined_in, import_named

_OWN = "module:METHOD, a function of a study and its trials"


@dataclass(frozen=True)
class Study:
    """What is sought, and how.

    Attributes:
        space: what may be chosen.
        objectives: one, or several for a front.
        limits: what measures must come to.
        method: its name, see :func:`find_method`.
        start: points that are tried first.
        seeds: evaluations of each point, with seeds of their own.
        workers: points that are chosen, and tried, together.
        seed: of all random draws.
    """

    space: Space
    objectives: tuple[Objective, ...]
    limits: tuple[Limit, ...]
    method: str
    start: tuple[Point, ...]
    seeds: int
    workers: int
    seed: int

    def gains(self, trial: Trial) -> list[float]:
        """What is maximised, of a complete trial."""
        return [each.gain(trial.values) for each in self.objectives]

    def excesses(self, trial: Trial) -> list[float]:
        """By how much a complete trial is beyond the limits; at most 0 where it is not."""
        return [each.excess(trial.values) for each in self.limits]

    def is_acceptable(self, trial: Trial) -> bool:
        """Whether a trial is complete and within the limits."""
        return trial.complete and all(excess <= 0 for excess in self.excesses(trial))

    def seed_of(self, *numbers: int) -> int:
        """A seed that depends on nothing but the study's and some numbers."""
        return int(np.random.SeedSequence([self.seed, *numbers]).generate_state(1)[0])

    def to_plain(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "space": self.space.to_plain(),
            "objectives": [objective_to_plain(each) for each in self.objectives],
            "limits": [each.to_dict() for each in self.limits],
            "method": self.method,
            "start": [dict(point) for point in self.start],
            "seeds": self.seeds,
            "workers": self.workers,
            "seed": self.seed,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Study:
        """The study of plain data; constraints of its space, which are functions, are lost."""
        return cls(
            space=Space.from_plain(plain["space"]),
            objectives=tuple(objective_from_plain(each) for each in plain["objectives"]),
            limits=tuple(Limit.from_dict(each) for each in plain["limits"]),
            method=_checked_name(plain["method"]),
            start=tuple(dict(point) for point in plain["start"]),
            seeds=int(plain["seeds"]),
            workers=int(plain["workers"]),
            seed=int(plain["seed"]),
        )


@dataclass(frozen=True)
class Proposal:
    """A point to be tried next.

    Attributes:
        point: the parameters; empty for the problem as it is.
        warm_from: number of the trial whose end the evaluation begins with; None to begin anew.
    """

    point: Point
    warm_from: int | None = None


Method = Callable[[Study, Sequence[Trial]], list[Proposal]]
"""What a method is: from all trials of the batches so far, in order, the points of the next one.

It keeps nothing from one batch to the next, so that a study that was killed goes on as if it had not been;
its random numbers are those of ``study.seed_of``. No proposal ends the study.
"""


@cache
def methods() -> dict[str, Method]:
    """The methods by name: each file in the folder ``methods`` that defines a ``METHOD``."""
    defined = defined_in("agents.planners.methods", "METHOD")
    return {module.rpartition(".")[2]: method for module, method in defined.items()}


def find_method(name: str) -> Method:
    """A method by its name in :func:`methods`, or the user's own by ``module:METHOD``.

    Modules of the working directory are found too.

    Raises:
        ConfigError: when there is none of that name, or it is no function.
    """
    if ":" not in _checked_name(name):
        return methods()[name]
    method: Method = import_named("method", name, _OWN)
    if not callable(method):
        raise refusal("method", name, _OWN)
    return method


def _checked_name(name: Any) -> str:
    """The name of a method; that of the user's own is not imported, as a file may have been a stranger's."""
    own = isinstance(name, str) and ":" in name
    return str(name) if own else choice("method", name, (*methods(), "module:METHOD"))


def near(study: Study, told: Sequence[Trial], point: Point) -> Proposal:
    """The proposal of a point, to begin with what the nearest trial ended with.

    Nearest among the complete ones that agree in all parameters that are not continuous.
    """
    whole = [each.name for each in study.space.parameters if not each.continuous]

    def is_alike(trial: Trial) -> bool:
        return bool(trial.complete and trial.point) and all(trial.point[n] == point[n] for n in whole)

    alike = [trial for trial in told if is_alike(trial)]
    if not alike:
        return Proposal(point)
    return Proposal(point, min(alike, key=lambda trial: study.space.distance(trial.point, point)).number)
