"""Tables of the values of several policies, learned off-policy from play."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agents.evaluators.estimate import MonitorConfig
from agents.evaluators.kernels import learn_values
from agents.policy import TabularPolicy
from karma_envs.game import PopulationGame, Transitions
from karma_envs.random import new_streams

PILOT_STEPS = 1000
"""Steps of play whose mean reward tells where Q starts, unless that is given."""

_ILLEGAL = np.float32(-1e30)

InitialQ = float | NDArray[np.float32]
"""Where Q starts: a number; or ``float32[rows, observations, >= actions]``, a row per policy row."""


class PolicyValues:
    """Q of the current policy, of target policies and of the best response, for each agent.

    Memory: 4 bytes times (2 + targets) times tables times observations times actions.

    Args:
        game: the game.
        policies: the current policy and the targets, each with a row for every agent.
        config: step sizes, samples, regularisation, pooling.
        initial_q: where Q starts; for the table of an agent, its row in the current policy counts.
        n_bins: stretches to sample in.
        rng: seeds the draws of next actions.
        agents: whose values are learned, all if None.

    Attributes:
        best: ``float32[tables, observations, actions]``, Q of the best response; illegal entries are far
            below any return.
        table_of_agent: ``int32[N]``; -1 for agents whose values are not learned.
    """

    def __init__(
        self,
        game: PopulationGame,
        policies: Sequence[TabularPolicy],
        config: MonitorConfig,
        initial_q: InitialQ,
        n_bins: int,
        rng: np.random.Generator,
        agents: NDArray[np.int64] | None = None,
    ) -> None:
        self._config = config
        everyone = np.arange(game.n_agents)
        self._agents = (everyone if agents is None else agents).astype(np.int32)
        offsets = np.cumsum([0, *(policy.n_rows for policy in policies[:-1])])
        self._rows = np.stack(
            [policy.row_of_agent + offset for policy, offset in zip(policies, offsets)]
        ).astype(np.int32)
        self._thresholds = np.concatenate([policy.thresholds for policy in policies])
        self._bonus = np.zeros(self._thresholds.shape[:2])
        if config.rationality is not None:
            parts = [entropy(policy.probabilities) for policy in policies]
            self._bonus = np.concatenate(parts) / config.rationality
        self._discounts = game.discounts[game.type_of_agent]

        self.table_of_agent = np.full(game.n_agents, -1, np.int32)
        if config.pooled:
            traits = np.vstack([self._rows, game.type_of_agent[None]])[:, self._agents]
            first, tables = np.unique(traits, axis=1, return_index=True, return_inverse=True)[1:]
            self.table_of_agent[self._agents] = tables.ravel()
            owners = self._agents[first]
        else:
            self.table_of_agent[self._agents] = np.arange(len(self._agents))
            owners = self._agents
        start = np.full((len(owners), *game.legal_actions.shape), _ILLEGAL, np.float32)
        given = np.asarray(initial_q, np.float32)
        if given.ndim:
            expected = (policies[0].n_rows, game.n_observations)
            if given.ndim != 3 or given.shape[:2] != expected or given.shape[2] < game.n_actions:
                raise ValueError(
                    f"initial_q must be a number or float32{[*expected, game.n_actions]}; "
                    f"this is {list(given.shape)}"
                )
            given = given[policies[0].row_of_agent[owners], :, : game.n_actions]
        start[...] = np.where(game.legal_actions, given, _ILLEGAL)
        self.best: NDArray[np.float32] = start
        self._q = np.stack([start] * len(policies))
        self._streams = new_streams(rng, game.n_agents)
        self._totals = np.zeros((len(policies) + 1, game.n_agents, n_bins))

    def update(
        self, transitions: Transitions, rate: float, first_step: int, *, sampling: bool = True
    ) -> None:
        """Learn from transitions, and sample the values of the states they lead to.

        Args:
            transitions: the next stretch of play.
            rate: step size; 0 to sample only.
            first_step: time of the first transition, which determines the sample's bin.
            sampling: whether to sample at all.
        """
        never = np.iinfo(np.int64).max
        learn_values(
            self._q,
            self.best,
            self._thresholds,
            self._bonus,
            self._rows,
            self.table_of_agent,
            self._discounts,
            self._agents,
            self._streams,
            transitions.observations,
            transitions.actions,
            transitions.rewards,
            np.float32(rate),
            self._config.rationality or 0.0,
            first_step,
            self._config.gap if sampling else never,
            self._config.bin_length,
            self._totals,
        )

    def samples(self) -> NDArray[np.float64]:
        """``float64[policies + 1, M, bins]``: mean sampled value of each policy and the best response."""
        return np.asarray(self._totals[:, self._agents] / self._config.samples_per_bin)


def entropy(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Shannon entropy in nats of each row of ``float[..., actions]``."""
    positive = np.where(probabilities > 0, probabilities, 1.0)
    return np.asarray(-(positive * np.log(positive)).sum(axis=-1), np.float64)


def pilot_value(game: PopulationGame, transitions: Transitions) -> float:
    """A first guess of Q: what the mean reward of some play is worth for ever, discounted."""
    by_agent = transitions.rewards.mean(axis=0, dtype=np.float64)
    return float((by_agent / (1 - game.discounts[game.type_of_agent])).mean())
