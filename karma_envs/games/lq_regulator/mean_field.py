"""The regulator game for infinitely many agents: best responses to a mean, and the mean that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import refusal
from karma_envs.games.lq_regulator import closed_forms as lq
from karma_envs.games.lq_regulator.policy import LinearPolicy
from karma_envs.mean_field import Exploitability, MeanFieldModel

if TYPE_CHECKING:
    from karma_envs.games.lq_regulator.config import LqRegulatorConfig

_REACH, _POINTS = 4.0, 201  # of densities: standard deviations, and points

_SAME = 1e-9
"""Largest residual, over the size of the constants, of an equation that counts as solved."""


class LqRegulatorMeanField(MeanFieldModel):
    """What an agent faces among infinitely many, and what these make together; all of it exact.

    The statistic is the mean of the population: ``float64[d]`` without an end, else the flow
    ``float64[T, d]`` of means before each step. Policies are :class:`LinearPolicy`; controls have no bounds.

    Args:
        config: configuration of the game; n_agents and largest_action do not matter.
    """

    solver = "riccati"

    def __init__(self, config: LqRegulatorConfig) -> None:
        self.config = config
        self.discounts = np.array([config.discount])
        self._regulator, self._coupling, self._value = config.regulator, config.coupling, config.value
        self._start = lq.Rest(*config.start)

    @property
    def statistic_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """``mean_1`` … ``mean_d``, of a population at rest."""
        dimension = len(self.config.target) if self.config.length is None else 0
        return tuple(f"mean_{number}" for number in range(1, dimension + 1))

    @property
    def initial_statistic(self) -> NDArray[np.float64]:
        """Everybody stays where agents start on average."""
        mean = self._start.mean
        return mean.copy() if self.config.length is None else np.tile(mean, (self.config.length, 1))

    @property
    def obstacle(self) -> str:
        """Why the game has no equilibrium that is known; empty where it has one."""
        if self.equilibrium_statistic() is not None:
            return ""
        return (
            "the equation for the mean is singular, with target_coupling and dynamics_coupling as they are: "
            "it has no solution, or in a game that ends perhaps many"
        )

    def equilibrium_statistic(self) -> NDArray[np.float64] | None:
        """The mean, or its flow, of the equilibrium, to rounding; None where its equation is singular.

        There is one equilibrium where the equation is regular. Without an end a singular one may have a line
        of solutions or more: then it is that of least norm.
        """
        regulator, coupling = self._regulator, self._coupling
        if self.config.length is not None:
            return lq.equilibrium_flow(regulator, self._value, coupling, self._start.mean)
        matrix, constant = lq.rest_equation(regulator, self._value, coupling)
        if not lq.is_singular(matrix):
            return np.asarray(np.linalg.solve(matrix, constant))
        mean = np.linalg.lstsq(matrix, constant, rcond=lq.SINGULAR)[0]
        size = max(1.0, float(np.abs(constant).max()))
        return np.asarray(mean) if np.abs(matrix @ mean - constant).max() <= _SAME * size else None

    def best_response(self, statistic: NDArray[np.float64]) -> LinearPolicy:
        """The policy of the Riccati equation, where the population has the mean, or its flow."""
        regulator, value = self._regulator, self._value
        targets, drifts = self._faced(statistic)
        if self.config.length is None:
            offset = lq.stationary_offset(regulator, value, targets, drifts)
            return LinearPolicy(regulator.gain(value), offset)
        gains = [regulator.gain(later) for later in value[1:]]
        return LinearPolicy(gains, lq.offsets_to_the_end(regulator, value, targets, drifts))

    def policy_value(self, policy: Any, statistic: NDArray[np.float64]) -> NDArray[np.float64]:
        """``float64[1]``: the payoff of an agent among others who have a mean, or its flow.

        In a game that ends the agent starts as all do. Without an end it starts where it would be in the long
        run if it played the best response, so that policies are compared from the same start. Among others
        who come to no rest, whose mean is NaN, it is worth minus infinity.
        """
        if self.config.length is not None:
            return self._payoff(policy, statistic, self._start)
        if not np.isfinite(statistic).all():
            return np.array([-np.inf])
        best = self.best_response(statistic)
        rest = lq.at_rest(self._regulator, best.gain, best.offset, self._coupling.drifts(statistic))
        return self._payoff(policy, statistic, rest)

    def efficiency(self, policy: Any) -> NDArray[np.float64]:
        """``float64[1]``: mean reward per step of a population that plays a policy.

        In the long run, minus infinity where there is none; in a game that ends over its steps.
        """
        if not self._comes_to_rest(policy):
            return np.array([-np.inf])
        means, covariances = self._population(policy)
        if self.config.length is not None:
            return -np.array([self._costs_of_steps(policy, means).mean()])
        return (1 - self.discounts) * self._payoff(policy, means, lq.Rest(means, covariances))

    def statistic_of(self, policy: Any) -> NDArray[np.float64]:
        """The mean of a population that plays a policy: at rest, or its flow; NaN where it never rests."""
        if not self._comes_to_rest(policy):
            return np.full(len(self._start.mean), np.nan)
        return self._population(policy)[0]

    def exploitability(self, policy: Any) -> Exploitability:
        """What one agent gains by a best response, where all others play ``policy``, mean over all agents.

        Everything is infinite for a policy that brings no population to rest, in a game without an end.
        """
        if not self._comes_to_rest(policy):
            worst = np.array([-np.inf])
            return Exploitability(np.inf, np.inf, -worst, -np.inf, worst, np.inf, self.meaning)
        means, covariances = self._population(policy)
        start = lq.Rest(means, covariances) if self.config.length is None else self._start
        payoff = self._payoff(policy, means, start)
        gain = self._payoff(self.best_response(means), means, start) - payoff
        absolute, mean_payoff = max(float(gain[0]), 0.0), float(payoff[0])
        normalised = absolute / abs(mean_payoff) if mean_payoff else float(absolute > 0)
        return Exploitability(absolute, normalised, gain, mean_payoff, payoff, 0.0, self.meaning)

    def rest(self, policy: Any) -> lq.Rest:
        """Mean ``float64[d]`` and covariance ``float64[d, d]`` of a population at rest that plays a policy.

        Raises:
            ConfigError: in a game that ends, or for a policy that brings no population to rest.
        """
        if self.config.length is not None:
            raise refusal("length", self.config.length, "none: a population that ends is never at rest")
        if not self._comes_to_rest(policy):
            raise refusal("policy", policy, "one that brings a population to rest")
        return lq.Rest(*self._population(policy))

    def curves(self, policy: Any) -> dict[str, dict[str, NDArray[np.float64]]]:
        """Where agents are: of a population at rest densities, by coordinate; else means over time."""
        if not self._comes_to_rest(policy):
            return {}
        means, covariances = self._population(policy)
        numbers = range(1, len(self.config.target) + 1)
        if self.config.length is not None:
            steps: dict[str, NDArray[np.float64]] = {"step": np.arange(float(self.config.length))}
            columns = {f"mean_{number}": means[:, number - 1] for number in numbers}
            return {"positions": steps | columns}
        deviations = np.sqrt(np.diag(covariances))
        low, high = (means - _REACH * deviations).min(), (means + _REACH * deviations).max()
        position = np.linspace(low, high, _POINTS) if low < high else np.array([low])
        densities = {
            f"density_{number}": np.exp(-(((position - mean) / deviation) ** 2) / 2)
            / deviation
            / np.sqrt(2 * np.pi)
            for number, mean, deviation in zip(numbers, means, deviations)
            if deviation > 0
        }
        return {"positions": {"position": position, **densities}}

    def _comes_to_rest(self, policy: Any) -> bool:
        """Whether a population that plays a policy comes to rest, alone and together; or the game ends.

        Raises:
            ConfigError: for a policy of which that is not known.
        """
        chosen = _linear(policy)
        if self.config.length is not None:
            return True
        if chosen.by_step:
            raise refusal("policy", policy, "one that is the same in every step, in a game without an end")
        loop = self._regulator.closed_loop(chosen.gain)
        return max(lq.radius(loop), lq.radius(loop + self._coupling.on_dynamics)) < 1

    def _faced(self, statistic: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """tau and h, of the shape of a statistic."""
        return self._coupling.targets(statistic), self._coupling.drifts(statistic)

    def _payoff(self, policy: Any, statistic: NDArray[np.float64], start: lq.Rest) -> NDArray[np.float64]:
        """``float64[1]``: the payoff of an agent; without an end of one that starts so."""
        length = self.config.length
        if length is not None:
            costs = self._costs_of_steps(policy, statistic)
            return -np.array([self.config.discount ** np.arange(length) @ costs])
        chosen = _linear(policy)
        rule = (chosen.gain, chosen.offset, chosen.variance)
        return -np.array([lq.cost_without_end(self._regulator, rule, *self._faced(statistic), start)])

    def _costs_of_steps(self, policy: Any, statistic: NDArray[np.float64]) -> NDArray[np.float64]:
        """``float64[T]``: what an agent may expect to pay in each step of a game that ends."""
        regulator, (targets, drifts) = self._regulator, self._faced(statistic)
        rule = gains, offsets, variance = _linear(policy).over_steps(len(targets))
        loops = regulator.dynamics - regulator.control @ gains
        means = lq.means_over_time(loops, offsets @ regulator.control.T + drifts, self._start.mean)
        noise = lq.noise_of_a_step(regulator, variance)
        covariances = lq.covariances_over_time(loops, noise, self._start.covariance)
        return lq.costs_of_steps(regulator, rule, targets, means, covariances)

    def _population(self, policy: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and covariance of a population at rest; or of each step, ``[T, d]`` and ``[T, d, d]``."""
        regulator, chosen, length = self._regulator, _linear(policy), self.config.length
        # Everybody's drift is D times the mean, which moves the mean as if D were part of A.
        together = self._coupling.on_dynamics
        if length is not None:
            gains, offsets, variance = chosen.over_steps(length)
            loops = regulator.dynamics - regulator.control @ gains
            means = lq.means_over_time(loops + together, offsets @ regulator.control.T, self._start.mean)
            noise = lq.noise_of_a_step(regulator, variance)
            return means, lq.covariances_over_time(loops, noise, self._start.covariance)
        loop = regulator.closed_loop(chosen.gain)
        pushed = regulator.control @ chosen.offset
        mean = np.asarray(np.linalg.solve(np.eye(len(loop)) - loop - together, pushed))
        return mean, lq.at_rest(
            regulator, chosen.gain, chosen.offset, together @ mean, chosen.variance
        ).covariance


def _linear(policy: Any) -> LinearPolicy:
    """The policy, if it is linear.

    Raises:
        ConfigError: for another.
    """
    if not isinstance(policy, LinearPolicy):
        raise refusal("policy", policy, "a LinearPolicy, of which payoffs are known; others are to be played")
    return policy
