"""How good an outcome is: efficiency, fairness, inequality, and how sure of it we are.

Sources: Thesis, Definitions 2.6 (efficiency), 2.7 (ex-post access fairness) and 2.8 (ex-post reward
fairness). Fairness measures are at most 0, and 0 is perfectly fair.

Fairness depends on how many steps it is measured over: chance evens out, so that over more steps the same
agents look fairer. Compare values over equally many steps only.

Differences from the source: time averages are over the T steps observed, not their limit; the
standard deviation over agents is that of the population (divided by N).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Outcome:
    """Totals of a stretch of play, from which all metrics follow.

    Attributes:
        steps: T, the number of steps.
        rewards: ``float64[N]``, each agent's sum of rewards.
        accesses: ``int64[N]``, how often each agent got a resource.
        contests: ``int64[N]``, how often each agent competed for one.
        karma: ``int64[N]``, karma at the end of the stretch.
        losses_if_never: ``float64[N]``, what each agent would have had if it had always lost, in
            expectation (minus its mean urgency times its contests); the zero of Nash welfare.
        counted: ``int64[N]``, the steps that efficiency is a mean over: contests, or all steps where the
            game's source lets those who did not compete count.
    """

    steps: int
    rewards: NDArray[np.float64]
    accesses: NDArray[np.int64]
    contests: NDArray[np.int64]
    karma: NDArray[np.int64]
    losses_if_never: NDArray[np.float64]
    counted: NDArray[np.int64]

    @property
    def efficiency(self) -> float:
        """Mean reward per agent and step that counts (Definition 2.6); NaN if none does."""
        return efficiency(self.rewards, self.counted)

    def since(self, earlier: Outcome) -> Outcome:
        """The stretch from ``earlier`` (of the same game) to this one."""
        return Outcome(
            self.steps - earlier.steps,
            self.rewards - earlier.rewards,
            self.accesses - earlier.accesses,
            self.contests - earlier.contests,
            self.karma,
            self.losses_if_never - earlier.losses_if_never,
            self.counted - earlier.counted,
        )

    def of_agents(self, agents: NDArray[Any]) -> Outcome:
        """The same for some of the agents, by index or mask."""
        return Outcome(
            self.steps,
            self.rewards[agents],
            self.accesses[agents],
            self.contests[agents],
            self.karma[agents],
            self.losses_if_never[agents],
            self.counted[agents],
        )


def efficiency(rewards: ArrayLike, contests: ArrayLike | None = None) -> float:
    """Mean reward per competing agent and step (Definition 2.6); at most 0 in a karma game.

    Args:
        rewards: rewards ``[T, N]``, or their sums ``[N]`` together with ``contests``.
        contests: how often each agent competed, ``[N]`` or ``[T, N]``; None: always.

    Returns:
        the efficiency; NaN if nobody competed.
    """
    total = float(np.sum(rewards, dtype=np.float64))
    count = float(np.size(rewards) if contests is None else np.sum(contests))
    return total / count if count else float("nan")


def access_fairness(accesses: ArrayLike, steps: int | None = None) -> float:
    """Minus the standard deviation over agents of the access frequency (Definition 2.7).

    Args:
        accesses: who got a resource, ``[T, N]`` of 0 and 1; or the counts ``[N]`` with ``steps``.
        steps: T, where counts are given.
    """
    return _minus_std(accesses, steps)


def reward_fairness(rewards: ArrayLike, steps: int | None = None) -> float:
    """Minus the standard deviation over agents of the mean reward (Definition 2.8).

    Args:
        rewards: rewards ``[T, N]``; or their sums ``[N]`` with ``steps``.
        steps: T, where sums are given.
    """
    return _minus_std(rewards, steps)


def _minus_std(values: ArrayLike, steps: int | None) -> float:
    array = np.asarray(values, np.float64)
    means = array / steps if steps is not None else array.mean(axis=0)
    return -float(np.std(means))


def gini(values: ArrayLike) -> float:
    """Gini coefficient of non-negative values over agents: 0 equal, towards 1 all with one agent.

    Raises:
        ValueError: when a value is negative.
    """
    array = np.sort(np.asarray(values, np.float64).ravel())
    if array.size == 0 or array[0] < 0:
        raise ValueError("the Gini coefficient needs values, all of them >= 0")
    total = array.sum()
    if total == 0:
        return 0.0
    n = array.size
    return float((2 * np.arange(1, n + 1) - n - 1) @ array / (n * total))


def nash_welfare(gains: ArrayLike) -> float:
    """Geometric mean over agents of what each gains over getting nothing; 0 if somebody gains nothing.

    Args:
        gains: ``[N]``, gain per step of each agent.
    """
    array = np.asarray(gains, np.float64)
    if (array <= 0).any():
        return 0.0
    return float(np.exp(np.log(array).mean()))


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


@dataclass(frozen=True)
class Summary:
    """The metrics of a stretch of play. The fields are :class:`Estimate` in the order of a report."""

    efficiency: Estimate
    access_fairness: Estimate
    reward_fairness: Estimate
    access_gini: Estimate
    karma_gini: Estimate
    nash_welfare: Estimate

    def to_dict(self) -> dict[str, float]:
        """Flat: each metric, and each metric's standard error under ``<name>_se``."""
        flat: dict[str, float] = {}
        for name in self.__dataclass_fields__:
            estimate: Estimate = getattr(self, name)
            flat[name], flat[f"{name}_se"] = estimate.value, estimate.standard_error
        return flat


