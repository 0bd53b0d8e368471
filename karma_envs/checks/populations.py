"""Do agents fare and play as their number in the population must not matter?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from karma_envs.baselines import PlayedPolicy, baseline_policy
from karma_envs.checks.episodes import begun
from karma_envs.checks.errors import expect
from karma_envs.finite import FiniteGame, SamplingPolicy
from karma_envs.numerics.sampling import thresholds_of

_EPISODES, _EPISODE_STEPS = 64, 30
_STEPS = 400
_ERRORS = 6.0
"""Standard errors that chance does not bridge: two of 10**9 times."""


def highest_actions(game: FiniteGame) -> NDArray[np.int64]:
    """The highest legal action in each observation, ``int64[n_observations]``."""
    return np.asarray(game.n_actions - 1 - np.argmax(game.legal_actions[:, ::-1], axis=1), np.int64)


def simple_policies(game: FiniteGame) -> dict[str, SamplingPolicy]:
    """Policies that everyone plays alike, by what they do."""
    everyone = np.zeros(game.n_agents, np.int32)
    lowest, highest = np.eye(game.n_actions)[[np.zeros(game.n_observations, int), highest_actions(game)]]
    return {
        "random actions": baseline_policy("random", game),
        "action 0": PlayedPolicy(thresholds_of(lowest[None]), everyone),
        "the highest legal action": PlayedPolicy(thresholds_of(highest[None]), everyone),
    }


def check_exchangeability(game: FiniteGame) -> None:
    """Agents of one type that play alike fare alike: no tie, no rounding and no order favours a number.

    Over many episodes, for rewards, accesses, contests and karma. Where agents of one type are not meant to
    be alike, because they have paths of their own (``exchangeable`` is False), nothing can be compared.
    """
    if not game.exchangeable:
        return
    played = begun(game)
    for what, policy in simple_policies(game).items():
        totals = np.empty((4, _EPISODES, game.n_agents))
        for episode in range(_EPISODES):
            played.reset(np.random.default_rng([7, episode]))
            played.rollout(policy, _EPISODE_STEPS)
            outcome = played.outcome()
            totals[:, episode] = outcome.rewards, outcome.accesses, outcome.contests, outcome.karma
        for name, values in zip(("rewards", "accesses", "contests", "karma"), totals):
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
