"""A place where it is good to be few: a planner's problem in two states, beside what the selfish do.

Model:
    N agents, each in state 0 or 1. State 1 yields something, the less the more agents are there; to
    change one's state costs, and does not always succeed. What agents want together is the mean reward.

    ============  ==================================================================================
    agents        ``n_agents = 1000``, one type, exchangeable; at least 1; cooperative
    observation   one of 2, the state; in numbers ``Box(2)``: 1 in the place of the state, else 0
    action        one of 2, the state that it aims at, both legal
    reward        -1.1 to 1 with ``benefit = 1.0``, ``crowding = 2.0``, ``switching_cost = 0.1``;
                  ``discount = 0.8``
    length        none
    statistic     mu_1, the share of agents in state 1; ``initial_share = 0.5``
    ============  ==================================================================================

State:
    s in {0, 1}. At the start initial_share of the agents, rounded, are in state 1, drawn at random.

Action:
    The state a in {0, 1} that an agent aims at; a = s is to stay.

Reward:
    r = s (b - c mu_1) - k |a - s|, with b = benefit, c = crowding, k = switching_cost. Each agent is paid
    its own; the aim that all share (the game is cooperative) is their mean, the game's efficiency. If each
    were paid the mean, nobody could tell in a large population what its own action does.

Order of a step:
    1. Actions. 2. Rewards, by the share mu_1 of before. 3. P(s' = 1 | s, a) = w a + (1 - w) s with
    w = control, independently: who stays stays, who tries to switch does with probability
    ``control = 0.9``.

End:
    The game never ends by itself; views truncate after max_cycles steps.

Mean-field limit:
    For N to infinity mu_1 follows Phi(mu, h) = sum over s, a of mu(s) h(a | s) P(1 | s, a) without noise,
    where h is the local policy that all play. A planner who sees mu_1 and chooses h, step by step, has the
    value V(mu) of mean-field control; a single agent, who moves no mu_1, that of the mean-field game.

Known equilibrium:
    Selfish: nobody switches at any share between .486111 and .513889, around 1/2, where the
    efficiency is 0. The planner's: nobody switches between .243056 and .256944, around 1/4, where it is .125;
    from elsewhere the planner goes to the nearer end of these, in one step if that is in reach. V(0) =
    V(.5) = .472608, V(.25) = .625, V(1) = -.582948 (the module closed_forms has all of these for every
    configuration).

Reference:
    H. Gu, X. Guo, X. Wei, R. Xu, Q-learning algorithm for mean-field controls, with convergence and
    complexity analysis, 2020 (arXiv 2002.04131); as told in R. Xu, Multi-agent RL from a mean-field
    perspective, lecture at RLChina 2020, "Learning Mean-Field Controls".

Differences from the source:
    The source has no numbers: states, rewards and probabilities are ours. (A planner whose h may take
    multiples of 1/80 only has V(0) = .472513, V(.5) = .472597, V(1) = -.582950.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from karma_envs.array_game import REWARD_ROUNDING, ArrayGame
from karma_envs.axes import Axis
from karma_envs.finite import PlayedPolicy, SamplingPolicy
from karma_envs.game import Baseline, PopulationGame
from karma_envs.games.two_state_control.baselines import CONTROL_BASELINES, stay
from karma_envs.games.two_state_control.closed_forms import planners_share, selfish_share
from karma_envs.games.two_state_control.config import PRESETS, TwoStateControlConfig
from karma_envs.games.two_state_control.kernels import (
    DRAW_RANGE,
    N_STREAMS,
    ControlState,
    ControlTables,
    play,
    settle,
)
from karma_envs.games.two_state_control.mean_field import TwoStateControlMeanField
from karma_envs.games.two_state_control.outcome import CONTROL_METRICS, ControlOutcome
from karma_envs.numerics.random import new_streams
from karma_envs.outcome import Metric
from karma_envs.states import check_values
from karma_envs.transitions import Transitions

__all__ = ["GAME", "TwoStateControlConfig", "TwoStateControlGame"]


class TwoStateControlGame(ArrayGame[ControlState]):
    """The two-state control game on arrays. See the module's docstring for the model.

    Args:
        config: the configuration; the defaults if None.
        **fields: fields of the configuration that differ from it.

    Raises:
        ConfigError: when the configuration is not allowed.
    """

    name = "two_state_control"
    config_class = TwoStateControlConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS
    cooperative = True
    trained_with: ClassVar[Mapping[str, Mapping[str, Any]]] = {"": {"n_steps": 20_000}}
    picture = "karma_envs.games.two_state_control.picture"
    metrics: ClassVar[tuple[Metric, ...]] = CONTROL_METRICS
    baselines: ClassVar[Mapping[str, Baseline]] = {**ArrayGame.baselines, **CONTROL_BASELINES}

    config: TwoStateControlConfig

    def __init__(self, config: TwoStateControlConfig | None = None, **fields: Any) -> None:
        self.config = config = (config or TwoStateControlConfig()).replace(**fields)
        self.n_agents = config.n_agents
        self.n_observations = self.n_actions = 2
        self.legal_actions = np.ones((2, 2), np.bool_)
        self.type_of_agent = np.zeros(config.n_agents, np.uint8)
        self.discounts = np.array([config.discount])
        self.observation_space = Box(0.0, 1.0, (2,), np.float32)
        self.reward_bounds = (
            min(0.0, config.benefit - config.crowding) - config.switching_cost,
            max(0.0, config.benefit),
        )
        self._tables = ControlTables(
            config.benefit, config.crowding, config.switching_cost, round(config.control * DRAW_RANGE)
        )

    def _fresh_state(self, rng: np.random.Generator) -> ControlState:
        n_agents = self.n_agents
        position = np.zeros(n_agents, np.uint8)
        position[: round(self.config.initial_share * n_agents)] = 1
        rng.shuffle(position)
        return ControlState(
            position=position,
            occupied=np.zeros(n_agents, np.int64),
            attempts=np.zeros(n_agents, np.int64),
            reward_total=np.zeros(n_agents),
            steps=np.zeros(1, np.int64),
            streams=new_streams(rng, N_STREAMS),
        )

    def _complaint(self, actions: NDArray[np.int64]) -> str | None:
        outside = (actions < 0) | (actions > 1)
        if not outside.any():
            return None
        agent = int(outside.argmax())
        return f"agent {agent} aims at {actions[agent]}; allowed: 0 and 1"

    def _settle(self, actions: NDArray[np.int64], rewards: NDArray[np.float32]) -> None:
        settle(self.arrays, self._tables, actions, rewards)

    def play(self, policy: SamplingPolicy, out: Transitions) -> None:
        play(
            self.arrays,
            self._tables,
            policy.thresholds,
            policy.row_of_agent,
            out.observations,
            out.actions,
            out.rewards,
        )

    def _check_state(self, state: ControlState) -> None:
        steps = state.steps[0]
        lowest, highest = self.reward_bounds
        check_values(
            "game",
            state._asdict(),
            {
                "position": (0, 1),
                "occupied": (0, steps),
                "attempts": (0, steps),
                "reward_total": (lowest * steps * REWARD_ROUNDING, highest * steps * REWARD_ROUNDING),
            },
        )

    def observation_index(self) -> NDArray[np.int64]:
        return self.arrays.position.astype(np.int64)

    def observations(self) -> NDArray[np.float32]:
        return np.eye(2, dtype=np.float32)[self.arrays.position]

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self.config.axes

    @property
    def action_features(self) -> dict[str, NDArray[np.int64]]:
        """The state that an action aims at, which is its number."""
        return {"aim": np.arange(2)}

    def outcome(self) -> ControlOutcome:
        state = self.arrays
        steps = int(state.steps[0])
        return ControlOutcome(
            steps=steps,
            rewards=state.reward_total.copy(),
            counted=np.full(self.n_agents, steps),
            occupied=state.occupied.copy(),
            attempts=state.attempts.copy(),
        )

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Agents, with how often they were in state 1 and tried to switch, and their state now."""
        outcome = self.outcome()
        steps = max(outcome.steps, 1)
        own = {
            "occupied": outcome.occupied / steps,
            "attempts": outcome.attempts / steps,
            "state": self.observation_index(),
        }
        return {"agents": super().tables()["agents"] | own}

    def record(self) -> dict[str, float]:
        """The share of agents in state 1 now."""
        return {"share_now": float(self.arrays.position.mean())}

    def mean_field(self, *, by_agent: bool = False) -> TwoStateControlMeanField:
        return TwoStateControlMeanField(self.config, self.n_agents if by_agent else 1)

    def references(self) -> dict[str, tuple[PopulationGame, PlayedPolicy]]:
        """The planner's best share and the selfish one, each of a population that begins there, and stays."""
        shares = {"planner": planners_share(self.config), "selfish": selfish_share(self.config)}
        games = {name: type(self)(self.config, initial_share=share) for name, share in shares.items()}
        return {name: (game, stay(game)) for name, game in games.items()}

    def scene(self) -> dict[str, Any]:
        """What happened in the last step; nothing yet after reset and after loading a state.

        Returns:
            ``steps`` and ``outcome`` since reset, ``n_agents``, ``share`` in state 1 now, ``planners_share``
            and ``selfish_share``; and of the last step ``counts[2, 2, 2]``: agents by state before, aim and
            state after.
        """
        position = self.arrays.position
        counts = np.zeros((2, 2, 2), np.int64)
        if self._last_step is not None:
            before, aims, _ = self._last_step
            np.add.at(counts, (before.astype(np.int64), aims.astype(np.int64), position), 1)
        return {
            "steps": int(self.arrays.steps[0]),
            "outcome": self.outcome(),
            "n_agents": self.n_agents,
            "share": float(position.mean()),
            "planners_share": planners_share(self.config),
            "selfish_share": selfish_share(self.config),
            "counts": counts,
        }


GAME = TwoStateControlGame
