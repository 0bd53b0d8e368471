"""Evaluation: play policies and compare them with simple ones and with the game's references."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.policies.table import policy_table
from karma_envs.baselines import baseline_policy
from karma_envs.config import real, whole
from karma_envs.finite import FiniteGame, as_finite
from karma_envs.game import PopulationGame
from karma_envs.outcome import summarise
from training.common.tables import Row
from training.evaluation.play import Evaluation, Evaluations, by_type_of, over_seeds, play
from training.runs.folder import Run

_SAMPLED_STEPS, _SAMPLED_AGENTS = 50, 200


def evaluate(
    run: Run,
    *,
    n_steps: int = 10_000,
    burn_in: int = 1000,
    seed: int = 1,
    exploration: float | None = None,
) -> Evaluations:
    """Evaluate a run's policies beside the game's references and baselines.

    Args:
        run: a finished run.
        n_steps: steps to measure in each game, at least 100.
        burn_in: steps before that.
        seed: of the evaluation's random draws.
        exploration: epsilon of the exploring row; the training's if None.

    Returns:
        the learned policy without and with exploration (over the replicas), then the references, then the
        baselines.

    Raises:
        ResultsError: when the run has not finished.
        ConfigError: for a value out of range.
    """
    n_steps = whole("n_steps", n_steps, 100)
    burn_in = whole("burn_in", burn_in, 0)
    seed = whole("seed", seed, 0)
    epsilon = real(
        "exploration", run.config.learner.exploration if exploration is None else exploration, 0, 1
    )
    policies, game = run.policies, run.game()

    def measured(name: str, played: Sequence[Any], where: PopulationGame) -> Evaluation:
        outcomes = [
            play(where, policy, n_steps=n_steps, burn_in=burn_in, seed=[seed, number])
            for number, policy in enumerate(played)
        ]
        summary = over_seeds([summarise(stretches, game.metrics) for stretches in outcomes])
        return Evaluation(name, game.metrics, summary, n_steps, len(played), by_type_of(where, outcomes))

    found = Evaluations([measured("learned", policies, game)])
    if epsilon > 0:
        legal = as_finite(game).legal_actions
        exploring = [policy.mixed_with_uniform(epsilon, legal) for policy in policies]
        found.append(measured(f"learned, exploring {epsilon:g}", exploring, game))
    for name, (reference, policy) in game.references().items():
        found.append(measured(name, [policy] * len(policies), reference))
    for name in game.baselines:
        found.append(measured(name.replace("_", " "), [baseline_policy(name, game)] * len(policies), game))
    return found


def tables(run: Run, *, n_steps: int = 10_000, seed: int = 1, by_agent: bool = False) -> dict[str, list[Row]]:
    """What happens to each agent, and on each lane where a game has lanes, with the learned policy; and that.

    Args:
        run: a finished run; its first replica is played, without exploration.
        n_steps: steps from a reset.
        seed: of all random draws.
        by_agent: tell the policy of every agent, not the mean over those of each type.

    Returns:
        the rows of each table of :meth:`karma_envs.game.PopulationGame.tables`, and of ``policy-<replica>``
        as :func:`agents.policies.table.policy_table` makes it, or, where observations and actions are boxes,
        what some agents observed and did in some steps.
    """
    policies, game = run.policies, run.game()
    play(game, policies[0], n_steps=whole("n_steps", n_steps, 100), burn_in=0, seed=seed)
    learned = {
        f"policy-{replica}": _policy_columns(policy, game, seed=seed, by_agent=by_agent)
        for replica, policy in enumerate(policies)
    }
    return {
        name: [dict(zip(columns, values)) for values in zip(*(each.tolist() for each in columns.values()))]
        for name, columns in {**game.tables(), **learned}.items()
    }


def _policy_columns(
    policy: Any, game: PopulationGame, *, seed: int, by_agent: bool
) -> dict[str, NDArray[Any]]:
    """A policy as a table: its probabilities, or a sample of what is observed and done."""
    if isinstance(game, FiniteGame):
        return policy_table(policy, game, by_agent=by_agent)
    game.reset(np.random.default_rng(seed))
    played = game.rollout(policy, _SAMPLED_STEPS)
    steps, agents = np.indices((len(played), min(game.n_agents, _SAMPLED_AGENTS))).reshape(2, -1)
    columns = {"step": steps, "agent": agents}
    for name, values in (("observed", played.observations), ("taken", played.actions)):
        rows = values[steps, agents].reshape(len(steps), -1)
        columns |= {f"{name}_{dimension}": column for dimension, column in enumerate(rows.T)}
    return {**columns, "reward": played.rewards[steps, agents]}
