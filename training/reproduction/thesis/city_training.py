"""The congested city as it is trained for Figures 6.4 to 6.8 and Tables 6.3 and A.4, and watched at play.

N = 1000, 4x4, PBS, discount 0.98; alpha = 0.01, beta = 10, epochs of 100 steps, 10^7 steps, as printed;
exploration 0.05 and Q_0 = 0, which are not printed. Each seed draws paths of its own.

With these settings agents are still learning at the end. What they are learning is seen where they take
larger steps, alpha = 0.1, and 3 million of them: the tables and figures show that too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.policies.tabular import TabularPolicy
from karma_envs.finite import FiniteGame, SamplingPolicy
from karma_envs.games.grid_city import GridCityGame, LaneOutcome
from karma_envs.games.grid_city.luck import Luck, luck
from karma_envs.karma.outcome import KarmaOutcome
from karma_envs.metrics import access_fairness, reward_fairness
from karma_envs.transitions import chunks, play_on
from training.reproduction.shared_runs import kept_run
from training.runs.config import TrainConfig
from training.runs.folder import Run

N_STEPS = {"quick": 1_000_000, "full": 10_000_000}
SHORT = {"quick": 300_000, "full": 3_000_000}
LARGE_STEPS = 0.1
LEARNERS = {"": False, ", alpha = .1": True}
"""What is added to the name of a case, and whether its agents learned with large steps."""
PLAYED, BURN_IN = 10_000, 1000


def city_config(scale: str, seed: int, **fields: Any) -> TrainConfig:
    """The training run of a seed; ``fields`` of the game, the learner or the run that differ."""
    given = {"path_seed": seed, "seed": seed, "n_steps": N_STEPS[scale], "monitor": "payoff", "monitors": 100}
    return TrainConfig.from_flat("grid_city", "thesis", {**given, **fields})


def city_run(scale: str, seed: int) -> Run:
    """The training run behind the figures; trained once."""
    return kept_run(city_config(scale, seed), f"city-{scale}-{seed}")


def compared_run(scale: str, seed: int, n_steps: Mapping[str, int] = SHORT, **fields: Any) -> Run:
    """A training run with other settings, to compare; trained once, whoever asks for it.

    Args:
        scale: quick or full.
        seed: of the run, and of the draw of the paths.
        n_steps: how long, by scale.
        **fields: of the game, the learner or the run that differ from what is printed.
    """
    config = city_config(scale, seed, n_steps=n_steps[scale], monitor="none", **fields)
    said = "-".join(f"{name}-{value}" for name, value in fields.items()) or "as-printed"
    return kept_run(config, f"city-{n_steps[scale]}-{re.sub(r'[^a-z0-9_.-]', '', said)}-{seed}")


@dataclass(frozen=True)
class Play:
    """What happened in a stretch of play after a burn-in.

    Attributes:
        game: the game.
        outcome: by agent.
        lanes: by lane.
        visits: ``int64[N, observations]``, how often an agent was in an observation.
        bids: ``int64[N, observations]``, sum of its bids there.
    """

    game: GridCityGame
    outcome: KarmaOutcome
    lanes: LaneOutcome
    visits: NDArray[np.int64]
    bids: NDArray[np.int64]

    @property
    def luck(self) -> Luck:
        """Who was lucky, by the congestion of this stretch."""
        return luck(self.game.network, self.game.paths_of_agent, self.lanes)

    def mean_bid(self, agents: NDArray[np.int64] | int, chosen: NDArray[np.bool_]) -> float:
        """Mean bid of agents in the ``chosen[observations]``; NaN if they never were there."""
        agents = np.atleast_1d(agents)
        visits = self.visits[agents][:, chosen].sum()
        return float(self.bids[agents][:, chosen].sum() / visits) if visits else float("nan")

    def social_outcome(self) -> dict[str, float]:
        """The metrics of Table 6.3, over all agents and steps, the dormant included."""
        outcome = self.outcome
        return {
            "efficiency": outcome.efficiency,
            "access_fairness": access_fairness(outcome.accesses, outcome.steps),
            "reward_fairness": reward_fairness(outcome.rewards, outcome.steps),
        }


def play_city(game: GridCityGame, policy: SamplingPolicy, seed: int) -> Play:
    """Play a policy from a reset, 10,000 steps after a burn-in of 1000, and count."""
    game.reset(np.random.default_rng([62, seed]))
    play_on(game, policy, BURN_IN)
    outcome, lanes = game.outcome(), game.lane_outcome()
    size = game.n_agents * game.n_observations
    visits, bids = np.zeros(size, np.int64), np.zeros(size, np.int64)
    first = np.arange(game.n_agents) * game.n_observations
    for _, piece in chunks(game, policy, PLAYED, most_bytes=4_000_000):
        where = (first + piece.observations[:-1]).ravel()
        visits += np.bincount(where, minlength=size)
        made = game.bid_of_action[piece.actions].ravel()
        bids += np.bincount(where, made, minlength=size).astype(np.int64)
    shape = game.n_agents, game.n_observations
    return Play(
        game,
        game.outcome().since(outcome),
        game.lane_outcome().since(lanes),
        visits.reshape(shape),
        bids.reshape(shape),
    )


@cache
def learned_play(scale: str, seed: int, large_steps: bool = False) -> Play:
    """The learned policies at play, exploring as they did in training."""
    run = compared_run(scale, seed, learning_rate=LARGE_STEPS) if large_steps else city_run(scale, seed)
    game = GridCityGame(run.config.game_config)
    return play_city(game, exploring_policy(run, game), seed)


def exploring_policy(run: Run, game: FiniteGame) -> TabularPolicy:
    """What the agents of a run played at the end of training."""
    learned: TabularPolicy = run.policy
    return learned.mixed_with_uniform(run.config.learner.exploration, game.legal_actions)
