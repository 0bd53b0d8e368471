"""Linear-quadratic regulator: agents steer noisy positions to a target, which the population may move.

Model:
    Each of N agents has a position x in R^d, which it steers by a control u in R^m. It pays for being off a
    target and for its control. The population's mean may move the target, and everybody. For many agents it
    is the mean-field game of linear dynamics and quadratic costs, all of which is known in closed form.

    ============  ==================================================================================
    agents        ``n_agents = 200``, one type, exchangeable; at least 1
    observation   ``Box(2)``: x, unbounded; in a game that ends the step besides;
                  ``start_mean = 0.0``, ``start_covariance = 0.1``
    action        ``Box(2)``: u, each of at most ``largest_action = 5.0``; ``state_matrix = 1.0``,
                  ``control_matrix = 0.3``, ``noise = 0.25``
    reward        at most 0; ``target = (0.5, -0.5)``, ``state_cost = 0.5``, ``control_cost = 1.0``
    length        none; or ``length`` steps; ``discount = 0.99``
    statistic     m, the mean of the positions; ``target_coupling = 0.0``, ``dynamics_coupling = 0.0``
    ============  ==================================================================================

    A matrix is given by its rows; a number stands for that multiple of the unit matrix.

State:
    Of each agent x; in a game that ends also the step.

Action:
    The control u.

Reward:
    -((x - tau)' Q (x - tau) + u' R u / 2), with tau = alpha + G m, where alpha = target, Q = state_cost,
    R = control_cost, and G = target_coupling.

Order of a step:
    1. Agents control, knowing x. 2. m is the mean of all x, which are still those before the step.
    3. Rewards. 4. x' = A x + B u + D m + c eps, with A = state_matrix, B = control_matrix, D =
    dynamics_coupling, c = noise, and eps independent standard normal numbers.

End:
    None, or after ``length`` steps for all agents at once. The last control moves nobody who is still paid.

Mean-field limit:
    For N to infinity m is the mean of the distribution, and no agent moves it. Given m, or its flow, the best
    response is u = -K x - k with K of the discounted Riccati equation, the same for every m, and k linear in
    m; see :mod:`karma_envs.games.lq_regulator.closed_forms`. Without an end the statistic is that of a
    population at rest.

Known equilibrium:
    The best response to the mean that solves a linear equation; one only where that is regular. With the
    defaults u = -.8470 (x - alpha), the mean at rest is alpha, and the variance .14088 in each coordinate, or
    .16117 if controls have normal noise of variance .1. Without an end a configuration is refused whose best
    controls bring no population to rest.

Reference:
    D. Mguni, J. Jennings, E. Munoz de Cote, Decentralised Learning in Systems with Many, Many Strategic
    Agents, 2018, Experiment 3; M. Bardi, Explicit solutions of some linear-quadratic mean field games,
    Networks and Heterogeneous Media 7(2), 2012.

Differences from the source:
    The source prints alpha, and variances of .14060 in theory and .161 as learned, but no matrix: ours give
    nearly that. The source's costs depend on the others without saying how: the couplings are ours, and 0 by
    default. Controls are bounded, theory's are not: with the defaults and noise of variance .1 the bound is
    11 standard deviations of a control at rest away. Where it is reached more often, in a game far from its
    target or with a small bound, what is said in closed form is not exact. Positions are held within 1e9 of
    0, so that rewards stay finite whatever is played.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from karma_envs.exchangeable import ExchangeableGame, States
from karma_envs.game import Baseline, PopulationGame
from karma_envs.games.lq_regulator.config import LqRegulatorConfig, as_matrix
from karma_envs.games.lq_regulator.mean_field import LqRegulatorMeanField
from karma_envs.games.lq_regulator.policy import LinearPolicy
from karma_envs.mean_field import GivenStatistic, MeanFieldModel
from karma_envs.numerics.random import fill_normal
from karma_envs.outcome import Metric, Outcome, total
from karma_envs.states import Allowed

__all__ = ["GAME", "LinearPolicy", "LqRegulatorConfig", "LqRegulatorGame"]

_FURTHEST = 1e9
"""Of coordinates, so that float32 holds all rewards."""

_START, _NOISE = 0, 1  # random streams

_TRAINING = {
    "hidden_units": 32,
    "actor_learning_rate": 3e-3,
    "critic_learning_rate": 1e-2,
    "learning_rate_left": 0.02,
    "action_variance_final": 0.002,
    "trace_decay": 0.7,
    "n_steps": 20_000,
    "epoch_length": 10,
}
"""Ours; rates that fall, as payoffs are flat where the mean is nearly right, and a variance that falls, as
the source's, .1, costs half as much again as an equilibrium does. The critic's rate is large: before agents
control, positions wander far, and values there are hundreds of times those near the target."""

_EXPLORATION = 0.1
"""Variance of controls in the family that gradient methods move in; as the source's actor has it."""


