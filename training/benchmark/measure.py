"""What is measured of a policy in a task."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.evaluators.exploitability.exact import exploitability_by_agent, most_agents
from agents.policies.tabular import TabularPolicy
from karma_envs.baselines import baseline_policy
from karma_envs.finite import SamplingPolicy
from karma_envs.game import PopulationGame
from karma_envs.mean_field.exploitability import exploitability
from karma_envs.metrics import Outcome, access_fairness, reward_fairness, total_outcome
from training.benchmark.tasks import Task
from training.common.tables import Row
from training.evaluation.play import play
from training.evaluation.references import reference_games

EVALUATION_SEED = 1


def measure(task: Task, policy: SamplingPolicy, seed: int, reference: Row) -> Row:
    """Play a policy by all agents, without learning.

    Args:
        task: the task.
        policy: what was learned.
        seed: of the training; with :data:`EVALUATION_SEED` it determines all draws.
        reference: efficiency of COIN and DICT.

    Raises:
        PolicyError: when the policy does not fit the game.
    """
    game = task.make()
    game.check_policy(policy)
    outcome = _outcome(task, game, policy, seed)
    several = game.n_agents > 1
    coin, dictator = reference["COIN"], reference["DICT"]
    return {
        "score": (outcome.efficiency - coin) / (dictator - coin),
        "efficiency": outcome.efficiency,
        "access_fairness": access_fairness(outcome.accesses, outcome.steps) if several else None,
        "reward_fairness": reward_fairness(outcome.rewards, outcome.steps) if several else None,
        "exploitability": normalised_exploitability(game, policy),
    }


def measure_reference(task: Task) -> dict[str, float]:
    """Efficiency of COIN and DICT in a task."""
    game = task.make()
    references = reference_games(game.name, game.config)
    return {
        name: _outcome(task, there, baseline_policy("bid_nothing", there), 0).efficiency
        for name, there in references.items()
        if name in ("COIN", "DICT")
    }


def normalised_exploitability(game: PopulationGame, policy: SamplingPolicy) -> float | None:
    """Exact in the mean field: per type where all agents of a type play the same, agent by agent else.

    Of a single learner among others it is what the learner would gain by a best response to them.

    Returns:
        None for a game without a mean-field model, or of too many agents for memory.
    """
    model = game.mean_field()
    if model is None:
        return None
    table = TabularPolicy.from_thresholds(policy.thresholds, game.n_actions, policy.row_of_agent)
    rows = _row_of_type(game, policy.row_of_agent)
    if rows is not None:
        probabilities = np.asarray(table.probabilities, np.float64)[rows]
        return exploitability(model, probabilities / probabilities.sum(axis=2, keepdims=True)).normalised
    if game.n_agents > most_agents(game):
        return None
    return exploitability_by_agent(game, table).normalised


def _row_of_type(game: PopulationGame, row_of_agent: NDArray[np.int32]) -> NDArray[np.int32] | None:
    """The row that each type plays; None if agents of one type play different rows."""
    first = np.unique(game.type_of_agent, return_index=True)[1]
    rows = row_of_agent[first]
    same = np.array_equal(rows[game.type_of_agent], row_of_agent)
    return np.asarray(rows) if same and len(rows) == len(game.discounts) else None


def _outcome(task: Task, game: PopulationGame, policy: SamplingPolicy, seed: int) -> Outcome:
    return total_outcome(
        play(game, policy, n_steps=task.n_steps, burn_in=task.burn_in, seed=[EVALUATION_SEED, seed])
    )
