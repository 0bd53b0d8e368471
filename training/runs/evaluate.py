"""Evaluation: play policies and compare them with simple ones and with allocations without karma."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agents.policies.table import policy_table
from karma_envs.baselines import BASELINES, baseline_policy
from karma_envs.config import ConfigError, real, whole
from karma_envs.finite import SamplingPolicy
from karma_envs.game import PopulationGame
from karma_envs.metrics import summarise
from training.common.tables import Row
from training.evaluation.play import Evaluation, Evaluations, by_type_of, over_seeds, play
from training.evaluation.references import reference_games
from training.runs.folder import Run

if TYPE_CHECKING:
    pass


def evaluate(
    run: Run,
    *,
    n_steps: int = 10_000,
    burn_in: int = 1000,
    seed: int = 1,
    exploration: float | None = None,
) -> Evaluations:
    """Evaluate a run's policies beside the baselines and the allocations without karma.

    Args:
        run: a finished run.
        n_steps: steps to measure in each game, at least 100.
        burn_in: steps before that.
        seed: of the evaluation's random draws.
        exploration: epsilon of the exploring row; the training's if None.

    Returns:
        the learned policy without and with exploration (over the replicas), then the allocations
        DICT, COIN, TURN, then the baselines.

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

    def measured(name: str, played: Sequence[SamplingPolicy], where: PopulationGame) -> Evaluation:
        outcomes = [
            play(where, policy, n_steps=n_steps, burn_in=burn_in, seed=[seed, number])
            for number, policy in enumerate(played)
        ]
        summary = over_seeds([summarise(stretches) for stretches in outcomes])
        return Evaluation(name, summary, n_steps, len(played), by_type_of(where, outcomes))

    found = Evaluations([measured("learned", policies, game)])
    if epsilon > 0:
        exploring = [policy.mixed_with_uniform(epsilon, game.legal_actions) for policy in policies]
        found.append(measured(f"learned, exploring {epsilon:g}", exploring, game))
    n_seeds = len(policies)
    for name, reference in reference_games(run.config.game, run.config.game_config).items():
        nothing = baseline_policy("bid_nothing", reference)
        found.append(measured(name, [nothing] * n_seeds, reference))
    for name in BASELINES:
        try:
            baseline = baseline_policy(name, game)
        except ConfigError:  # this game has no such baseline
            continue
        found.append(measured(name.replace("_", " "), [baseline] * n_seeds, game))
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
        as :func:`agents.policies.table.policy_table` makes it.
    """
    policies, game = run.policies, run.game()
    play(game, policies[0], n_steps=whole("n_steps", n_steps, 100), burn_in=0, seed=seed)
    learned = {
        f"policy-{replica}": policy_table(policy, game, by_agent=by_agent)
        for replica, policy in enumerate(policies)
    }
    return {
        name: [dict(zip(columns, values)) for values in zip(*(each.tolist() for each in columns.values()))]
        for name, columns in {**game.tables(), **learned}.items()
    }
