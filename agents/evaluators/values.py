"""Tables of the values of several policies, learned off-policy from play."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from agents.evaluators.estimate import MonitorConfig
from agents.evaluators.kernels import learn_values
from agents.evaluators.play import play_on
from agents.policy import TabularPolicy
from karma_envs.game import PopulationGame
from karma_envs.random import new_streams
from karma_envs.transitions import Transitions

_PILOT_AGENT_STEPS = 2_000_000  # whose mean reward tells where Q starts
_LEAST_PILOT_STEPS = 100

_ILLEGAL = np.float32(-1e30)

InitialQ = float | NDArray[np.float32]
"""Where Q starts: a number; or ``float32[rows, observations, >= actions]``, a row per row of the current
policy."""


class PolicyValues:
    """Q of the current policy, of target policies and of the best response, for each agent.

    Memory: 4 bytes times tables times observations times actions. There is a table per agent and policy,
    less where they are pooled.

    Args:
        game: the game.
        policies: the current policy and the targets, each with a row for every agent.
        config: step sizes, samples, regularisation, pooling.
        initial_q: where Q starts; a table shared by several agents starts from the mean of theirs.
        n_bins: stretches to sample in.
        rng: seeds the draws of next actions.
        agents: whose values are learned, all if None.
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
        chosen = np.arange(game.n_agents) if agents is None else np.asarray(agents)
        offsets = np.cumsum([0, *(policy.n_rows for policy in policies[:-1])])
        self._rows = np.stack(
            [policy.row_of_agent[chosen] + offset for policy, offset in zip(policies, offsets)]
        ).astype(np.int32)
        self._thresholds = np.concatenate([policy.thresholds for policy in policies])
        self._bonus = np.zeros(self._thresholds.shape[:2])
        if config.rationality is not None:
            parts = [entropy(policy.probabilities) for policy in policies]
            self._bonus = np.concatenate(parts) / config.rationality
        kinds = game.type_of_agent[chosen]
        self._discounts = game.discounts[kinds]

        pooled = config.pooled and game.exchangeable
        given = _given(game, policies[0], np.asarray(initial_q, np.float32))
        self._tables = np.empty((len(policies) + 1, len(chosen)), np.int32)
        starts: list[NDArray[np.float32]] = []
        for index, table in enumerate(self._tables):
            row = self._rows[index] if index < len(policies) else np.zeros_like(kinds)
            means_the_same = np.stack([row, kinds] if pooled else [chosen])
            places = np.unique(means_the_same, axis=1, return_inverse=True)[1].ravel()
            table[:] = len(starts) + places
            members = [chosen[places == place] for place in range(places.max() + 1)]
            starts += [np.where(game.legal_actions, given(those), _ILLEGAL) for those in members]
        self._q: NDArray[np.float32] = np.stack(starts).astype(np.float32)
        self._streams = new_streams(rng, len(chosen))
        self._totals = np.zeros((len(policies) + 1, len(chosen), n_bins))

    def greedy_actions(self) -> NDArray[np.uint16]:
        """``uint16[M, observations]``: what each agent's best response, as learned so far, does."""
        return np.asarray(self._q[self._tables[-1]].argmax(axis=2), np.uint16)

    def update(
        self, transitions: Transitions, rate: float, first_step: int, *, sampling: bool = True
    ) -> None:
        """Learn from transitions, and sample the values of the states they lead to.

        Args:
            transitions: the next stretch of play, columns of the agents whose values are learned.
            rate: step size; 0 to sample only.
            first_step: time of the first transition, which determines the sample's bin.
            sampling: whether to sample at all.
        """
        never = np.iinfo(np.int64).max
        learn_values(
            self._q,
            self._tables,
            self._thresholds,
            self._bonus,
            self._rows,
            self._discounts,
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
        return np.asarray(self._totals / self._config.samples_per_bin)


def _given(
    game: PopulationGame, policy: TabularPolicy, initial_q: NDArray[np.float32]
) -> Callable[[NDArray[np.int64]], NDArray[np.float32]]:
    """Where the table of some agents starts."""
    if initial_q.ndim == 0:
        return lambda agents: initial_q
    expected = (policy.n_rows, game.n_observations)
    if initial_q.ndim != 3 or initial_q.shape[:2] != expected or initial_q.shape[2] < game.n_actions:
        raise ValueError(
            f"initial_q must be a number or float32{[*expected, game.n_actions]}; "
            f"this is {list(initial_q.shape)}"
        )
    return lambda agents: initial_q[policy.row_of_agent[agents], :, : game.n_actions].mean(axis=0)


def entropy(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Shannon entropy in nats of each row of ``float[..., actions]``."""
    positive = np.where(probabilities > 0, probabilities, 1.0)
    return np.asarray(-(positive * np.log(positive)).sum(axis=-1), np.float64)


def pilot_value(game: PopulationGame, policy: TabularPolicy, buffer: Transitions) -> float:
    """A first guess of Q: what the mean reward of some play is worth for ever, discounted."""
    before = game.outcome()
    n_steps = max(_PILOT_AGENT_STEPS // game.n_agents, _LEAST_PILOT_STEPS)
    play_on(game, policy, n_steps, buffer)
    by_agent = game.outcome().since(before).rewards / n_steps
    return float((by_agent / (1 - game.discounts[game.type_of_agent])).mean())
