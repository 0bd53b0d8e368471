"""Exact exploitability of a population whose agents play policies of their own.

Ours: the mean field in which every agent stands for a type of its own, with 1/N of the mass. It leaves out
only what an agent owes to there being N agents and not infinitely many, of the order 1/N; there is no
sampling error. Algorithms 3 and 4 estimate the same from play.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.evaluators.play import fitted
from agents.policy import TabularPolicy
from karma_envs.config import refuse
from karma_envs.display import Said
from karma_envs.game import PopulationGame
from karma_envs.mean_field.chains import as_distribution
from karma_envs.mean_field.dynamic_programming import best_response, policy_value
from karma_envs.mean_field.stationary import AT_REST, stationary_mean_field

_MOST_ENTRIES = 200_000_000  # of the transition tensor, 1.6 GB


@dataclass(frozen=True, repr=False)
class ExploitabilityByAgent(Said):
    """What each agent gains by changing its policy while all others keep theirs (Thesis, Definition 2.2).

    Exact in the mean field of the population's own policies; deviations to any stationary policy.

    Attributes:
        payoffs: ``float64[N]``, J of the current policy, discounted, from the agent's stationary states.
        greedy: ``float64[N]``, payoff of the best response less ``payoffs``.
        to_targets: ``float64[N, targets]``, payoff of a target policy less ``payoffs``.
        best_responses: ``float64[N, observations, actions]``, a best response of each agent.
        stationary_residual: largest change of an agent's distribution of states in one more step. Where it
            is not 0 but for rounding the population is not at rest, and the other numbers are those of an
            agent for which it would stand still as it is.
        payoff: mean of ``payoffs``.
        absolute: mean of ``greedy``.
        normalised: the same over |J|.
    """

    payoffs: NDArray[np.float64]
    greedy: NDArray[np.float64]
    to_targets: NDArray[np.float64]
    best_responses: NDArray[np.float64]
    stationary_residual: float

    @property
    def at_rest(self) -> bool:
        """Whether the population is at rest, so that the numbers are what they are called."""
        return self.stationary_residual <= AT_REST

    @property
    def payoff(self) -> float:
        """J, mean over the agents."""
        return float(self.payoffs.mean())

    @property
    def absolute(self) -> float:
        """Exploitability in discounted payoff, mean over the agents."""
        return float(self.greedy.mean())

    @property
    def normalised(self) -> float:
        """Exploitability over the magnitude of the payoff."""
        return self.absolute / abs(self.payoff) if self.payoff else float(self.absolute > 0)

    def _said(self) -> dict[str, str]:
        rest = "" if self.at_rest else f"; not at rest: a step changes mu by {self.stationary_residual:.1e}"
        return {
            "absolute": f"{self.absolute:.4g}",
            "normalised": f"{self.normalised:.4g}{rest}",
            "of agents": f"{self.greedy.min():.4g} … {self.greedy.max():.4g}",
            "payoff": f"{self.payoff:.6g}",
        }

    def __float__(self) -> float:
        return self.absolute


def exploitability_by_agent(
    game: PopulationGame, policy: TabularPolicy, *, targets: Sequence[TabularPolicy] = ()
) -> ExploitabilityByAgent:
    """Evaluate every agent of a population exactly, in the mean field.

    Memory: 8 bytes times N times observations squared times actions, several times (30 MB for 100 agents
    of the default matching game).

    Args:
        game: the game; it is not played.
        policy: what the agents play.
        targets: policies to compare with, each played by one agent at a time.

    Raises:
        ConfigError: for a game without a mean-field model, or of too many agents.
        PolicyError: when a policy does not fit the game.
    """
    check_by_agent(game)
    model = game.mean_field(by_agent=True)
    assert model is not None
    rows = [_rows(fitted(each, game)) for each in (policy, *targets)]
    field = stationary_mean_field(model, rows[0])
    current = policy_value(model, field.problem, rows[0])
    best, value = best_response(model, field.problem, start=rows[0])
    gains = [policy_value(model, field.problem, row) - current for row in rows[1:]]

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((field.mean_field * values).sum(axis=1))

    return ExploitabilityByAgent(
        payoffs=mean(current),
        greedy=np.maximum(mean(value - current), 0.0),
        to_targets=np.stack([mean(gain) for gain in gains], axis=1)
        if gains
        else np.empty((game.n_agents, 0)),
        best_responses=best,
        stationary_residual=field.residual,
    )


def most_agents(game: PopulationGame) -> int:
    """How many agents of a game can be evaluated agent by agent, by memory."""
    return _MOST_ENTRIES // (game.n_observations**2 * game.n_actions)


def check_by_agent(game: PopulationGame) -> None:
    """Refuse a game that cannot be evaluated agent by agent.

    Raises:
        ConfigError: for a game without a mean-field model, or of too many agents.
    """
    if game.mean_field() is None:
        raise refuse("game", type(game).__name__, "one that has a mean-field model, for an exact evaluation")
    most = most_agents(game)
    if game.n_agents > most:
        raise refuse(
            "n_agents", game.n_agents, f"at most {most} for an exact evaluation agent by agent, by memory"
        )


def _rows(policy: TabularPolicy) -> NDArray[np.float64]:
    """``float64[N, observations, actions]``."""
    table = np.asarray(policy.probabilities, np.float64)[policy.row_of_agent]
    return as_distribution(table)
