"""A joint learner: k agents of N who find out in play how to bid for the greatest sum of rewards.

Members keep a policy and shift its actions, which stand for amounts such as bids, all by the same rule: by a
number, and in proportion to the last axis of an observation (karma), for each value of the other axes,

    a -> a + s(x),    s(x) = sum over other axes of (theta_value + slope_value * (2 x_last / max x_last - 1)),

rounded up or down at random so that the mean holds, and within what is legal. The cross-entropy method seeks
theta: many are drawn from a normal distribution and played, each in the same draws of the game; mean and
spread of the best ones are the next distribution. In the end what they learned, what they began with and the
policy of all are played once more, and members stay with the best of the three.

Source: Rubinstein 1999, *The cross-entropy method for combinatorial and continuous optimization*; Mannor,
Rubinstein and Gat 2003, *The cross entropy method for fast policy search*.

Differences from the sources:
    One normal distribution with independent components, its moves smoothed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.evaluators.exploitability.play import own_probabilities, with_deviations
from agents.policies.tabular import TabularPolicy
from karma_envs.config import real, refusal, whole
from karma_envs.finite import FiniteGame
from karma_envs.transitions import play_on

_BURN_IN = 500
_ELITE = 0.25  # share of what is played that the next distribution is made of
_SMOOTHING = 0.7  # weight of the new distribution
_CHOICE = 4  # times as many steps to choose between the start and what was learned
_MOST_BYTES = 2**30  # of the members' tables


@dataclass(frozen=True)
class CoalitionStep:
    """A round of a coalition's search.

    Attributes:
        iteration: how many rounds there were before.
        mean_reward: of a member per step, mean over the best of the round.
        spread: greatest standard deviation of a shift, in actions.
    """

    iteration: int
    mean_reward: float
    spread: float

    def __str__(self) -> str:
        return (
            f"round {self.iteration} · reward of a member {self.mean_reward:.5g} · spread {self.spread:.2g}"
        )


Observer = Callable[[CoalitionStep], None]


def learn_coalition(
    game: FiniteGame,
    policy: TabularPolicy,
    members: NDArray[np.int64],
    *,
    start: NDArray[np.float64] | None = None,
    iterations: int = 15,
    n_steps: int = 20_000,
    candidates: int = 24,
    spread: float = 1.0,
    seed: int | Sequence[int] = 0,
    observer: Observer | None = None,
) -> NDArray[np.float64]:
    """Let members learn together.

    Args:
        game: the game; it is reset.
        policy: of all its agents.
        members: ``int64[k]``, who learn.
        start: what they play to begin with, ``float64[observations, actions]``, or one for each, such as
            :func:`agents.coalitions.played.mean_field_start`; None: the policy.
        iterations: rounds of the search; 0: they stay with the start, however it does.
        n_steps: steps of play for each candidate.
        candidates: thetas of a round, at least 4.
        spread: standard deviation of shifts in the first round, in actions.
        seed: of all random draws.
        observer: called after each round.

    Returns:
        what each plays, ``float64[k, observations, actions]``. Ctrl-C ends with the best so far.

    Raises:
        ConfigError: for a game whose actions are no amounts, tables too large, and an option out of range.
    """
    iterations, n_steps = whole("iterations", iterations, 0), whole("learning_steps", n_steps, 1)
    candidates, spread = whole("candidates", candidates, 4), real("spread", spread, 0, open_low=True)
    shape = len(members), game.n_observations, game.n_actions
    if 8 * np.prod(shape) > _MOST_BYTES:
        raise refusal("members", len(members), f"so many that their tables take {_MOST_BYTES / 2**30:g} GiB")
    as_all = np.stack([own_probabilities(policy, int(member)) for member in members])
    first = as_all if start is None else np.array(np.broadcast_to(start, shape), np.float64)
    if iterations == 0:
        return first
    features = shift_features(game)
    seeds = list(np.atleast_1d(seed))

    def shifted_by(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        return shifted(first, features @ theta, game.legal_actions)

    def reward(tables: NDArray[np.float64], length: int, draws: list[int]) -> float:
        game.reset(np.random.default_rng(draws))
        together = with_deviations(policy, members, tables)
        play_on(game, together, _BURN_IN)
        before = game.outcome()
        play_on(game, together, length)
        return float(game.outcome().since(before).rewards[members].mean() / length)

    rng = np.random.default_rng([*seeds, 0])
    mean, deviation = np.zeros(features.shape[1]), np.full(features.shape[1], spread)
    best_ones = max(2, round(_ELITE * candidates))
    with contextlib.suppress(KeyboardInterrupt):
        for iteration in range(iterations):
            thetas = mean + deviation * rng.normal(size=(candidates, len(mean)))
            thetas[0] = mean
            rewards = np.array(
                [reward(shifted_by(theta), n_steps, [*seeds, 1, iteration]) for theta in thetas]
            )
            elite = np.argsort(rewards)[-best_ones:]
            mean = (1 - _SMOOTHING) * mean + _SMOOTHING * thetas[elite].mean(axis=0)
            deviation = (1 - _SMOOTHING) * deviation + _SMOOTHING * thetas[elite].std(axis=0)
            if observer is not None:
                observer(CoalitionStep(iteration, float(rewards[elite].mean()), float(deviation.max())))
    learned = shifted_by(mean)
    length = _CHOICE * n_steps  # more than in the search, to tell policies apart that differ by little
    return max((as_all, first, learned), key=lambda tables: reward(tables, length, [*seeds, 2]))


def shift_features(game: FiniteGame) -> NDArray[np.float64]:
    """What shifts are made of, ``float64[observations, numbers of theta]``.

    Raises:
        ConfigError: for a game whose actions are not amounts: one feature that rises from action to action.
    """
    meanings = [np.asarray(values, np.float64) for values in game.action_features.values()]
    if len(meanings) != 1 or not (np.diff(meanings[0]) > 0).all():
        raise refusal("game", game.name, "one whose actions are amounts, as bids are, for a joint learner")
    sizes = [len(axis.values) for axis in game.axes]
    *places, last = np.indices(sizes).reshape(len(sizes), -1)
    # Where the last axis is the only one there is one number, and one slope.
    values = [np.eye(size)[place] for size, place in zip(sizes, places)] or [np.ones((len(last), 1))]
    along = 2 * last[:, None] / max(sizes[-1] - 1, 1) - 1
    return np.concatenate([*values, *(along * value for value in values)], axis=1)


def shifted(
    tables: NDArray[np.float64], shifts: NDArray[np.float64], legal_actions: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Policies whose actions are shifted by a number in each observation.

    Args:
        tables: ``float64[k, X, A]``.
        shifts: ``float64[X]``, in actions.
        legal_actions: ``bool[X, A]``, of which the first ones are legal.

    Returns:
        ``float64[k, X, A]``.
    """
    n_actions = tables.shape[2]
    highest = legal_actions.sum(axis=1) - 1
    target = np.clip(np.arange(n_actions) + shifts[:, None], 0, highest[:, None])
    low = np.floor(target)
    # A share of 1 - (target - low) goes to the action below, and the rest to that above.
    upper = np.eye(n_actions)[np.minimum(low + 1, n_actions - 1).astype(np.int64)]
    lower = np.eye(n_actions)[low.astype(np.int64)]
    above = (target - low)[..., None]
    return np.asarray(np.einsum("kxa,xab->kxb", tables, (1 - above) * lower + above * upper))
