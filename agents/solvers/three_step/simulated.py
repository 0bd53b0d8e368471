"""The statistic that N agents make who play a policy, by playing it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.policies.tabular import TabularPolicy
from karma_envs.finite import FiniteGame
from karma_envs.game import PopulationGame
from karma_envs.mean_field import FiniteMeanFieldModel, MeanFieldModel


def simulated_statistic(
    game: PopulationGame, model: MeanFieldModel, policy: Any, n_steps: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """z of the game's own agents.

    Args:
        game: it is not touched. With tables, or an :class:`karma_envs.exchangeable.ExchangeableGame`.
        model: the game's; of a game with tables it makes the statistic from who is where.
        policy: as the model has policies.
        n_steps: to play, in a game without an end; the second half counts. Of one with an end an episode is
            played.
        rng: seeds the play.

    Returns:
        the mean of the second half of the steps, ``float64[k]``. Of a game that ends z of each step,
        ``float64[length, k]``, if it has more than one.
    """
    played = game.fresh()
    played.reset(rng)
    steps = n_steps if game.length is None else game.length
    if isinstance(played, FiniteGame) and isinstance(model, FiniteMeanFieldModel):
        return _of_tables(played, model, np.asarray(policy), steps)
    seen = []
    for _ in range(steps):
        played.step(played.sample(policy, played.policy_streams))
        seen.append(played.last_step.statistic)  # type: ignore[attr-defined]
    if game.length is None:
        return np.asarray(np.mean(seen[steps // 2 :], axis=0))
    return np.asarray(seen[0] if steps == 1 else np.stack(seen))


def _of_tables(
    game: FiniteGame, model: FiniteMeanFieldModel, policy: NDArray[np.float64], n_steps: int
) -> NDArray[np.float64]:
    """z of the states that agents of each type are in, over the second half of the steps."""
    everyone = TabularPolicy(policy).fitted_to(game)
    game.rollout(everyone, max(n_steps // 2, 1))
    states = game.rollout(everyone, max(n_steps - n_steps // 2, 1)).observations[:-1]
    counts = np.stack(
        [
            np.bincount(states[:, game.type_of_agent == kind].ravel(), minlength=model.n_states)
            for kind in range(model.n_types)
        ]
    )
    return model.statistic(counts / counts.sum(axis=1, keepdims=True), policy)