def total_outcome(stretches: Sequence[Outcome]) -> Outcome:
    """Consecutive stretches of one game as one."""
    last = stretches[-1]
    return Outcome(
        sum(stretch.steps for stretch in stretches),
        np.sum([stretch.rewards for stretch in stretches], axis=0),
        np.sum([stretch.accesses for stretch in stretches], axis=0),
        np.sum([stretch.contests for stretch in stretches], axis=0),
        last.karma,
        np.sum([stretch.losses_if_never for stretch in stretches], axis=0),
        np.sum([stretch.counted for stretch in stretches], axis=0),
    )


def summarise(stretches: Sequence[Outcome]) -> Summary:
    """The metrics of consecutive stretches of one game, taken together.

    Standard errors: of efficiency and Nash welfare by batch means over the stretches (NaN for one
    stretch), so stretches should be longer than the game's memory; of the fairness measures from the
    fourth moment over agents, and of Gini coefficients by the jackknife over agents, both of which
    treat agents as independent given their policies (NaN for one agent).

    Args:
        stretches: at least one.
    """
    whole = total_outcome(stretches)
    access_rate = whole.accesses / whole.steps
    reward_rate = whole.rewards / whole.steps

    def welfare(outcome: Outcome) -> float:
        return nash_welfare((outcome.rewards - outcome.losses_if_never) / outcome.steps)

    def batched(metric: Any, value: float) -> Estimate:
        parts = np.array([metric(stretch) for stretch in stretches])
        error = float(parts.std(ddof=1) / np.sqrt(len(parts))) if len(parts) > 1 else float("nan")
        return Estimate(value, error)

    return Summary(
        efficiency=batched(lambda outcome: outcome.efficiency, whole.efficiency),
        access_fairness=Estimate(-float(np.std(access_rate)), _std_error_of_std(access_rate)),
        reward_fairness=Estimate(-float(np.std(reward_rate)), _std_error_of_std(reward_rate)),
        access_gini=_jackknife(gini, access_rate),
        karma_gini=_jackknife(gini, whole.karma.astype(np.float64)),
        nash_welfare=batched(welfare, welfare(whole)),
    )


def _std_error_of_std(values: NDArray[np.float64]) -> float:
    """Standard error of a standard deviation over agents, from the fourth moment; NaN for one agent."""
    if len(values) == 1:
        return float("nan")
    deviations = values - values.mean()
    variance = float(np.mean(deviations**2))
    if variance == 0:
        return 0.0
    spread = max(float(np.mean(deviations**4)) - variance**2, 0.0)
    return float(np.sqrt(spread / len(values)) / (2 * np.sqrt(variance)))


def _jackknife(metric: Any, values: NDArray[np.float64], most: int = 200) -> Estimate:
    """The metric and its delete-a-group jackknife standard error, with at most ``most`` groups."""
    if len(values) == 1:  # nobody would be left
        return Estimate(float(metric(values)), float("nan"))
    n_groups = min(len(values), most)
    group = np.arange(len(values)) % n_groups
    parts = np.array([metric(values[group != index]) for index in range(n_groups)])
    error = np.sqrt((n_groups - 1) / n_groups * np.sum((parts - parts.mean()) ** 2))
    return Estimate(float(metric(values)), float(error))


def karma_balance(before: ArrayLike, after: ArrayLike) -> int:
    """Karma gained by the whole population (surplus included if it is in both); 0 by the rules."""
    return int(np.sum(after, dtype=np.int64) - np.sum(before, dtype=np.int64))
