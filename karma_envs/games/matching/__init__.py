"""The benchmark karma game: random pairs compete for a resource by bidding karma.

Model:
    N agents of one or more types; each type has a discount factor, urgency values and a Markov chain
    over them. At every step agents meet in random pairs and bid karma for one resource per pair; who
    loses suffers its urgency. Karma is paid to the peer or to society, is redistributed in whole
    units, and its total never changes. Default: n_agents = 100, karma_max = 20, karma_mean = 10.0,
    discount = 0.98, urgencies = (1.0, 5.0), equally likely at every step.

    ============  ==================================================================================
    agents        ``n_agents = 100``, of one type or more, exchangeable in each; at least 2
    observation   one of 42, urgency and karma; in numbers ``Box(2)``: urgency as a share of its
                  type's highest, karma as a share of ``karma_max = 20``
    action        one of karma_max + 1, the bid; up to one's karma they are legal
    reward        -5 to 0 with the defaults, from minus the highest urgency; ``discount = 0.98``
    length        none
    statistic     the distribution of bids
    ============  ==================================================================================

State:
    Urgency (an index into the type's values), karma in 0 … karma_max, and the number of accesses so
    far, which only turn_taking looks at.

Action:
    A sealed whole bid b, 0 <= b <= karma. Allocations without bids allow only 0.

Reward:
    0 for the winner, minus its urgency for the loser, 0 for one that sits out.

Order of a step:
    1. A uniformly random perfect matching into pairs (odd N: one random agent sits out: reward 0,
       bids nothing, still receives redistribution). 2. Sealed bids. 3. The higher bid wins, ties by
    fair coin. 4. Rewards. 5. Payment. 6. Redistribution of the surplus. 7. Urgency transitions,
    independent of karma.

End:
    The game never ends by itself; views truncate after max_cycles steps.

Mean-field limit:
    For N to infinity an agent that bids b wins with probability sum_{b' < b} nu(b') + nu(b)/2, with
    nu the population's distribution of bids.

Known equilibrium:
    Several exist. With the defaults one has efficiency -1.0479; agents that learn with exploration
    0.05 (SARSA) reach about -1.109. Allocation dict gives -1.0, coin and turn -1.5.

Reference:
    S. Vaishampayan, Multi Agent Reinforcement Learning for Karma Economies, MSc thesis, ETH Zürich
    2024, sections 2.3, 5.1 and 6.1; after E. Elokda et al., A self-contained karma economy for the
    dynamic allocation of common resources, Dynamic Games and Applications 2023.

Differences from the source:
    The fraction of agents that receive the lower share of a surplus is ceil(p) - p (printed:
    floor(p) - p). Karma that nobody may take (redistribution none, or uniform_to_active with all
    active agents at the cap) stays in a surplus, which counts as karma of the population. What
    agents at the cap cannot take raises the share of all others evenly, so that offers differ by one
    at most. Odd numbers of agents are allowed. The matching is drawn after the bids, which cannot
    tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from karma_envs.array_game import LastStep
from karma_envs.finite import Axis, SamplingPolicy
from karma_envs.games.matching.config import PRESETS, MatchingConfig
from karma_envs.games.matching.interface import describe, first_illegal
from karma_envs.games.matching.kernels import (
    N_STREAMS,
    PAIR_CROWDING,
    MatchingState,
    MatchingTables,
    observe,
    play,
    settle,
)
from karma_envs.games.matching.mean_field import MatchingMeanField
from karma_envs.karma.config import check_rules, draw_initial_karma
from karma_envs.karma.game import KarmaGame
from karma_envs.karma.outcome import KarmaOutcome
from karma_envs.karma.urgency import transition_thresholds
from karma_envs.numerics.random import new_streams
from karma_envs.states import Allowed
from karma_envs.transitions import Transitions

if TYPE_CHECKING:
    from karma_envs.games.matching.joint import MatchingJoint
    from karma_envs.mean_field import MeanFieldModel

__all__ = ["GAME", "MatchingConfig", "MatchingGame"]


class MatchingGame(KarmaGame[MatchingState]):
    """The matching game on arrays. See the module's docstring for the model.

    Args:
        config: the configuration; the defaults if None.
        **fields: fields of the configuration that differ from it.

    Raises:
        ConfigError: when the configuration is not allowed.
    """

    name = "matching"
    picture = "karma_envs.games.matching.picture"
    config_class = MatchingConfig
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS

    config: MatchingConfig

    def __init__(self, config: MatchingConfig | None = None, **fields: Any) -> None:
        self.config = config = (config or MatchingConfig()).replace(**fields)
        types = config.agent_types
        self._set_population(config, n_features=2)
        self.n_observations = config.n_observations
        self.n_actions = config.karma_max + 1
        self.bid_of_action = np.arange(self.n_actions)
        allocation, payment, redistribution = (
            config.rule(family) for family in ("allocation", "payment", "redistribution")
        )
        self.urgency_of_observation, karma = np.divmod(np.arange(self.n_observations), config.karma_max + 1)
        self.legal_actions = np.arange(self.n_actions) <= karma[:, None] * self._uses_bids
        self._rules = allocation.function, payment.function, redistribution.function
        self._tables = MatchingTables(
            karma_max=config.karma_max,
            type_of_agent=self.type_of_agent,
            urgency_values=self._urgency_values,
            urgency_thresholds=transition_thresholds(types),
            allocation=allocation.parameter_array(),
            payment=payment.parameter_array(),
            redistribution=redistribution.parameter_array(),
        )
        check_rules(config, tuple(PAIR_CROWDING))
        self._start_urgency = [agent_type.stationary_urgency for agent_type in types]

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self.config.axes

    def _fresh_state(self, rng: np.random.Generator) -> MatchingState:
        config, n_agents = self.config, self.n_agents
        karma = draw_initial_karma(config, rng)
        urgency = np.empty(n_agents, np.uint8)
        for index, distribution in enumerate(self._start_urgency):
            members = self.type_of_agent == index
            urgency[members] = rng.choice(len(distribution), size=int(members.sum()), p=distribution)
        return MatchingState(
            karma=karma,
            urgency=urgency,
            active=np.ones(n_agents, np.uint8),
            accesses=np.zeros(n_agents, np.int64),
            sat_out=np.zeros(n_agents, np.int64),
            reward_total=np.zeros(n_agents),
            surplus=np.zeros(1, np.int64),
            steps=np.zeros(1, np.int64),
            pairing=np.arange(n_agents, dtype=np.int32),
            sharing=np.arange(n_agents, dtype=np.int32),
            streams=new_streams(rng, N_STREAMS),
        )

    def _complaint(self, actions: NDArray[np.int64]) -> str | None:
        karma = self.arrays.karma
        agent = first_illegal(actions, karma, self._uses_bids)
        if agent < 0:
            return None
        return f"agent {agent} bids {actions[agent]}; allowed: 0 … {karma[agent] * self._uses_bids}"

    def _settle(self, actions: NDArray[np.int64], rewards: NDArray[np.float32]) -> None:
        settle(self.arrays, self._tables, actions, rewards, *self._rules)

    def play(self, policy: SamplingPolicy, out: Transitions) -> None:
        play(
            self.arrays,
            self._tables,
            policy.thresholds,
            policy.row_of_agent,
            out.columns,
            *self._rules,
        )

    def _allowed(self, state: MatchingState) -> dict[str, Allowed]:
        steps = state.steps[0]
        return {
            "urgency": (0, self._n_urgencies - 1),
            "active": (0, 1),
            "sat_out": (0, steps),
            "accesses": (0, steps - state.sat_out),
            "pairing": (0, self.n_agents - 1),
            "streams": None,
        }

    def _is_possible(self, state: MatchingState) -> bool:
        return self._is_everyone(state.pairing)

    def observation_index(self) -> NDArray[np.int64]:
        index = np.empty(self.n_agents, np.int64)
        observe(self.arrays, self.config.karma_max, index)
        return index

    def observations(self) -> NDArray[np.float32]:
        features = np.empty((self.n_agents, self.observation_space.shape[0]), np.float32)
        describe(self.arrays, self.type_of_agent, self._urgency_feature, self._karma_feature, features)
        return features

    def truthful_actions(self) -> NDArray[np.int64]:
        """Bids of the share of one's karma that one's urgency is of the highest there is, rounded."""
        karma = np.arange(self.config.karma_max + 1)
        bids = np.rint(self._urgency_feature[:, :, None] * karma).astype(np.int64)
        return np.asarray(bids.reshape(len(self.discounts), -1) * self._uses_bids, np.int64)

    def outcome(self) -> KarmaOutcome:
        state = self.arrays
        steps = int(state.steps[0])
        contests = steps - state.sat_out
        return KarmaOutcome(
            steps=steps,
            rewards=state.reward_total.copy(),
            accesses=state.accesses.copy(),
            contests=contests,
            karma=state.karma.astype(np.int64),
            losses_if_never=-self._mean_urgency * contests,
            counted=contests,
        )

    @classmethod
    def mean_field_of(cls, config: MatchingConfig) -> MeanFieldModel | None:
        if cls.mean_field is not MatchingGame.mean_field:  # a game of one's own, whose model is another
            return super().mean_field_of(config)
        return MatchingMeanField(config) if config.rule("allocation").uses_bids else None

    def mean_field(self, *, by_agent: bool = False) -> MatchingMeanField | None:
        """The model for N to infinity; None for an allocation without bids, which has closed forms."""
        if not self._uses_bids:
            return None
        types = self.config.agent_types
        each = [types[kind].replace(share=1.0) for kind in self.type_of_agent] if by_agent else types
        return MatchingMeanField(self.config, each)

    def joint_model(self, kind_of_agent: ArrayLike | None = None) -> MatchingJoint:
        """The game of N agents exactly; refused for an allocation that looks at past accesses."""
        from karma_envs.games.matching.joint import MatchingJoint

        kinds = self.kind_of_agent if kind_of_agent is None else np.asarray(kind_of_agent)
        return MatchingJoint(self.config, kinds, self.type_of_agent)

    def scene(self) -> dict[str, Any]:
        """What happened in the last step; nothing yet after reset and after loading a state.

        Returns:
            ``steps`` and ``outcome`` since reset, ``karma[N]`` now, ``karma_max``,
            ``urgency_values`` (all there are, rising); and of the last step ``pairs[P, 2]``,
            ``bids[N]``, ``rewards[N]`` and ``urgency[N]``.
        """
        n_agents = self.n_agents
        last = self._last_step or LastStep(
            self.observation_index(), np.zeros(n_agents, np.int64), np.zeros(n_agents, np.float32)
        )
        n_matched = n_agents - n_agents % 2 if self._last_step else 0
        urgency_index = last.observations // (self.config.karma_max + 1)
        return self._common_scene() | {
            "pairs": self.arrays.pairing[:n_matched].reshape(-1, 2).astype(np.int64),
            "bids": last.actions.astype(np.int64),
            "rewards": last.rewards.copy(),
            "urgency": self._urgency_values[self.type_of_agent, urgency_index],
        }


GAME = MatchingGame
