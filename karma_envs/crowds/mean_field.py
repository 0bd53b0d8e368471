"""A crowd in the plane for infinitely many agents: best moves among a density, and the density they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import refusal
from karma_envs.crowds.grid_programme import best_targets
from karma_envs.crowds.policy import DispersalPolicy, PlanPolicy, TargetPolicy
from karma_envs.crowds.water_filling import water_filling
from karma_envs.incentives.power_series import Incentive, incentives_of
from karma_envs.mean_field import MeanFieldModel
from karma_envs.numerics.density import DensityEstimator

if TYPE_CHECKING:
    from karma_envs.crowds.game import CrowdGame
    from karma_envs.exchangeable import ExchangeableGame
    from karma_envs.game import Policy

_DRAWN = 20_000
"""Agents drawn, at least, of a policy that is known by what it does only."""

Values = NDArray[np.float64]


class CrowdMeanField(MeanFieldModel):
    """What an agent of a crowd faces among infinitely many, and what these make together.

    The statistic is the density of the places reached, on the game's grid: ``float64[k]``, or where there is
    more than one step the flow of densities, ``float64[T, k]``. Payoffs are means over steps, weighted by
    gamma^t, so that they are in units of a step's reward.

    Of a :class:`DispersalPolicy` where moves are free and undisturbed everything is a sum over the grid,
    exact but for the grid. Others are played by 20,000 agents, always with the same random numbers, whose
    density the game's estimator tells.

    Args:
        game: the game, which is not played.
        incentive: what agents get besides, a function of where they arrive and, of several steps, of the
            share of them before (:meth:`CrowdGame.features_of`); None for nothing.

    Attributes:
        incentives: Theta at the cells, ``float64[T, k]``; None without.
    """

    def __init__(self, game: CrowdGame, incentive: Incentive | None = None) -> None:
        self.game, self.config, self.grid = game, game.config, game.grid
        self.incentive, self.incentives = incentive, None
        if incentive is not None:
            self.incentives = self._at_cells(incentive)
        self.discounts = np.zeros(1)
        self.desirabilities = game.desirabilities()
        weights = self.config.discount ** np.arange(self.config.length)
        self._weights = weights / weights.sum()

    @property
    def solver(self) -> str:  # type: ignore[override]
        """Water-filling where moves are free, else averaged beliefs."""
        return "water_filling" if self.moves_are_free else "averaged_beliefs"

    @property
    def moves_are_free(self) -> bool:
        """Whether agents may be wherever they like in every step: moves cost nothing and are undisturbed.

        That there is a largest move is left out of account: it is to be out of the way.
        """
        return self.config.movement_cost == 0 and self.config.noise == 0

    @property
    def initial_statistic(self) -> Values:
        """The density of agents who stay where they start, in each step."""
        return self.statistic_of(_Staying())

    def _at_cells(self, incentive: Incentive) -> Values:
        places = self.grid.places
        steps = range(self.config.length)
        features = [self.game.features_of(places, np.full(len(places), t)) for t in steps]
        return np.stack([incentives_of(incentive, each) for each in features])

    def incentivised(self, incentive: Incentive) -> CrowdMeanField:
        """The model of agents who get an incentive besides their rewards."""
        return CrowdMeanField(self.game, incentive)

    def rewards(self, statistic: Values) -> Values:
        """``float64[T, k]``: g_t / (1 + m_t)^alpha at the cells, and the incentives there."""
        crowd = np.reshape(statistic, self.desirabilities.shape)
        rewards = np.asarray(self.desirabilities / (1 + crowd) ** self.config.crowd_aversion)
        return rewards if self.incentives is None else rewards + self.incentives

    def best_response(self, statistic: Values) -> TargetPolicy | DispersalPolicy:
        """The best moves, by dynamic programming on the grid; where moves are free, to the best cells."""
        config, rewards = self.config, self.rewards(statistic)
        if self.moves_are_free:
            best_cells = np.zeros(rewards.shape)
            np.put_along_axis(best_cells, rewards.argmax(axis=1, keepdims=True), 1.0, axis=1)
            return DispersalPolicy(best_cells, self.grid, config.move_scale)
        targets, _ = best_targets(
            rewards,
            self.grid,
            movement_cost=config.movement_cost / config.move_scale**2,
            discount=config.discount,
            noise=config.noise,
            largest_move=config.largest_move * config.move_scale,
        )
        return TargetPolicy(targets, self.grid, config.move_scale)

    def water_filling(self) -> DispersalPolicy:
        """The equilibrium where moves are free: in each step the population fills the field like water.

        Raises:
            ConfigError: where moves cost something, or are disturbed.
        """
        for field in ("movement_cost", "noise"):
            if getattr(self.config, field):
                raise refusal(field, getattr(self.config, field), "0, for water-filling")
        area, alpha = self.grid.cell_area, self.config.crowd_aversion
        incentives = [None] * self.config.length if self.incentives is None else self.incentives
        densities = [
            water_filling(field, area, alpha, incentive)[0]
            for field, incentive in zip(self.desirabilities, incentives, strict=True)
        ]
        return DispersalPolicy(densities, self.grid, self.config.move_scale)

    def policy_value(self, policy: Policy, statistic: Values) -> Values:
        """``float64[1]``: mean reward of a step of one who plays a policy among a density."""
        return np.array([self._weights @ self._rewards_of_steps(policy, statistic)])

    def efficiency(self, policy: Policy) -> Values:
        """``float64[1]``: mean reward of a step, all steps alike, in a population that plays a policy."""
        return np.array([self._rewards_of_steps(policy, self.statistic_of(policy)).mean()])

    def statistic_of(self, policy: Policy) -> Values:
        """The density of the places that a population reaches which plays a policy."""
        density = self._dispersed(policy)
        if density is None:
            estimate = DensityEstimator(self.grid, self.config.bandwidth)
            places, _ = self._played(policy, np.zeros(self.desirabilities.shape))
            density = np.stack([estimate(reached) for reached in places])
        return density[0] if self.config.length == 1 else density

    def curves(self, policy: Policy) -> Mapping[str, Mapping[str, NDArray[Any]]]:
        """How the population is spread, and what it gets.

        Returns:
            ``density``: how much of the population is at x in the last step, by unit of x. Where there are
            several steps also ``rewards``: the mean reward of each, and ``places``: where agents then are on
            average.
        """
        flow = np.reshape(self.statistic_of(policy), self.desirabilities.shape)
        share = flow[-1].reshape(self.grid.shape).sum(axis=1) * self.grid.spacing[1]
        curves: dict[str, dict[str, NDArray[Any]]] = {
            "density": {"x": self.grid.axes[0], "share_per_x": share}
        }
        if self.config.length > 1:
            steps = np.arange(self.config.length)
            mean_x, mean_y = (flow @ self.grid.places).T * self.grid.cell_area
            curves["rewards"] = {"step": steps, "mean_reward": self._rewards_of_steps(policy, flow)}
            curves["places"] = {"step": steps, "mean_x": mean_x, "mean_y": mean_y}
        return curves

    def _rewards_of_steps(self, policy: Policy, statistic: Values) -> Values:
        """``float64[T]``: mean rewards of one who plays a policy among a density."""
        density = self._dispersed(policy)
        if density is None:
            return self._played(policy, statistic)[1]
        return np.asarray((density * self.rewards(statistic)).sum(axis=1) * self.grid.cell_area)

    def _dispersed(self, policy: Any) -> Values | None:
        """``float64[T, k]``: the densities that a policy says it makes, where moves are free; else None."""
        plan = getattr(policy, "plan", None)
        fits = plan is not None and self.moves_are_free and plan.shape == self.desirabilities.shape
        return plan if fits else None

    def _played(self, policy: Policy, statistic: Values) -> tuple[Values, Values]:
        """Places reached, ``float64[T, n, 2]``, and mean rewards of steps, ``float64[T]``."""
        # Policies on a grid are for any number of agents at once; of others it is known that they are for N.
        at_once = _DRAWN if isinstance(policy, PlanPolicy) else self.config.n_agents
        game: ExchangeableGame = self.game.against(
            np.reshape(statistic, self.desirabilities.shape), n_agents=at_once
        )
        if self.incentive is not None:
            from karma_envs.incentives.game import IncentivisedExchangeable

            game = IncentivisedExchangeable(game, self.incentive)
        game.reset(np.random.default_rng(0))
        streams = np.zeros(1, np.uint64)
        places, rewards = [], []
        for _ in range(-(-_DRAWN // at_once)):
            game.begin_anew()
            for _ in range(self.config.length):
                rewards.append(game.step(game.sample(policy, streams)).mean(dtype=np.float64))
                places.append(game.states["position"])
        shape = (-1, self.config.length)
        by_step = np.reshape(places, (*shape, at_once, 2)).transpose(1, 0, 2, 3)
        return by_step.reshape(self.config.length, -1, 2), np.reshape(rewards, shape).mean(axis=0)


class _Staying:
    """Nobody moves."""

    def act(self, observations: NDArray[np.float32], streams: NDArray[np.uint64]) -> NDArray[np.float32]:
        return np.zeros((len(observations), 2), np.float32)
