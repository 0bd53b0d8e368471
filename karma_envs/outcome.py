"""What a stretch of play came to, and what is measured of it: outcomes, metrics, and how sure of them we are.

A game tells its totals as an :class:`Outcome`, of which each field says how it adds up, and lists its
:class:`Metric` s. Whatever shows or writes results asks these two and knows no metric by name:

>>> import numpy as np
>>> first = Outcome(steps=2, rewards=np.array([-4.0, 0.0]), counted=np.array([2, 2]))
>>> second = Outcome(steps=2, rewards=np.array([-2.0, -2.0]), counted=np.array([2, 2]))
>>> print(summarise([first, second], [EFFICIENCY, REWARD_FAIRNESS])["efficiency"])
-1.0000 ± 0.0000
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from karma_envs.metrics import efficiency, reward_fairness

TOTAL, NOW = "total", "now"
_MOST_GROUPS = 200
"""Of agents, that a jackknife leaves out one after the other."""


def total() -> Any:
    """A field of an :class:`Outcome` that sums up over a stretch of play."""
    return field(metadata={"kind": TOTAL})


def now(*, conserved: bool = False) -> Any:
    """A field of an :class:`Outcome` that tells how it stands at the end of a stretch of play.

    Args:
        conserved: whether it is a share of something that no step makes or destroys, of which the game's
            ``conserved`` must tell the total.
    """
    return field(metadata={"kind": NOW, "conserved": conserved})


@dataclass(frozen=True)
class Outcome:
    """What a stretch of play came to, from which all metrics follow.

    A game with more to tell extends it by fields of its own, each :func:`total` or :func:`now`: numbers are
    of the whole game, arrays ``[N, ...]`` of its agents.

    Attributes:
        steps: T, the number of steps.
        rewards: ``float64[N]``, each agent's sum of rewards.
        counted: ``int64[N]``, the steps that efficiency is a mean over: all, or those that count by the
            game's source.
    """

    steps: int = total()
    rewards: NDArray[np.float64] = total()
    counted: NDArray[np.int64] = total()

    @property
    def efficiency(self) -> float:
        """Mean reward per agent and step that counts (Thesis, Definition 2.6); NaN if none does."""
        return efficiency(self.rewards, self.counted)

    def since(self, earlier: Self) -> Self:
        """The stretch from ``earlier`` (of the same game) to this one."""
        gained = {name: getattr(self, name) - getattr(earlier, name) for name in self.names_of(TOTAL)}
        return replace(self, **gained)

    def of_agents(self, agents: NDArray[Any]) -> Self:
        """The same for some of the agents, by index or mask."""
        by_agent = {name: value[agents] for name, value in vars(self).items() if np.ndim(value)}
        return replace(self, **by_agent)

    def complaint(self) -> str | None:
        """What cannot be in these totals, for the checks of games; None where nothing is wrong."""
        counted = self.counted
        return None if ((counted >= 0) & (counted <= self.steps)).all() else "counted leaves 0 … steps"

    @classmethod
    def names_of(cls, kind: str) -> tuple[str, ...]:
        """The fields of a kind, TOTAL or NOW."""
        return tuple(item.name for item in fields(cls) if item.metadata["kind"] == kind)


AnyOutcome = TypeVar("AnyOutcome", bound=Outcome)


def total_outcome(stretches: Sequence[AnyOutcome]) -> AnyOutcome:
    """Consecutive stretches of one game as one.

    Args:
        stretches: at least one.
    """
    last = stretches[-1]
    sums = {
        name: np.sum([getattr(stretch, name) for stretch in stretches], axis=0)
        for name in last.names_of(TOTAL)
    }
    return replace(last, **{name: value if np.ndim(value) else value.item() for name, value in sums.items()})


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error (NaN where it cannot be told)."""

    value: float
    standard_error: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ± {self.standard_error:.4f}"

    def concise(self) -> str:
        """As printed in tables: ``-1.3193(13)`` is -1.3193 with standard error 0.0013."""
        if not np.isfinite(self.standard_error):
            return f"{self.value:.4f}"
        return f"{self.value:.4f}({round(self.standard_error * 1e4)})"


Value = Callable[[Any], float]
"""What a metric is of an :class:`Outcome`."""

ErrorRule = Callable[[Value, Any, Sequence[Any]], float]
"""The standard error of a metric: called with its :data:`Value`, with the outcome of a whole stretch of play,
and with those of the consecutive stretches that it is made of."""


