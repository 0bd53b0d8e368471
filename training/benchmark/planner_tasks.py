"""The tasks of planners. Adding one is adding an entry to :data:`PLANNER_TASKS`.

A method of :func:`agents.design` chooses a mechanism's parameters, evaluation by evaluation, and is scored
by how many evaluations it takes until the mechanism that it recommends, the best that it has seen, is as
good as a target. Targets are no method's own: they are the best of a fine grid, what a share of one comes
to, or a share of what is there without a planner; ``karma-envs reproduce planner-targets`` computes them
anew. All methods are offered derivatives where the inner problem has them: an evaluation counts as one with
them or without.

A run that does not reach the target tells that it takes more than its evaluations, and is counted so: the
expected running time is that of starting anew until the target is reached, see
:func:`training.benchmark.statistics.expected_running_time`. Where evaluations are noisy, the best seen may
only have been lucky: there what is recommended is evaluated anew, by many seeds, always the same ones and
none of the method's, and that mean is what has to reach the target.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.learners.tabular import TabularConfig
from agents.planners import Choice, Continuous, Design, Inner, MaxMin, Objective, Space, design
from agents.planners.inner.crowd import CrowdInner
from agents.planners.inner.equilibrium import EquilibriumInner
from agents.planners.inner.learning import LearningInner
from agents.planners.objectives import as_objective, objective_to_plain
from agents.planners.space import Point
from agents.planners.study import methods
from agents.planners.trial import Trial
from karma_envs.config import choice
from karma_envs.games.matching import MatchingGame
from karma_envs.games.matching.config import PRESETS
from training.benchmark.columns import Column
from training.benchmark.statistics import expected_running_time, mean_of_first
from training.benchmark.task import BenchmarkTask, Contender, first_line, own_function
from training.common.tables import Row

_ARGUMENTS = ("study", "trials")
_ANEW = 77  # of the seeds by which what is recommended is evaluated anew


class BuiltInMethod(Contender):
    """A method of :mod:`agents.planners.methods`."""

    @property
    def description(self) -> str:
        """The first line of the docstring of its file, which says what it is."""
        return first_line(sys.modules[self.function.__module__])


@dataclass(frozen=True)
class PlannerTask(BenchmarkTask):
    """What planners are compared in.

    Attributes:
        name: as on the command line.
        title: what it is, in a line.
        budget: the most evaluations of the inner problem.
        space: what may be chosen.
        inner: makes the inner problem.
        goal: the objective, or the name of its measure, ``"-name"`` for one to be minimised.
        target: the value that it is to reach.
        target_title: where the target comes from, in words.
        anew: by how many seeds what is recommended is evaluated anew; 0 where evaluations are exact.
    """

    space: Space
    inner: Callable[[], Inner]
    goal: str | Objective
    target: float
    target_title: str
    anew: int = 0

    heading = "Planners that choose a mechanism"
    contender = "method"
    arguments = _ARGUMENTS
    unit = "evaluations"
    spent = "evaluations"

    @classmethod
    def contenders(cls) -> Mapping[str, Contender]:
        """The methods but for no intervention, which searches nothing."""
        return {name: BuiltInMethod(name, each) for name, each in methods().items() if name != "none"}

    @classmethod
    def find(cls, name: str) -> Contender:
        """A built-in method, or one of the user's by ``module:METHOD``."""
        if ":" in name:
            return Contender(name, own_function(name, "method", _ARGUMENTS))
        built_in = cls.contenders()
        return built_in[choice("algo", name, (*built_in, "module:METHOD"))]

    @classmethod
    def columns(cls, tasks: Iterable[PlannerTask]) -> dict[str, Column]:
        """Evaluations to the target, how many reached it, what was missed, and what it took."""
        return _COLUMNS

    @property
    def objective(self) -> Objective:
        """What is sought."""
        return as_objective(self.goal)

    def definition(self) -> dict[str, Any]:
        """What numbers depend on, as plain data."""
        definition = {
            "space": self.space.to_plain(),
            "inner": self.inner().to_plain(),
            "objective": objective_to_plain(self.objective),
            "target": self.target,
            "anew": self.anew,
            "budget": self.budget,
        }
        plain: dict[str, Any] = json.loads(json.dumps(definition))
        return plain

    @property
    def numbers_text(self) -> str:
        """The budget and the target, and how it is told whether it was reached."""
        least = "at least" if self.objective.maximise else "at most"
        text = f"at most {self.budget} evaluations to {self.objective.name} of {least} {self.target:.6g}, "
        text += self.target_title
        return text + (f"; what is recommended is evaluated anew by {self.anew} seeds" if self.anew else "")

    def run(self, contender: Contender, seed: int, budget: int, reference: Row) -> Row:
        """Search, and tell how many evaluations that took."""
        inner, started = self.inner(), time.perf_counter()
        result = design(self.space, inner, self.objective, budget=budget, method=contender.name, seed=seed)
        seconds = time.perf_counter() - started
        short = self.shortfall(self._recommended(result, inner))
        reached = np.flatnonzero(short <= 0)
        return {
            "evaluations": int(reached[0]) + 1 if len(reached) else len(result.trials),
            "reached": int(len(reached) > 0),
            "shortfall": max(float(short[-1]), 0.0),
            "seconds": seconds,
        }

    def shortfall(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """By how much values of the objective are worse than the target; at most 0 where they reach it."""
        return self.target - values if self.objective.maximise else values - self.target

    def value_of(self, point: Point, inner: Inner) -> float:
        """The value of the objective at a point: exact, or the mean over the seeds of evaluating anew."""
        seeds = np.random.SeedSequence(_ANEW).generate_state(max(self.anew, 1)).tolist()
        evaluations = [inner.evaluate(dict(point), seed=seed, warm=None) for seed in seeds]
        return float(np.mean([self.objective.value(each.values) for each in evaluations]))

    def _recommended(self, result: Design, inner: Inner) -> NDArray[np.float64]:
        """The value of what is recommended after each evaluation, ``float64[n]``; NaN before there is any."""
        if not self.anew:
            return result.best_after()

        @cache
        def value_of(number: int) -> float:
            return self.value_of(result.trials[number].point, inner)

        best: Trial | None = None
        values = np.full(len(result.trials), np.nan)
        for number, trial in enumerate(result.trials):
            if trial.complete and (best is None or self._gain(trial) > self._gain(best)):
                best = trial
            if best is not None:
                values[number] = value_of(best.number)
        return values

    def _gain(self, trial: Trial) -> float:
        return self.objective.gain(trial.values)


def _evaluations(run: Sequence[float]) -> str:
    """How many evaluations a run took to the target, such as ``12``, or ``>40`` if it did not reach it."""
    evaluations, reached = run
    return f"{'' if reached else '>'}{evaluations:g}"


_COLUMNS = {
    "evaluations": Column(
        "expected running time",
        "evaluations until the target is reached, of a method that is started anew until it is (ERT of COCO: "
        "the evaluations of all seeds over how many reached it); ∞ where none did; in parentheses each "
        "seed's, >n where it was not reached in n",
        more_is_better=False,
        also=("reached",),
        statistic=expected_running_time,
        seed_text=_evaluations,
        shows_seeds=True,
        drawing="profiles",
    ),
    "reached": Column("reached", "the share of seeds that reached the target", statistic=mean_of_first),
    "shortfall": Column(
        "shortfall",
        "by how much what is recommended in the end is worse than the target",
        more_is_better=False,
        across_tasks=False,
    ),
    "seconds": Column("seconds", "of all evaluations, compilation and other load included", False),
}

_THESIS = 5.0
"""The rationality of the thesis, at which the logit equilibrium moves smoothly with all parameters."""

_RATE, _MEAN = Continuous("tax.rate", 0, 0.2), Continuous("karma_mean", 1, 18)
_PAYMENT = Choice("payment", ("pbp", "pbs"))
_TINY: Mapping[str, Any] = {"n_agents": 10, "karma_max": 6, "karma_mean": 3, "discount": 0.9}
_CROWD: Mapping[str, Any] = {"n_agents": 2000, "region": ((-2, 2), (-2, 2)), "grid_cells": 50, "length": 1}


def _logit(**fields: Any) -> EquilibriumInner:
    """The logit equilibrium of a matching game, with derivatives."""
    return EquilibriumInner(MatchingGame(**fields), rationality=_THESIS, derivatives=True, warm=True)


def _nash() -> EquilibriumInner:
    """The Nash equilibrium that the homotopy comes to, which may jump where parameters move by little."""
    return EquilibriumInner(MatchingGame(**_TINY), derivatives=True)


def _crowd() -> CrowdInner:
    """The crowd of the first figure of its source, in the limit of many."""
    return CrowdInner(game=_CROWD, targets=((0.8, 0.0, 0.1),), plays=0)


def _learners() -> LearningInner:
    """Ten agents who learn for 20,000 steps."""
    return LearningInner(
        MatchingGame(**_TINY),
        TabularConfig(grouping="pooled"),
        n_epochs=40,
        epoch_length=500,
        n_steps=4000,
        burn_in=200,
    )


PLANNER_TASKS: tuple[PlannerTask, ...] = (
    PlannerTask(
        "planner-matching",
        "matching, a tax and the amount of karma, for efficiency at a logit equilibrium",
        40,
        Space([_RATE, _MEAN]),
        _logit,
        "efficiency",
        -1.08118,
        "the best of a grid of 20 x 20",
    ),
    PlannerTask(
        "planner-rules",
        "the same, and to whom bids are paid",
        40,
        Space([_PAYMENT, _RATE, _MEAN]),
        _logit,
        "efficiency",
        -1.04719,
        "the best of a grid of 2 x 16 x 16",
    ),
    PlannerTask(
        "planner-two-discounts",
        "the same where half of the agents are less patient, for the type that is worse off",
        40,
        Space([_PAYMENT, _RATE, Continuous("karma_mean", 1, 12)]),
        partial(_logit, **PRESETS["two-discounts"]),
        MaxMin(("efficiency_type_0", "efficiency_type_1")),
        -1.15037,
        "the best of a grid of 2 x 14 x 14",
    ),
    PlannerTask(
        "planner-nash",
        "a small matching game, a tax and the amount of karma, for efficiency at a Nash equilibrium",
        40,
        Space([_RATE, Continuous("karma_mean", 0.5, 5.5)]),
        _nash,
        "efficiency",
        -1.11536,
        "which 1 % of a grid of 20 x 20 come to",
    ),
    PlannerTask(
        "planner-crowd",
        "incentives that move a crowd to where it is wanted, exact, of infinitely many agents",
        40,
        Space([Continuous("x", -0.4, 0.4), Continuous("x^2", -0.4, 0), Continuous("y^2", -0.4, 0)]),
        _crowd,
        "-log_kl",
        -1.80714,
        "5 % of the divergence without incentives",
    ),
    PlannerTask(
        "planner-learning",
        "a small matching game, a tax and the amount of karma, for what ten learners come to",
        40,
        Space([Continuous("tax.rate", 0, 0.5), Continuous("karma_mean", 0.5, 5.5)]),
        _learners,
        "efficiency",
        -1.0622,
        "which 5 % of a grid of 8 x 8 come to",
        anew=64,
    ),
)
"""The tasks of planners."""
