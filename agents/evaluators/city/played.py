"""Exploitability of the congested city for the N that it has, by play.

What an agent meets is counted while the N agents play (:mod:`agents.evaluators.city.lanes_in_play`): the
chance to get into each lane with each bid, and what is shared out. In the city's mean-field model such a
table takes the place of the one that the model derives from Poisson numbers of competitors, and gives every
agent a small decision problem of its own, solved exactly:

    gain_i = sum over x of mu_i(x) [V*_i(x) - V^pi_i(x)].

So the chances are those of N agents, with whatever makes queues fluctuate together. They have no memory: what
an agent knows by having waited, that the lane it waits at is fuller than on average, is left out but for what
all have waited who bid so there with the same type and urgency. So what agents earn now is told well (100
agents on two by two nodes: efficiency off by .0 % for random bids, .9 % for proportional ones; 1.2 and 4.8 %
with chances that go by bids alone). A deviator's gain is told somewhat too high, as it meets queues where
those who would bid as it does have not been. Measured with :func:`agents.evaluators.deviation_gain` and the
``best_responses`` found here, deviators of 100 at once: 30.96 +- .33 of 31.81 predicted for random bids, 22.1
+- .2 of 23.9 for proportional ones.

Ours. The greatest of values with errors is too great: ``gain`` is biased upward by what the counts err, and
``gain_held_out``, of responses to one half of the play in the other half, downward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.evaluators.city.lanes_in_play import LanesInPlay, check_countable, count_lanes
from agents.policies.tabular import TabularPolicy
from karma_envs.config import refusal
from karma_envs.display import Said
from karma_envs.game import PopulationGame
from karma_envs.games.grid_city import GridCityGame
from karma_envs.games.grid_city.mean_field import CityMeanField
from karma_envs.games.grid_city.mean_field.lanes import LEAST_CHANCE
from karma_envs.mean_field import DecisionProblem
from karma_envs.mean_field.chains import as_distribution
from karma_envs.meaning import ESTIMATE, STATIONARY, Meaning, Meant
from karma_envs.outcome import Estimate


@dataclass(frozen=True, repr=False)
class PlayedExploitability(Said, Meant):
    """What agents of a city of N gain by best responses to what was counted in play; see the module.

    Attributes:
        meaning: which exploitability ``gain`` is: an estimate for the game's N.
        gain: in discounted payoff, mean over the agents; standard errors are over batches of the play.
        gain_normalised: the same over |J|.
        gain_held_out: of responses to what one half of the play tells, in the other half.
        payoff: J of the policy, mean over the agents.
        efficiency: mean reward per agent and step that was played.
        efficiency_predicted: the same of the agents' decision problems at rest: what it differs by is what
            these leave out.
        gains: ``float64[G]``, by kind of agents: such that are alike in type, trips and policy.
        payoffs: ``float64[G]``, J of each kind.
        best_responses: ``float64[G, X, A]``.
        row_of_agent: ``int64[N]``, which kind each agent is.
        lanes: what was counted.
    """

    meaning: Meaning
    gain: Estimate
    gain_normalised: Estimate
    gain_held_out: Estimate
    payoff: Estimate
    efficiency: Estimate
    efficiency_predicted: float
    gains: NDArray[np.float64]
    payoffs: NDArray[np.float64]
    best_responses: NDArray[np.float64]
    row_of_agent: NDArray[np.int64]
    lanes: LanesInPlay

    def _said(self) -> dict[str, str]:
        return {
            "gain": str(self.gain),
            "normalised": str(self.gain_normalised),
            "held out": str(self.gain_held_out),
            "payoff": str(self.payoff),
            "efficiency": str(self.efficiency),
            "meaning": str(self.meaning),
        }

    def __float__(self) -> float:
        return self.gain.value


def played_exploitability(
    game: PopulationGame,
    policy: TabularPolicy,
    *,
    n_steps: int = 20_000,
    burn_in: int = 2000,
    batches: int = 10,
    seed: int = 0,
) -> PlayedExploitability:
    """Estimate how exploitable the agents of a city are, for the N that it has.

    Args:
        game: the city; it is reset.
        policy: what its agents play.
        n_steps: steps that are counted.
        burn_in: steps before.
        batches: stretches of play, over which standard errors are taken; at least 4, and even.
        seed: of all random draws.

    Raises:
        ConfigError: for a game that this is not for (see
            :func:`agents.evaluators.city.lanes_in_play.check_countable`), or a number out of range.
        PolicyError: when the policy does not fit the game.
    """
    if batches < 4 or batches % 2:
        raise refusal("batches", batches, "an even number, at least 4")
    policy = policy.fitted_to(game)
    lanes = count_lanes(game, policy, n_steps=n_steps, burn_in=burn_in, batches=batches, seed=seed)
    model, table, row_of_agent = modelled(check_countable(game), policy)

    def faced(part: slice) -> DecisionProblem:
        return played_problem(model, lanes, part)

    everything = faced(slice(None))
    mean_field = everything.at_rest(table)
    value = everything.policy_value(model.discounts, table)
    response, best = everything.best_response(model.discounts, model.legal_actions, table)
    gains, payoffs = _means(mean_field, best - value), _means(mean_field, value)

    def gain_and_payoff(part: slice, response: NDArray[np.float64]) -> NDArray[np.float64]:
        """Gain of a response where agents face what was counted in a part of the play, and J there."""
        problem = faced(part)
        current = problem.policy_value(model.discounts, table)
        gain = problem.policy_value(model.discounts, response) - current
        return np.array([model.masses @ _means(mean_field, each) for each in (gain, current)])

    by_batch = np.array([gain_and_payoff(slice(batch, batch + 1), response) for batch in range(batches)])
    halves = slice(0, None, 2), slice(1, None, 2)
    held_out = []
    for told, other in (halves, halves[::-1]):
        answer, _ = faced(told).best_response(model.discounts, model.legal_actions, response)
        held_out.append(gain_and_payoff(other, answer)[0])
    errors = by_batch.std(axis=0, ddof=1) / np.sqrt(batches)
    gain = Estimate(float(model.masses @ gains), float(errors[0]))
    payoff = Estimate(float(model.masses @ payoffs), float(errors[1]))
    scale = abs(payoff.value) or 1.0
    rewards = lanes.rewards.mean(axis=1)
    flow = mean_field[..., None] * table
    return PlayedExploitability(
        meaning=Meaning(game.n_agents, ESTIMATE, STATIONARY),
        gain=gain,
        gain_normalised=Estimate(gain.value / scale, gain.standard_error / scale),
        gain_held_out=Estimate(float(np.mean(held_out)), gain.standard_error),
        payoff=payoff,
        efficiency=Estimate(float(rewards.mean()), float(rewards.std(ddof=1) / np.sqrt(batches))),
        efficiency_predicted=float(model.masses @ (flow * everything.reward).sum(axis=(1, 2))),
        gains=gains,
        payoffs=payoffs,
        best_responses=response,
        row_of_agent=row_of_agent,
        lanes=lanes,
    )


def _means(mean_field: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((mean_field * values).sum(axis=1))


def modelled(
    city: GridCityGame, policy: TabularPolicy
) -> tuple[CityMeanField, NDArray[np.float64], NDArray[np.int64]]:
    """The city's model with a kind for all agents that are alike, their policy too, and that policy in it.

    Args:
        city: the city.
        policy: of its agents, with a row for each agent to play.

    Returns:
        the model; ``float64[G, X, A]``; and ``int64[N]``, the kind of each agent.
    """
    kinds = city.kind_of_agent
    _, first = np.unique(kinds, return_index=True)
    alike = bool((policy.row_of_agent == policy.row_of_agent[first][kinds]).all())
    rows = kinds if alike else np.arange(city.n_agents)
    representative = first if alike else rows
    table = np.asarray(policy.probabilities, np.float64)[policy.row_of_agent[representative]]
    return CityMeanField(city, by_agent=not alike), as_distribution(table), rows


def played_problem(model: CityMeanField, lanes: LanesInPlay, part: slice = slice(None)) -> DecisionProblem:
    """What agents face where they meet what was counted, in some of the batches or in all."""
    win = np.maximum(lanes.win(part), LEAST_CHANCE)
    return model.with_win_table(win, lanes.statistic(part), lanes.columns)
