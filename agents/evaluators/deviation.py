"""What one agent gains by a given deviation: by simulation, with common random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.evaluators.estimate import standard_error
from agents.evaluators.play import fitted, new_buffer, rollouts, with_deviation
from agents.policy import TabularPolicy
from karma_envs.config import real, whole
from karma_envs.game import PopulationGame, Transitions
from karma_envs.metrics import Estimate


@dataclass(frozen=True)
class DeviationGain:
    """What an agent gains by one deviation, all others fixed: a lower bound on its exploitability.

    Attributes:
        method: how the deviation was found.
        kind: ``"estimate"``, without bias but for the returns cut off after ``horizon`` steps.
        is_lower_bound: True: the best deviation gains at least as much, in expectation.
        deviation_class: the deviations considered.
        agent: who deviates.
        gain: payoff of the deviation less that of the current policy.
        gain_normalised: the same over |J|.
        payoff: J of the current policy, discounted, from its stationary distribution of states.
        deviation: ``float64[observations, actions]``.
        horizon: steps of a return.
    """

    method: str
    kind: str
    is_lower_bound: bool
    deviation_class: str
    agent: int
    gain: Estimate
    gain_normalised: Estimate
    payoff: Estimate
    deviation: NDArray[np.float64]
    horizon: int

    def __float__(self) -> float:
        return self.gain.value


def deviation_gain(
    game: PopulationGame,
    policy: TabularPolicy,
    agent: int,
    deviation: NDArray[np.floating[Any]],
    *,
    n_samples: int = 400,
    gap: int = 100,
    burn_in: int = 10_000,
    precision: float = 1e-3,
    seed: int | Sequence[int] = 0,
    method: str = "given deviation",
) -> DeviationGain:
    """Estimate the gain of a deviation (Definition 2.2 for one policy pi').

    While everyone plays the current policy, every so often the game is played twice from the same state
    and with the same random streams: as it is, and with the agent deviating. The difference of the
    agent's discounted returns averages to the gain.

    Args:
        game: the game; it is reset.
        policy: what the agents play.
        agent: who deviates.
        deviation: ``float[observations, actions]``, what it plays instead.
        n_samples: pairs of returns, at least 2.
        gap: steps between two pairs, besides the horizon.
        burn_in: steps before the first pair.
        precision: share of a return that may be cut off: the horizon is log(precision) / log(gamma).
        seed: of all random draws.
        method: what the result says of the deviation's origin.
    """
    n_samples, gap = whole("n_samples", n_samples, 2), whole("gap", gap, 1)
    burn_in = whole("burn_in", burn_in, 1)
    precision = real("precision", precision, 0, 1, open_low=True, open_high=True)
    policy = fitted(policy, game)
    deviating = with_deviation(policy, agent, deviation)
    discount = float(game.discounts[game.type_of_agent[agent]])
    horizon = int(np.ceil(np.log(precision) / np.log(discount))) if discount else 1
    weights = discount ** np.arange(horizon)
    game.reset(np.random.default_rng(seed))
    buffer = new_buffer(game, max(burn_in, gap))
    window = Transitions.empty(horizon, game.n_agents)

    def played(steps: int) -> None:
        for _ in rollouts(game, policy, steps, buffer):
            pass

    def discounted(what: TabularPolicy) -> float:
        rewards = game.rollout(what, horizon, out=window).rewards[:, agent]
        return float(weights @ rewards.astype(np.float64))

    played(burn_in)
    returns = np.empty((2, n_samples))
    for sample in range(n_samples):
        played(gap)
        state = game.state_dict()
        returns[1, sample] = discounted(deviating)
        game.load_state_dict(state)
        returns[0, sample] = discounted(policy)
    gains = returns[1] - returns[0]
    error, gain = float(standard_error(gains)), float(gains.mean())
    payoff = Estimate(float(returns[0].mean()), float(standard_error(returns[0])))
    scale = abs(payoff.value) or 1.0
    return DeviationGain(
        method=method,
        kind="estimate",
        is_lower_bound=True,
        deviation_class="one stationary policy of one agent, all others fixed",
        agent=agent,
        gain=Estimate(gain, error),
        gain_normalised=Estimate(gain / scale, error / scale),
        payoff=payoff,
        deviation=np.asarray(deviation, np.float64),
        horizon=horizon,
    )