@dataclass(frozen=True)
class LqRegulatorOutcome(Outcome):
    """What a stretch of play came to, and where agents were.

    Attributes:
        position_total: ``float64[N, d]``, sums of positions before each step.
        square_total: ``float64[N, d]``, sums of their squares.
    """

    position_total: NDArray[np.float64] = total()
    square_total: NDArray[np.float64] = total()

    @property
    def position_mean(self) -> NDArray[np.float64]:
        """``float64[d]``: mean position, over agents and steps; NaN before the first step."""
        return self._mean(self.position_total)

    @property
    def position_variance(self) -> NDArray[np.float64]:
        """``float64[d]``: variance of positions, over agents and steps; NaN before the first step."""
        return np.asarray(self._mean(self.square_total) - self.position_mean**2)

    def _mean(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.steps == 0:
            return np.full(sums.shape[1], np.nan)
        return np.asarray(sums.mean(axis=0) / self.steps)


POSITION_VARIANCE = Metric(
    "position_variance",
    "variance of positions",
    lambda outcome: float(outcome.position_variance.mean()),
    "variance of a coordinate over agents and steps, mean over coordinates",
    more_is_better=False,
)


def _uncontrolled(game: LqRegulatorGame) -> LinearPolicy:
    """u = 0."""
    dimension, n_controls = len(game.config.target), game.config.n_controls
    return LinearPolicy(np.zeros((n_controls, dimension)), np.zeros(n_controls))


class LqRegulatorGame(ExchangeableGame):
    """The linear-quadratic regulator game on arrays. See the module's docstring for the model.

    Args:
        config: the configuration; the defaults if None.
        **fields: fields of the configuration that differ from it.

    Raises:
        ConfigError: when the configuration is not allowed.
    """

    name = "lq_regulator"
    config_class = LqRegulatorConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {},
        "crowd-averse": {"target_coupling": -0.5},
        "finite-horizon": {"length": 20, "target_coupling": 0.5},
    }
    learner = "actor_critic"
    trained_with: ClassVar[Mapping[str, Mapping[str, Any]]] = {"": _TRAINING}
    metrics: ClassVar[tuple[Metric, ...]] = (*ExchangeableGame.metrics, POSITION_VARIANCE)
    baselines: ClassVar[Mapping[str, Baseline]] = {
        **ExchangeableGame.baselines,
        "uncontrolled": _uncontrolled,
    }
    picture = "karma_envs.games.lq_regulator.picture"
    n_streams = 2

    config: LqRegulatorConfig

    def __init__(self, config: LqRegulatorConfig | None = None, **fields: Any) -> None:
        self.config = config = (config or LqRegulatorConfig()).replace(**fields)
        self.n_agents, self.length = config.n_agents, config.length
        self.type_of_agent, self.discounts = np.zeros(config.n_agents, np.uint8), np.array([config.discount])
        dimension, largest = len(config.target), config.largest_action
        low, high = np.full(dimension, -np.inf), np.full(dimension, np.inf)
        if self.length is not None:
            low, high = np.append(low, 0.0), np.append(high, self.length)
        self.observation_space = Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)
        self.action_space = Box(-largest, largest, (config.n_controls,), np.float32)
        self.reward_bounds = -np.inf, 0.0
        self._noise = as_matrix(config.noise, dimension)

    def allowed_states(self) -> dict[str, Allowed]:
        """Positions as they are held, steps of the game, and sums that are numbers."""
        largest = np.finfo(np.float64).max
        allowed: dict[str, Allowed] = {
            "position": (-_FURTHEST, _FURTHEST),
            "position_total": (-largest, largest),
            "square_total": (0, largest),
        }
        return allowed if self.length is None else allowed | {"time": (0, self.length)}

    def start(self, n: int, streams: NDArray[np.uint64]) -> States:
        """Positions, normally distributed."""
        mean, covariance = self.config.start
        # A square root of the covariance that is there where it is singular, too.
        sizes, directions = np.linalg.eigh(covariance)
        position = mean + self._normal(streams, _START, n) @ (directions * np.sqrt(np.maximum(sizes, 0))).T
        return {"position": position} | ({} if self.length is None else {"time": np.zeros(n, np.int64)})

    def observe(self, states: States) -> NDArray[np.float32]:
        """x; in a game that ends the step besides."""
        columns = [states["position"]] + ([] if self.length is None else [states["time"][:, None]])
        return np.hstack(columns).astype(np.float32)

    def statistic(self, states: States, actions: NDArray[Any]) -> NDArray[np.float64]:
        """m, ``float64[d]``: the mean of the positions before the step."""
        return np.asarray(states["position"].mean(axis=0))

    def transition(
        self,
        states: States,
        actions: NDArray[Any],
        statistic: NDArray[np.float64],
        streams: NDArray[np.uint64],
    ) -> tuple[States, NDArray[np.float64]]:
        """Costs of agents where the mean is m, and where they are then."""
        regulator, coupling = self.config.regulator, self.config.coupling
        position, controls = states["position"], actions.astype(np.float64)
        off = position - coupling.targets(statistic)
        costs = ((off @ regulator.state_cost) * off).sum(axis=1)
        costs += ((controls @ regulator.control_cost) * controls).sum(axis=1) / 2
        moved = position @ regulator.dynamics.T + controls @ regulator.control.T + coupling.drifts(statistic)
        moved += self._normal(streams, _NOISE, len(position)) @ self._noise.T
        after = {"position": np.clip(moved, -_FURTHEST, _FURTHEST)}
        return after | ({} if self.length is None else {"time": states["time"] + 1}), -costs

    def _normal(self, streams: NDArray[np.uint64], stream: int, n: int) -> NDArray[np.float64]:
        """``float64[n, d]``, independent standard normal."""
        draws = np.empty(n * len(self.config.target))
        fill_normal(streams, stream, draws)
        return draws.reshape(n, -1)

    # --- where agents have been ------------------------------------------------------------------------

    def reset(self, rng: np.random.Generator) -> None:
        """Begin anew; see the base."""
        super().reset(rng)
        self._position_total, self._square_total = np.zeros((2, *self.states["position"].shape))

    def step(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        """One step; see the base."""
        position = self.states["position"]
        rewards = super().step(actions)
        self._position_total += position
        self._square_total += position**2
        return rewards

    def outcome(self) -> LqRegulatorOutcome:
        """Totals since reset; every step counts."""
        totals = {name: getattr(self, f"_{name}").copy() for name in ("position_total", "square_total")}
        return LqRegulatorOutcome(**vars(super().outcome()), **totals)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return super()._arrays() | {
            "position_total": self._position_total,
            "square_total": self._square_total,
        }

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a state of :meth:`state_dict`; see the base."""
        super().load_state_dict(state)
        self._position_total, self._square_total = (
            self.states.pop(name) for name in ("position_total", "square_total")
        )

    def record(self) -> dict[str, float]:
        """Mean and variance over agents, of each coordinate, of where they are now."""
        position = self.states["position"]
        columns = zip(position.mean(axis=0), position.var(axis=0))
        return {
            f"{what}_{number}": float(value)
            for number, values in enumerate(columns, 1)
            for what, value in zip(("mean", "variance"), values)
        }

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Besides the agents ``positions``: mean and variance over agents and steps, by coordinate."""
        outcome = self.outcome()
        positions = {
            "coordinate": np.arange(1, len(self.config.target) + 1),
            "target": np.array(self.config.target),
            "mean": outcome.position_mean,
            "variance": outcome.position_variance,
        }
        return super().tables() | {"positions": positions}

    # --- theory ----------------------------------------------------------------------------------------

    def mean_field(self, *, by_agent: bool = False) -> MeanFieldModel:
        """The limit for infinitely many agents, who are all of one type."""
        model = LqRegulatorMeanField(self.config)
        return model if self.given_statistic is None else GivenStatistic(model, self._given_flow())

    def references(self) -> dict[str, tuple[PopulationGame, LinearPolicy]]:
        """The equilibrium, if there is one; for agents against a given mean the best response to it."""
        model = LqRegulatorMeanField(self.config)
        if self.given_statistic is not None:
            return {"best response": (self.fresh(), model.best_response(self._given_flow()))}
        mean = model.equilibrium_statistic()
        return {} if mean is None else {"equilibrium": (self.fresh(), model.best_response(mean))}

    def _given_flow(self) -> NDArray[np.float64]:
        """The given statistic in the shape of the model's: in a game that ends a mean for each step."""
        given = np.asarray(self.given_statistic)
        return given if self.length is None or given.ndim == 2 else np.tile(given, (self.length, 1))

    def policy_family(self) -> LinearPolicy:
        """Linear policies with normal noise, from one that controls nothing; by step if there is an end."""
        m, dimension = self.config.n_controls, len(self.config.target)
        steps = () if self.length is None else (self.length,)
        return LinearPolicy(np.zeros((*steps, m, dimension)), np.zeros((*steps, m)), _EXPLORATION)

    def scene(self) -> dict[str, Any]:
        """Where agents are, and what happened in the last step.

        Returns:
            ``steps`` and ``outcome`` since reset, ``n_agents``, ``position[N, d]`` now, ``target[d]`` that
            the mean of now makes; and of the last step, if there is one, ``controls[N, m]``.
        """
        outcome, position = self.outcome(), self.states["position"]
        mean = position.mean(axis=0) if self.given_statistic is None else self._given_now()
        scene: dict[str, Any] = {
            "steps": outcome.steps,
            "outcome": outcome,
            "n_agents": self.n_agents,
            "position": position.copy(),
            "target": self.config.coupling.targets(mean),
            "largest_action": self.config.largest_action,
        }
        if self.last_step is not None:
            scene["controls"] = self.last_step.actions.astype(np.float64)
        return scene

    def _given_now(self) -> NDArray[np.float64]:
        """The given mean of the step that comes, or of the last one where the game is over."""
        given = self._given_flow()
        return given if given.ndim == 1 else np.asarray(given[min(self.elapsed, len(given) - 1)])


GAME = LqRegulatorGame
