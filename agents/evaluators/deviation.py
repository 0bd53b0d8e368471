"""What single agents gain by given deviations: by simulation, with common random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.evaluators.estimate import estimate_of
from agents.evaluators.play import agent_numbers, fitted, new_buffer, play_on, with_deviation
from agents.policy import TabularPolicy
from karma_envs.config import real, whole
from karma_envs.display import Said
from karma_envs.game import PopulationGame
from karma_envs.metrics import Estimate
from karma_envs.transitions import Transitions


@dataclass(frozen=True, repr=False)
class DeviationGain(Said):
    """What agents gain by one deviation each, all others fixed: a lower bound on exploitability.

    Attributes:
        method: how the deviation was found.
        kind: ``"estimate"``, without bias but for the returns cut off after ``horizon`` steps.
        is_lower_bound: True: the best deviation gains at least as much, in expectation.
        deviation_class: the deviations considered.
        agents: ``int64[M]``, who deviate, one at a time.
        gains: ``float64[M]``, each agent's payoff of the deviation less that of its current policy.
        gain: mean of ``gains``.
        gain_normalised: the same over |J|.
        payoff: J of the current policies, discounted, from their stationary distribution of states;
            mean over the agents.
        deviations: ``float64[M, observations, actions]``.
        horizon: steps of a return.
    """

    method: str
    kind: str
    is_lower_bound: bool
    deviation_class: str
    agents: NDArray[np.int64]
    gains: NDArray[np.float64]
    gain: Estimate
    gain_normalised: Estimate
    payoff: Estimate
    deviations: NDArray[np.float64]
    horizon: int

    def _said(self) -> dict[str, str]:
        return {
            "method": self.method,
            "gain": str(self.gain),
            "normalised": str(self.gain_normalised),
            "payoff": str(self.payoff),
            "agents": str(len(self.agents)),
        }

    def __float__(self) -> float:
        return self.gain.value


def deviation_gain(
    game: PopulationGame,
    policy: TabularPolicy,
    agents: ArrayLike,
    deviations: NDArray[np.floating[Any]],
    *,
    n_samples: int = 400,
    gap: int = 100,
    burn_in: int = 10_000,
    precision: float = 1e-3,
    seed: int | Sequence[int] = 0,
    method: str = "given deviation",
) -> DeviationGain:
    """Estimate the gain of a deviation (Definition 2.2 for one policy pi').

    While everyone plays the current policy, every so often the game is played several times from the same
    state and with the same random streams: as it is, and with each of the agents deviating alone. The
    differences of that agent's discounted returns average to its gain.

    Args:
        game: the game; it is reset.
        policy: what the agents play.
        agents: who deviate, one at a time: a number or several.
        deviations: ``float[observations, actions]``, what they play instead, or ``float[M, observations,
            actions]``, what each does.
        n_samples: returns of each policy, at least 2.
        gap: steps between two samples, besides the horizon.
        burn_in: steps before the first sample.
        precision: share of a return that may be cut off: the horizon is log(precision) / log(gamma).
        seed: of all random draws.
        method: what the result says of the deviations' origin.

    Raises:
        ConfigError: for an agent that the game does not have, or a number out of range.
        PolicyError: when the policy does not fit the game.
    """
    chosen = agent_numbers(agents, game)
    n_samples, gap = whole("n_samples", n_samples, 2), whole("gap", gap, 1)
    burn_in = whole("burn_in", burn_in, 1)
    precision = real("precision", precision, 0, 1, open_low=True, open_high=True)
    policy = fitted(policy, game)
    given = np.asarray(deviations, np.float64)
    given = np.broadcast_to(given, (len(chosen), *given.shape[-2:]))
    deviating = [with_deviation(policy, agent, what) for agent, what in zip(chosen, given)]
    discounts = game.discounts[game.type_of_agent[chosen]]
    longest = float(discounts.max())
    horizon = int(np.ceil(np.log(precision) / np.log(longest))) if longest else 1
    weights = discounts[:, None] ** np.arange(horizon)
    game.reset(np.random.default_rng(seed))
    buffer = new_buffer(game, max(burn_in, gap))
    window = Transitions.empty(horizon, game.n_agents)

    def discounted(what: TabularPolicy) -> NDArray[np.float64]:
        rewards = game.rollout(what, horizon, out=window).rewards[:, chosen]
        return np.asarray((weights.T * rewards).sum(axis=0))

    play_on(game, policy, burn_in, buffer)
    returns = np.empty((2, len(chosen), n_samples))
    for sample in range(n_samples):
        play_on(game, policy, gap, buffer)
        state = game.state_dict()
        for index, what in enumerate(deviating):
            returns[1, index, sample] = discounted(what)[index]
            game.load_state_dict(state)
        returns[0, :, sample] = discounted(policy)
    gains = returns[1] - returns[0]
    gain, payoff = estimate_of(gains), estimate_of(returns[0])
    scale = abs(payoff.value) or 1.0
    return DeviationGain(
        method=method,
        kind="estimate",
        is_lower_bound=True,
        deviation_class="one stationary policy of one agent, all others fixed",
        agents=chosen,
        gains=gains.mean(axis=1),
        gain=gain,
        gain_normalised=Estimate(gain.value / scale, gain.standard_error / scale),
        payoff=payoff,
        deviations=given,
        horizon=horizon,
    )
