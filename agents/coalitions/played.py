"""What a coalition of k agents gains in the game of N, as it is played.

All play a policy, then the members play their own, for as long; the mean rewards per agent and step differ by
the gain. Both are played afresh, with standard errors by batch means.

Ours.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.coalitions.learned import Observer, learn_coalition
from agents.coalitions.mean_field import derivative_bytes, mean_field_coalition_gain
from agents.coalitions.result import CoalitionGain, share
from agents.evaluators.exploitability.play import (
    agent_numbers,
    own_probabilities,
    stationary,
    with_deviations,
)
from agents.policies.tabular import TabularPolicy
from karma_envs.config import refusal, whole
from karma_envs.finite import FiniteGame
from karma_envs.game import PopulationGame
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.meaning import ESTIMATED_LOWER_BOUND, Meaning
from karma_envs.outcome import Estimate
from karma_envs.transitions import even_parts, play_on

_LEARNING, _BEFORE, _AFTER = 1, 2, 3  # what random draws are for
_QUICK_BYTES = 2**26  # of derivatives with which the mean field's answer takes some seconds


def played_coalition_gain(
    game: PopulationGame,
    policy: TabularPolicy,
    members: int | ArrayLike,
    *,
    start: NDArray[np.float64] | None = None,
    iterations: int = 15,
    learning_steps: int = 20_000,
    candidates: int = 24,
    spread: float = 1.0,
    n_steps: int = 200_000,
    burn_in: int = 2000,
    batches: int = 20,
    seed: int | Sequence[int] = 0,
    observer: Observer | None = None,
) -> CoalitionGain:
    """Let k of N agents learn together, the others' policy fixed, and measure what they gain in play.

    Args:
        game: the game, with tables and without an end; it is reset.
        policy: what all play without the coalition, and outsiders with it.
        members: how many, evenly spaced among the agents; or their numbers.
        start: what members play to begin with, ``float64[observations, actions]`` or one for each of them;
            None: the mean field's answer, :func:`mean_field_start`, or the policy where there is none.
        iterations: rounds in which they learn, :func:`agents.coalitions.learned.learn_coalition`; 0: they
            play ``start`` as it is.
        learning_steps: steps of play for each policy that they try.
        candidates: policies that they try in a round.
        spread: by how much actions differ that they try in the first round.
        n_steps: steps to measure with, and as many without the coalition.
        burn_in: steps before.
        batches: stretches for standard errors.
        seed: of all random draws.
        observer: called with a :class:`~agents.coalitions.learned.CoalitionStep` after each round.

    Returns:
        the gain of the policy they came to: an estimate of a lower bound on what such a coalition can gain.
        Ctrl-C ends the learning with the best policy so far.

    Raises:
        ConfigError: for a game without tables or with an end, members it does not have, and an option out of
            range.
        PolicyError: when the policy does not fit the game.
    """
    began = time.perf_counter()
    game = stationary(game)
    chosen = _members(game, members)
    batches, burn_in = whole("batches", batches, 2), whole("burn_in", burn_in, 0)
    n_steps, iterations = whole("n_steps", n_steps, batches), whole("iterations", iterations, 0)
    policy = policy.fitted_to(game)
    seeds = list(np.atleast_1d(seed))
    if start is None:
        start = mean_field_start(game, policy, chosen)
    tables = learn_coalition(
        game,
        policy,
        chosen,
        start=start,
        iterations=iterations,
        n_steps=learning_steps,
        candidates=candidates,
        spread=spread,
        seed=[*seeds, _LEARNING],
        observer=observer,
    )
    together = with_deviations(policy, chosen, tables)
    inside = np.isin(np.arange(game.n_agents), chosen)
    lengths = even_parts(n_steps, batches)
    before = _mean_rewards(game, policy, inside, lengths, burn_in, [*seeds, _BEFORE])
    after = _mean_rewards(game, together, inside, lengths, burn_in, [*seeds, _AFTER])
    gain = _difference(after[0], before[0])
    return CoalitionGain(
        method=f"joint learning, {iterations} rounds" if iterations else "as told",
        meaning=Meaning(
            game.n_agents,
            ESTIMATED_LOWER_BOUND,
            f"one stationary policy of each of {len(chosen)} agents who add up their rewards, "
            "the others fixed",
        ),
        size=len(chosen) / game.n_agents,
        gain=gain,
        gain_normalised=share(gain, float(before[0].mean())),
        gain_alone=np.nan,
        cost_to_others=_difference(before[1], after[1]),
        efficiency=_mean(after[2]),
        efficiency_without=_mean(before[2]),
        gain_discounted=np.nan,
        policy=together,
        agreement=None,
        gap=np.nan,
        stationary=False,
        gain_by_start=(),
        seconds=time.perf_counter() - began,
    )


def mean_field_start(
    game: FiniteGame, policy: TabularPolicy, members: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """What a coalition of as large a share of infinitely many agents plays.

    Args:
        game: the game.
        policy: of all its agents; those of a type play on average what its agents do.
        members: ``int64[k]``.

    Returns:
        what each member plays, ``float64[k, observations, actions]``; None where the game has no mean-field
        model with tables, or one of which derivatives take more than 64 MiB.
    """
    model = game.mean_field()
    if not isinstance(model, FiniteMeanFieldModel) or derivative_bytes(model) > _QUICK_BYTES:
        return None
    kind = game.type_of_agent
    rows = np.stack([own_probabilities(policy, agent) for agent in range(game.n_agents)])
    by_type = np.stack([rows[kind == each].mean(axis=0) for each in range(model.n_types)])
    best = mean_field_coalition_gain(model, by_type, len(members) / game.n_agents, starts=1)
    return np.asarray(best.policy.probabilities, np.float64)[kind[members]]


def _members(game: FiniteGame, members: int | ArrayLike) -> NDArray[np.int64]:
    """The numbers of the members, in order."""
    if np.ndim(members) > 0:
        numbers = np.unique(agent_numbers(members, game))
        if len(numbers) != np.size(members):
            raise refusal("members", members, "different agents")
        return numbers
    number = whole("members", members, 1, game.n_agents)
    return np.arange(number) * game.n_agents // number


def _mean_rewards(
    game: FiniteGame,
    policy: TabularPolicy,
    inside: NDArray[np.bool_],
    lengths: list[int],
    burn_in: int,
    seed: list[int],
) -> NDArray[np.float64]:
    """Mean rewards per agent and step of members, others and all, by batch, ``float64[3, batches]``.

    NaN where there are no others.
    """
    game.reset(np.random.default_rng(seed))
    play_on(game, policy, burn_in)
    before, rows = game.outcome(), []
    for length in lengths:
        play_on(game, policy, length)
        outcome = game.outcome()
        rewards = outcome.since(before).rewards / length
        others = rewards[~inside].mean() if not inside.all() else np.nan
        rows.append((rewards[inside].mean(), others, rewards.mean()))
        before = outcome
    return np.array(rows).T


def _mean(batches: NDArray[np.float64]) -> Estimate:
    return Estimate(float(batches.mean()), float(batches.std(ddof=1) / np.sqrt(len(batches))))


def _difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> Estimate:
    """Of two means that were played independently of each other."""
    one, other = _mean(first), _mean(second)
    return Estimate(one.value - other.value, float(np.hypot(one.standard_error, other.standard_error)))
