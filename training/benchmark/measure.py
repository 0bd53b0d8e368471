"""What is measured of a policy in a task."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.evaluators.exploitability.exact import exploitability_by_agent, most_agents
from agents.evaluators.exploitability.simulated import can_be_simulated, simulated_exploitability
from agents.policies.tabular import TabularPolicy
from karma_envs.baselines import baseline_policy
from karma_envs.config import refusal
from karma_envs.finite import FiniteGame, as_finite
from karma_envs.game import PopulationGame
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.mean_field.exploitability import exploitability
from karma_envs.meaning import ESTIMATE, Meaning
from karma_envs.outcome import Outcome, headlines, total_outcome
from training.common.tables import Row
from training.evaluation.few_agents import among_few, meaning_among_few
from training.evaluation.play import play

if TYPE_CHECKING:
    from training.benchmark.tasks import Task

EVALUATION_SEED = 1


def measure(task: Task, policy: Any, seed: int, reference: Row) -> Row:
    """Play a policy by all agents, without learning.

    Args:
        task: the task.
        policy: what was learned.
        seed: of the training; with :data:`EVALUATION_SEED` it determines all draws.
        reference: the first metric of the task's references, see :func:`measure_reference`.

    Raises:
        PolicyError: when the policy does not fit the game.
    """
    game = task.make()
    game.check_policy(policy)
    outcome = _outcome(task, game, policy, seed)
    first, gain = game.metrics[0], gain_of_deviating(game, policy, finite=task.finite)
    score = first.value(outcome) if first.more_is_better else -first.value(outcome)
    if task.by_exploitability:
        score = 1 - _gain(task, gain) / reference[next(iter(task.references))]
    elif task.references:
        zero, one = (reference[name] for name in task.references)
        score = (first.value(outcome) - zero) / (one - zero)
    return {
        "score": float(score),
        **{metric.name: float(metric.value(outcome)) for metric in headlines(game.metrics)},
        "exploitability": None if gain is None else gain.normalised,
    }


def measure_reference(task: Task) -> dict[str, float]:
    """The game's first metric of what scores 0 and 1 in a task, by name; or what can be gained over it.

    Raises:
        ConfigError: when the game has no such reference or baseline.
    """
    game = task.make()
    references = game.references()
    measured = {}
    for name in task.references:
        reference, policy = references.get(name) or (game, baseline_policy(name, game))
        if task.by_exploitability:
            measured[name] = _gain(task, gain_of_deviating(reference, policy, finite=task.finite))
            continue
        measured[name] = float(game.metrics[0].value(_outcome(task, reference, policy, 0)))
    return measured


class Gain(NamedTuple):
    """What a best response gains in discounted payoff, mean over the agents; and over the payoff's size."""

    absolute: float
    normalised: float
    meaning: Meaning


def gain_of_deviating(game: PopulationGame, policy: Any, *, finite: bool = False) -> Gain | None:
    """Exploitability in the mean field, or among the game's few agents.

    In the mean field with tables it is exact: per type where all agents of a type play the same, agent by
    agent else. Of a single learner among others it is what the learner would gain by a best response to
    them. In a game without tables that is written against a statistic it is estimated from play.

    Args:
        game: the game.
        policy: what is played.
        finite: tell what one gains at least that leaves the average policy of each type in the game of N
            agents itself, see :func:`agents.evaluators.finite_exploitability`.

    Returns:
        None for a game without a mean-field model, without either, or of too many agents for memory.
    """
    if finite:
        return _among_few(as_finite(game), policy)
    model = game.mean_field()
    if not isinstance(model, FiniteMeanFieldModel):
        if not can_be_simulated(game):
            return None
        simulated = simulated_exploitability(game, policy)
        return Gain(simulated.absolute.value, simulated.normalised.value, simulated.meaning)
    game = as_finite(game)
    table = _table(game, policy)
    rows = _row_of_kind(game, policy.row_of_agent)
    if rows is not None:
        probabilities = np.asarray(table.probabilities, np.float64)[rows]
        exact = exploitability(model, probabilities / probabilities.sum(axis=2, keepdims=True))
        return Gain(exact.absolute, exact.normalised, exact.meaning)
    if game.n_agents > most_agents(game):
        return None
    by_agent = exploitability_by_agent(game, table)
    return Gain(by_agent.absolute, by_agent.normalised, by_agent.meaning)


def meaning_of(task: Task) -> Meaning | None:
    """Which exploitability is told of policies in a task; None where none is."""
    game = task.make()
    if task.finite:
        return meaning_among_few(as_finite(game))
    model = game.mean_field()
    if isinstance(model, FiniteMeanFieldModel):
        return model.meaning
    return replace(model.meaning, certainty=ESTIMATE) if model and can_be_simulated(game) else None


def _table(game: FiniteGame, policy: Any) -> TabularPolicy:
    """What is played, as probabilities."""
    return TabularPolicy.from_thresholds(policy.thresholds, game.n_actions, policy.row_of_agent)


def _among_few(game: FiniteGame, policy: Any) -> Gain:
    """What is gained at least in the game of N agents."""
    few, _ = among_few(game, _table(game, policy), upper=False)
    return Gain(few.lower, few.normalised_lower, few.meaning_lower)


def _gain(task: Task, gain: Gain | None) -> float:
    """What is gained, in a task that is scored by it."""
    if gain is None:
        raise refusal("by_exploitability", task.name, "a task whose game has an exploitability")
    return gain.absolute


def _row_of_kind(game: FiniteGame, row_of_agent: NDArray[np.int32]) -> NDArray[np.int32] | None:
    """The row that each type of the model plays; None if agents of one type play different rows."""
    kinds = game.kind_of_agent
    rows = row_of_agent[np.unique(kinds, return_index=True)[1]]
    same = np.array_equal(rows[kinds], row_of_agent)
    return np.asarray(rows) if same and len(rows) >= len(game.discounts) else None


def _outcome(task: Task, game: PopulationGame, policy: Any, seed: int) -> Outcome:
    return total_outcome(
        play(game, policy, n_steps=task.n_steps, burn_in=task.burn_in, seed=[EVALUATION_SEED, seed])
    )
