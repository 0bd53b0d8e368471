"""A lower bound on exploitability in the game of N agents, by play, for N beyond exact computation.

For an agent of each type, deviations are proposed, all of them stationary in what an agent sees of itself:

- a best response in the mean field of the policy, where the game has a model of it;
- best responses to what the agent is seen to face in play (:func:`counted_response`);
- what it learns by Q-learning (:mod:`agents.evaluators.exploitability.relearning`);
- any others that are handed over.

Each is played on one sample, the best of them is chosen and *played afresh* on another. So the gain that is
told has no bias from the choice, and the exploitability is at least as great, in expectation.

Ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.evaluators.exploitability.deviation import deviation_gain
from agents.evaluators.exploitability.play import own_probabilities, stationary, with_deviation
from agents.evaluators.exploitability.relearning import learned_response
from agents.evaluators.exploitability.result import standard_error
from agents.policies.tabular import TabularPolicy
from karma_envs.config import refusal, whole
from karma_envs.display import Said
from karma_envs.finite import FiniteGame
from karma_envs.game import PopulationGame
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import DecisionProblem
from karma_envs.meaning import ESTIMATED_LOWER_BOUND, Meaning, Meant
from karma_envs.numerics.sampling import uniform_over
from karma_envs.outcome import Estimate
from karma_envs.transitions import chunks, even_parts, play_on

NO_DEVIATION = "no deviation"
_NO_GAIN = Estimate(0.0, 0.0)
_DEVIATIONS = "the best stationary deviation of one agent that was found"
_BATCHES = 20  # stretches that standard errors of payoffs are taken over
_BURN_IN = 2000  # steps
_ROUNDS = 4  # of counting
_EXPLORATION = 0.5  # of the agent that counts
_FEWEST_COUNTS = 10  # of an action, for it to be judged
_MOST_COUNTS = 25_000_000  # observations² times actions, 200 MB


@dataclass(frozen=True, repr=False)
class SimulatedBound(Said, Meant):
    """What single agents of a population of N gain by the best deviations that were found, by play.

    Attributes:
        meaning: which exploitability it is: an estimate of a lower bound, for this N.
        gain: in discounted payoff from the stationary distribution of states, mean over the population.
        gain_normalised: the same over |J|.
        tried_normalised: the same of the best deviations that were tried, played afresh also where all of
            them lost on the sample that chose: ``gain`` is 0 then, and this tells how surely.
        gain_by_type: ``float64[types]``, with ``gain_by_type_errors``.
        gain_by_type_errors: ``float64[types]``, standard errors.
        payoff: J of the policy, discounted, mean over the population.
        payoff_by_type: ``float64[types]``.
        efficiency: mean reward per agent and step.
        deviations: ``float64[types, observations, actions]``, the deviations that gain so much.
        chosen: how each type's deviation was found.
        considered: gain of every deviation on the sample that chose, ``float64[types]`` by its name; NaN
            where a type had none of this name.
    """

    meaning: Meaning
    gain: Estimate
    gain_normalised: Estimate
    tried_normalised: Estimate
    gain_by_type: NDArray[np.float64]
    gain_by_type_errors: NDArray[np.float64]
    payoff: Estimate
    payoff_by_type: NDArray[np.float64]
    efficiency: Estimate
    deviations: NDArray[np.float64]
    chosen: tuple[str, ...]
    considered: Mapping[str, NDArray[np.float64]]

    def _said(self) -> dict[str, str]:
        return {
            "gain": str(self.gain),
            "normalised": str(self.gain_normalised),
            "meaning": str(self.meaning),
            "payoff": str(self.payoff),
            "efficiency": str(self.efficiency),
            "deviations": ", ".join(self.chosen),
        }

    def __float__(self) -> float:
        return self.gain.value


def simulated_bound(
    game: PopulationGame,
    policy: TabularPolicy,
    *,
    deviations: Mapping[str, NDArray[np.floating[Any]]] | None = None,
    count_steps: int = 1_000_000,
    learn_steps: int = 0,
    n_select: int = 300,
    n_samples: int = 2000,
    payoff_steps: int | None = None,
    seed: int | Sequence[int] = 0,
) -> SimulatedBound:
    """Bound what single agents of a population gain by leaving a policy, from below, by play.

    Args:
        game: the game, with as many agents as the bound is for; it is reset.
        policy: what the agents play: one row for all, or a row per type.
        deviations: others to consider, by name, ``float[types, observations, actions]`` each.
        count_steps: steps in which an agent counts what it faces; 0: it does not.
        learn_steps: steps of Q-learning; 0: none. Counting finds as much in fewer steps.
        n_select: returns of each deviation that choose among them.
        n_samples: returns of the chosen one.
        payoff_steps: steps that the payoff is taken over; None: two million over N, at least 2000.
        seed: of all random draws.

    Raises:
        ConfigError: for a game that ends or has no tables, or a number out of range.
        PolicyError: when the policy does not fit the game.
    """
    game = stationary(game)
    n_agents, n_types = game.n_agents, len(game.discounts)
    count_steps, learn_steps = whole("count_steps", count_steps, 0), whole("learn_steps", learn_steps, 0)
    n_select, n_samples = whole("n_select", n_select, 2), whole("n_samples", n_samples, 2)
    steps = max(2_000_000 // n_agents, 2000) if payoff_steps is None else payoff_steps
    steps = whole("payoff_steps", steps, _BATCHES)
    if count_steps and game.n_observations**2 * game.n_actions > _MOST_COUNTS:
        raise refusal("count_steps", count_steps, "0: a game of so many observations cannot be counted")
    seeds = [*np.atleast_1d(seed)]
    policy = policy.fitted_to(game)
    given = _given(game, deviations or {})
    response = _mean_field_response(game, policy)
    if response is not None:
        given = {"mean-field best response": response, **given}

    efficiency, rewards = _rewards(game, policy, steps, [*seeds, 0])
    gains, errors, tried, tried_errors = np.zeros((4, n_types))
    chosen: list[str] = []
    tables = np.empty((n_types, game.n_observations, game.n_actions))
    considered: dict[str, NDArray[np.float64]] = {}
    for kind in range(n_types):
        agent = int(np.argmax(game.type_of_agent == kind))
        candidates = {name: table[kind] for name, table in given.items()}
        if count_steps:
            rng = np.random.default_rng([*seeds, 1, kind])
            for number, table in enumerate(counted_responses(game, policy, agent, count_steps, rng)):
                candidates[f"counted response {number + 1}"] = table
        if learn_steps:
            candidates["re-learning"] = learned_response(game, policy, agent, learn_steps, [*seeds, 2, kind])
        first = _gains(game, policy, agent, list(candidates.values()), n_select, [*seeds, 3, kind])
        for name, estimate in zip(candidates, first):
            considered.setdefault(name, np.full(n_types, np.nan))[kind] = estimate.value
        best = max(zip(candidates, first), key=lambda pair: pair[1].value, default=(NO_DEVIATION, _NO_GAIN))
        chosen.append(best[0] if best[1].value > 0 else NO_DEVIATION)
        tables[kind] = candidates.get(chosen[-1], own_probabilities(policy, agent))
        if best[0] != NO_DEVIATION:
            (afresh,) = _gains(game, policy, agent, [candidates[best[0]]], n_samples, [*seeds, 4, kind])
            tried[kind], tried_errors[kind] = afresh.value, afresh.standard_error
        if chosen[-1] != NO_DEVIATION:
            gains[kind], errors[kind] = tried[kind], tried_errors[kind]

    shares = np.bincount(game.type_of_agent, minlength=n_types) / n_agents
    # From the stationary distribution every step has the same expected reward.
    payoffs = rewards / (1 - game.discounts)
    payoff = Estimate(float(payoffs.mean(axis=0) @ shares), float(standard_error(payoffs @ shares)))
    gain, of_tried = (
        Estimate(float(shares @ values), float(np.sqrt(shares**2 @ spread**2)))
        for values, spread in ((gains, errors), (tried, tried_errors))
    )
    return SimulatedBound(
        meaning=Meaning(n_agents, ESTIMATED_LOWER_BOUND, _DEVIATIONS),
        gain=gain,
        gain_normalised=_ratio(gain, payoff),
        tried_normalised=_ratio(of_tried, payoff),
        gain_by_type=gains,
        gain_by_type_errors=errors,
        payoff=payoff,
        payoff_by_type=payoffs.mean(axis=0),
        efficiency=efficiency,
        deviations=tables,
        chosen=tuple(chosen),
        considered=considered,
    )


def counted_responses(
    game: FiniteGame, policy: TabularPolicy, agent: int, n_steps: int, rng: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    """Best responses of one agent to what it is seen to face, each ``float64[observations, actions]``.

    While all others play the policy, the agent plays its own, mixed with uniformly random legal actions, and
    counts what its actions lead to in what it sees of itself. A best response to these frequencies is one
    to the game as if it were a decision problem in the agent's own state, which it is not quite: what others
    hold depends on what the agent did. So the frequencies are counted anew where the response leads.

    Args:
        game: the game; it is reset.
        policy: what the agents play, of this game's agents.
        agent: who deviates.
        n_steps: steps in all, shared by the rounds.
        rng: seeds the play.

    Yields:
        a response at the end of each round.
    """
    game.reset(rng)
    play_on(game, policy, _BURN_IN)
    n_states, n_actions = game.n_observations, game.n_actions
    uniform = uniform_over(game.legal_actions)
    discount = game.discounts[game.type_of_agent[agent], None]
    response = own_probabilities(policy, agent)
    counts = np.zeros(n_states * n_actions * n_states, np.int64)
    rewards = np.zeros(n_states * n_actions)
    own = np.array([agent])
    for length in even_parts(n_steps, _ROUNDS):
        exploring = with_deviation(policy, agent, (1 - _EXPLORATION) * response + _EXPLORATION * uniform)
        for _, piece in chunks(game, exploring, length):
            part = piece.of_agents(own)
            states = part.observations[:, 0].astype(np.int64)
            place = states[:-1] * n_actions + part.actions[:, 0]
            counts += np.bincount(place * n_states + states[1:], minlength=len(counts))
            rewards += np.bincount(place, weights=part.rewards[:, 0], minlength=len(rewards))
        response = _response_to(
            counts.reshape(n_states, n_actions, n_states),
            rewards.reshape(n_states, n_actions),
            discount,
            response,
        )
        yield response


def _response_to(
    counts: NDArray[np.int64],
    rewards: NDArray[np.float64],
    discount: NDArray[np.float64],
    current: NDArray[np.float64],
) -> NDArray[np.float64]:
    """A best response to frequencies, among actions that were seen often enough; elsewhere as before.

    Args:
        counts: ``int64[X, A, X]``, how often an action led where.
        rewards: ``float64[X, A]``, their sums.
        discount: gamma, ``float64[1]``.
        current: ``float64[X, A]``.
    """
    often = counts.sum(axis=2)
    judged = often >= _FEWEST_COUNTS
    known = judged.any(axis=1, keepdims=True)
    mean = rewards / np.maximum(often, 1)
    # Where too little was seen an agent would stay at the worst of rewards: it keeps away from there.
    reward = np.where(judged, mean, mean.min(initial=0.0))
    frequencies = counts / np.maximum(often, 1)[..., None]
    kernel = np.where(judged[..., None], frequencies, np.eye(len(counts))[:, None])
    problem = DecisionProblem(reward[None], kernel[None])
    best, _ = problem.best_response(discount, judged | ~known)
    return np.where(known, best[0], current)


def _gains(
    game: FiniteGame,
    policy: TabularPolicy,
    agent: int,
    deviations: Sequence[NDArray[np.float64]],
    n_samples: int,
    seed: Sequence[int],
) -> list[Estimate]:
    """What an agent gains by each of several deviations, all played from the same states."""
    if not deviations:
        return []
    agents = np.full(len(deviations), agent)
    played = deviation_gain(
        game, policy, agents, np.stack(deviations), n_samples=n_samples, burn_in=_BURN_IN, seed=seed
    )
    return [Estimate(float(gain), float(error)) for gain, error in zip(played.gains, played.gain_errors)]


def _mean_field_response(game: FiniteGame, policy: TabularPolicy) -> NDArray[np.float64] | None:
    """A best response in the mean field of the policy, ``float64[types, X, A]``; None where it has none."""
    model = game.mean_field()
    if not isinstance(model, FiniteMeanFieldModel) or model.n_types != len(game.discounts):
        return None
    first = np.unique(game.type_of_agent, return_index=True)[1]
    rows = np.stack([own_probabilities(policy, int(agent)) for agent in first])
    problem = model.population_at_rest(rows).problem
    return problem.best_response(model.discounts, model.legal_actions)[0]


def _given(
    game: FiniteGame, deviations: Mapping[str, NDArray[np.floating[Any]]]
) -> dict[str, NDArray[np.float64]]:
    """Deviations handed over, checked."""
    shape = (len(game.discounts), game.n_observations, game.n_actions)
    for name, table in deviations.items():
        if np.shape(table) != shape:
            raise refusal("deviations", np.shape(table), f"an array {shape} for {name!r}")
    return {name: np.asarray(table, np.float64) for name, table in deviations.items()}


def _rewards(
    game: FiniteGame, policy: TabularPolicy, n_steps: int, seed: Sequence[int]
) -> tuple[Estimate, NDArray[np.float64]]:
    """Mean reward per agent and step, and by stretch and type, ``float64[stretches, types]``."""
    game.reset(np.random.default_rng(seed))
    play_on(game, policy, _BURN_IN)
    members = [game.type_of_agent == kind for kind in range(len(game.discounts))]
    by_type, overall, before = [], [], game.outcome()
    for length in even_parts(n_steps, _BATCHES):
        play_on(game, policy, length)
        after = game.outcome()
        mean = after.since(before).rewards / length
        by_type.append([mean[which].mean() for which in members])
        overall.append(mean.mean())
        before = after
    means = np.array(overall)
    return Estimate(float(means.mean()), float(standard_error(means))), np.array(by_type)


def _ratio(gain: Estimate, payoff: Estimate) -> Estimate:
    """A gain over |J|, with the errors of both."""
    scale = abs(payoff.value)
    if not scale:
        return gain
    value = gain.value / scale
    return Estimate(value, float(np.hypot(gain.standard_error, value * payoff.standard_error)) / scale)
