"""Do agents fare and play as their number in the population must not matter?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.actions import action_limits
from karma_envs.checks.episodes import begun
from karma_envs.checks.errors import expect
from karma_envs.finite import FiniteGame, PlayedPolicy
from karma_envs.game import PopulationGame
from karma_envs.numerics.sampling import thresholds_of
from karma_envs.transitions import play_on

_EPISODES, _EPISODE_STEPS = 64, 30
_STEPS = 400
_ERRORS = 6.0
"""Standard errors that chance does not bridge: two of 10**9 times."""


class SameAction:
    """Everybody does the same, whatever is observed.

    Args:
        action: of one agent, as the game's action space has them.
    """

    def __init__(self, action: Any) -> None:
        self._action = np.asarray(action)

    def act(self, observations: NDArray[np.float32], streams: NDArray[np.uint64]) -> NDArray[Any]:
        """See :class:`karma_envs.game.Policy`."""
        return np.tile(self._action, (len(observations),) + (1,) * self._action.ndim)


def highest_actions(game: FiniteGame) -> NDArray[np.int64]:
    """The highest legal action in each observation, ``int64[n_observations]``."""
    return np.asarray(game.n_actions - 1 - np.argmax(game.legal_actions[:, ::-1], axis=1), np.int64)


def simple_policies(game: PopulationGame) -> dict[str, Any]:
    """Policies that everyone plays alike, by what they do: at random, and at the ends of what is legal."""
    lowest, highest = action_limits(game.action_space)
    if isinstance(game, FiniteGame):
        everyone = np.zeros(game.n_agents, np.int32)
        first_and_last = [np.zeros(game.n_observations, int), highest_actions(game)]
        tables = np.eye(game.n_actions)[first_and_last]
        ends: list[Any] = [PlayedPolicy(thresholds_of(table[None]), everyone) for table in tables]
    else:
        ends = [SameAction(lowest), SameAction(highest)]
    return {
        "random actions": game.uniform_policy(),
        "the lowest legal action": ends[0],
        "the highest legal action": ends[1],
    }


def check_exchangeability(game: PopulationGame) -> None:
    """Agents of one type that play alike fare alike: no tie, no rounding and no order favours a number.

    Over many episodes, for all that the outcome tells of agents. Where agents of one type are not meant to
    be alike, because they have paths of their own (``exchangeable`` is False), nothing can be compared.
    """
    if not game.exchangeable:
        return
    played = begun(game)
    for what, policy in simple_policies(game).items():
        outcomes = []
        for episode in range(_EPISODES):
            played.reset(np.random.default_rng([7, episode]))
            play_on(played, policy, _EPISODE_STEPS)
            outcomes.append(played.outcome())
        for name in (name for name, value in vars(outcomes[0]).items() if np.ndim(value) == 1):
            values = np.array([getattr(outcome, name) for outcome in outcomes], np.float64)
            for kind in np.unique(game.type_of_agent):
                members = np.flatnonzero(game.type_of_agent == kind)
                gaps = values[:, members] - values[:, members].mean(axis=1, keepdims=True)
                error = gaps.std(axis=0, ddof=1) / np.sqrt(_EPISODES)
                surprise = np.abs(gaps.mean(axis=0)) - _ERRORS * error
                worst = int(surprise.argmax())
                expect(
                    surprise[worst] <= 1e-9 * max(1.0, float(np.abs(values).max())),
                    f"agents of one type do not fare alike where all play {what}: in {_EPISODES} episodes of "
                    f"{_EPISODE_STEPS} steps agent {members[worst]} has {name} of "
                    f"{values[:, members[worst]].mean():.4g} on average, its type of "
                    f"{values[:, members].mean():.4g}; is a tie, or what is left over, given in an order?",
                )


def check_draws(game: FiniteGame) -> None:
    """A rollout draws each agent's actions from its row, with the row's probabilities, apart from others."""
    highest, n_agents = highest_actions(game), game.n_agents
    rows = np.eye(game.n_actions)[[np.zeros(game.n_observations, int), highest]]
    tables = thresholds_of(rows)
    for parity in range(2):
        row_of_agent = ((np.arange(n_agents) + parity) % 2).astype(np.int32)
        played = begun(game).rollout(PlayedPolicy(tables, row_of_agent), 50)
        expected = np.where(row_of_agent == 1, highest[played.observations[:-1]], 0)
        same = np.array_equal(played.actions, expected)
        expect(same, "rollout: an agent does not play the row that row_of_agent names")

    mixed = PlayedPolicy(thresholds_of(0.75 * rows[:1] + 0.25 * rows[1:]), np.zeros(n_agents, np.int32))
    played = begun(game).rollout(mixed, _STEPS)
    best = highest[played.observations[:-1]]
    excess = np.where(best > 0, (played.actions == best) - 0.25, 0.0)
    variance = np.where(best > 0, 0.25 * 0.75, 0.0)
    by_agent = np.abs(excess.sum(axis=0)) - _ERRORS * np.sqrt(variance.sum(axis=0))
    expect((by_agent <= 0).all(), "rollout: actions are not drawn with the policy's probabilities")
    some = variance.sum(axis=1) > 0
    if some.sum() >= _STEPS // 4:
        ratio = (excess[some].sum(axis=1) ** 2 / variance[some].sum(axis=1)).mean()
        expect(0.4 < ratio < 1.6, "rollout: the actions of different agents are not drawn independently")