def batch_means(value: Value, whole: Outcome, stretches: Sequence[Outcome]) -> float:
    """Standard error by batch means over the stretches, which should be longer than the game's memory.

    Returns:
        NaN for a single stretch.
    """
    if len(stretches) == 1:
        return float("nan")
    parts = np.array([value(stretch) for stretch in stretches])
    return float(parts.std(ddof=1) / np.sqrt(len(parts)))


def jackknife(value: Value, whole: Outcome, stretches: Sequence[Outcome]) -> float:
    """Standard error by leaving out agents, in at most 200 groups, independent given their policies.

    Returns:
        NaN for a single agent, without whom nobody is left.
    """
    n_agents = len(whole.rewards)
    if n_agents == 1:
        return float("nan")
    n_groups = min(n_agents, _MOST_GROUPS)
    group = np.arange(n_agents) % n_groups
    parts = np.array([value(whole.of_agents(group != index)) for index in range(n_groups)])
    return float(np.sqrt((n_groups - 1) / n_groups * np.sum((parts - parts.mean()) ** 2)))


def error_of_spread(by_agent: Callable[[Any], NDArray[np.float64]]) -> ErrorRule:
    """Standard error of a standard deviation over agents, from the fourth moment; agents as in jackknife.

    Args:
        by_agent: the numbers ``float64[N]`` that the deviation is of, from an outcome.

    Returns:
        the rule, which gives NaN for a single agent.
    """

    def rule(value: Value, whole: Outcome, stretches: Sequence[Outcome]) -> float:
        values = by_agent(whole)
        if len(values) == 1:
            return float("nan")
        deviations = values - values.mean()
        variance = float(np.mean(deviations**2))
        if variance == 0:
            return 0.0
        # Var(s^2) is (mu_4 - mu_2^2)/N, and by the delta method that of s is that over (2 s)^2
        excess = max(float(np.mean(deviations**4)) - variance**2, 0.0)
        return float(np.sqrt(excess / len(values)) / (2 * np.sqrt(variance)))

    return rule


@dataclass(frozen=True)
class Metric:
    """Something that is measured of play.

    Attributes:
        name: in files, such as ``reward_fairness``; its standard error is ``reward_fairness_se`` there.
        title: in tables and figures, such as "reward fairness".
        meaning: what it is, for somebody who reads a report.
        value: the number, of an outcome.
        error: its standard error; by batch means unless told otherwise.
        more_is_better: whether a larger value is better.
        headline: whether tables and figures show it; files hold all metrics.
    """

    name: str
    title: str
    value: Value
    meaning: str = ""
    error: ErrorRule = batch_means
    more_is_better: bool = True
    headline: bool = True


def _mean_rewards(outcome: Outcome) -> NDArray[np.float64]:
    return outcome.rewards / outcome.steps


EFFICIENCY = Metric(
    "efficiency",
    "efficiency",
    lambda outcome: outcome.efficiency,
    "mean reward of an agent in a step that counts",
)
"""Thesis, Definition 2.6."""

REWARD_FAIRNESS = Metric(
    "reward_fairness",
    "reward fairness",
    lambda outcome: reward_fairness(outcome.rewards, outcome.steps),
    "minus the standard deviation, over agents, of mean rewards",
    error_of_spread(_mean_rewards),
)
"""Thesis, Definition 2.8. It depends on how many steps it is measured over, see :mod:`karma_envs.metrics`."""


def summarise(stretches: Sequence[Outcome], metrics: Iterable[Metric]) -> dict[str, Estimate]:
    """The metrics of consecutive stretches of one game, taken together.

    Args:
        stretches: at least one.
        metrics: what to measure, as a game's ``metrics``.

    Returns:
        the estimates by name, in the order of ``metrics``.
    """
    whole = total_outcome(stretches)
    return {
        metric.name: Estimate(float(metric.value(whole)), metric.error(metric.value, whole, stretches))
        for metric in metrics
    }


def headlines(metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """The metrics that tables and figures show."""
    return tuple(metric for metric in metrics if metric.headline)


def as_columns(summary: Mapping[str, Estimate]) -> dict[str, float]:
    """Estimates as a row of a table: each value, and its standard error under ``<name>_se``."""
    return {
        column: number
        for name, estimate in summary.items()
        for column, number in ((name, estimate.value), (f"{name}_se", estimate.standard_error))
    }
