"""What karma games share: agents of some types, a state of arrays, steps, and a last step to draw."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from karma_envs.array_game import REWARD_ROUNDING, ArrayGame
from karma_envs.game import Baseline, PopulationGame
from karma_envs.karma.baselines import KARMA_BASELINES, bid_nothing
from karma_envs.karma.config import KarmaConfig, type_names
from karma_envs.karma.outcome import KARMA_METRICS, KarmaOutcome
from karma_envs.karma.urgency import type_counts
from karma_envs.outcome import Metric
from karma_envs.states import Allowed, check_values

_ONCE_NARROW = {(name, np.dtype(np.int32)) for name in ("accesses", "contests", "sat_out")}
"""Counters as states of version 0.1 hold them; they are read as ``int64``."""

_REFERENCES = {"DICT": "benevolent_dictator", "COIN": "coin_toss", "TURN": "turn_taking"}
"""Allocations without karma (Thesis, section 2.3) by the names of its tables."""

State = TypeVar("State", bound=tuple[Any, ...])
"""A named tuple of arrays, which has ``karma``, ``surplus`` (one number), ``steps`` (one number),
``reward_total``, ``sharing`` (a permutation of the agents) and ``streams``."""


class KarmaGame(ArrayGame[State]):
    """Base of karma games on arrays. A game's class makes its tables, and fills in what a step is.

    A game's ``__init__`` calls ``_set_population`` first.

    Attributes:
        bid_of_action: ``int64[n_actions]``, the bid that an action makes.
        urgency_of_observation: ``int64[n_observations]``, which of its type's urgencies an agent has in an
            observation, -1 for none.
    """

    metrics: ClassVar[tuple[Metric, ...]] = KARMA_METRICS
    baselines: ClassVar[Mapping[str, Baseline]] = {**ArrayGame.baselines, **KARMA_BASELINES}

    config: KarmaConfig
    bid_of_action: NDArray[np.int64]
    urgency_of_observation: NDArray[np.int64]

    def _set_population(self, config: KarmaConfig, n_features: int) -> None:
        """Set what follows from the types of agents.

        Args:
            config: the configuration.
            n_features: how many numbers an observation has, besides those that tell types apart.
        """
        types = config.agent_types
        self.n_agents = config.n_agents
        self.discounts = np.array([agent_type.discount for agent_type in types])
        self.type_of_agent = np.repeat(
            np.arange(len(types), dtype=np.uint8), type_counts(types, config.n_agents)
        )
        values = np.zeros((len(types), config.n_urgencies), np.float32)
        for index, agent_type in enumerate(types):
            values[index, : len(agent_type.urgencies)] = agent_type.urgencies
        self._urgency_values = values
        self._n_urgencies = np.array([len(kind.urgencies) for kind in types])[self.type_of_agent]
        self._mean_urgency = np.array([agent_type.mean_urgency for agent_type in types])[self.type_of_agent]
        self.reward_bounds = -float(values.max()), 0.0
        n_features += len(types) if len(types) > 1 else 0
        self.observation_space = Box(0.0, 1.0, (n_features,), np.float32)
        self._urgency_feature = values / max(float(values.max()), 1e-30)
        self._karma_feature = np.arange(config.karma_max + 1, dtype=np.float32) / np.float32(config.karma_max)
        self._uses_bids = config.rule("allocation").uses_bids

    @abstractmethod
    def outcome(self) -> KarmaOutcome:
        """Totals since reset, for the metrics; new arrays."""

    @abstractmethod
    def truthful_actions(self) -> NDArray[np.int64]:
        """``int64[types, n_observations]``: the legal action that reports an agent's need truthfully."""

    def _allowed(self, state: State) -> dict[str, Allowed]:
        """What a loaded state may hold in the arrays that are this game's own; looked at in this order.

        Args:
            state: its shapes, dtypes and ``steps`` have been checked.
        """
        return {}

    @abstractmethod
    def _is_possible(self, state: State) -> bool:
        """Whether there is such a state, of values that are all allowed, as far as it is this game's."""

    @property
    def type_names(self) -> tuple[str, ...]:
        return type_names(self.config.agent_types)

    @property
    def action_features(self) -> dict[str, NDArray[np.int64]]:
        """The bid that an action makes."""
        return {"bid": self.bid_of_action}

    def observation_values(self) -> dict[str, NDArray[Any]]:
        """Urgency (NaN without one) and karma, which is what varies fastest in all karma games."""
        number, n_types = self.urgency_of_observation, len(self.discounts)
        urgency = np.array(
            [
                [kind.urgencies[u] if 0 <= u < len(kind.urgencies) else np.nan for u in number]
                for kind in self.config.agent_types
            ]
        )
        karma = np.arange(self.n_observations) % (self.config.karma_max + 1)
        return {"urgency": urgency, "karma": np.tile(karma, (n_types, 1))}

    def reachable(self) -> NDArray[np.bool_]:
        """Those with an urgency that the agent's type has, or with none."""
        return np.asarray(self.urgency_of_observation < self._n_urgencies[:, None])

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        super().load_state_dict(
            {
                name: array.astype(np.int64) if (name, array.dtype) in _ONCE_NARROW else array
                for name, array in state.items()
            }
        )

    def _check_state(self, state: State) -> None:
        loaded: Any = state
        total_karma, steps = self.config.total_karma, loaded.steps[0]
        check_values(
            "game",
            loaded._asdict(),
            {
                "karma": (0, self.config.karma_max),
                "surplus": (0, total_karma),
                "reward_total": (self.reward_bounds[0] * steps * REWARD_ROUNDING, 0),
                "sharing": (0, self.n_agents - 1),
                **self._allowed(state),
            },
        )
        given_karma = int(loaded.karma.sum(dtype=np.int64) + loaded.surplus[0])
        if given_karma != total_karma:
            raise ValueError(f"game state: {given_karma} karma with the surplus; allowed: {total_karma}")
        if not self._is_everyone(loaded.sharing) or not self._is_possible(state):
            raise ValueError("game state: values that no game with this configuration has")

    def references(self) -> dict[str, tuple[PopulationGame, Any]]:
        """The same game with an allocation that needs no karma: DICT, COIN and TURN (Thesis, section 2.3)."""
        games = {
            name: type(self)(self.config.replace(allocation=allocation))
            for name, allocation in _REFERENCES.items()
        }
        return {name: (game, game.policy_of(bid_nothing(game))) for name, game in games.items()}

    def distributions(self) -> dict[str, dict[str, NDArray[Any]]]:
        """How much karma which share of the agents has."""
        values, counts = np.unique(self.outcome().karma, return_counts=True)
        return {"karma": {"karma": values, "share": counts / self.n_agents}}

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Agents, with their mean accesses and contests per step, and their karma now."""
        outcome = self.outcome()
        steps = max(outcome.steps, 1)
        karma = {
            "accesses": outcome.accesses / steps,
            "contests": outcome.contests / steps,
            "karma": outcome.karma,
        }
        return {"agents": super().tables()["agents"] | karma}

    def conserved(self) -> dict[str, float]:
        """The karma that agents hold, and what nobody could take."""
        state: Any = self.arrays
        return {"karma": int(state.karma.sum(dtype=np.int64) + state.surplus[0])}

    def _common_scene(self) -> dict[str, Any]:
        """What the scenes of all karma games hold."""
        state: Any = self.arrays
        return {
            "steps": int(state.steps[0]),
            "outcome": self.outcome(),
            "karma": state.karma.astype(np.int64),
            "karma_max": self.config.karma_max,
            "urgency_values": sorted({u for kind in self.config.agent_types for u in kind.urgencies}),
        }
