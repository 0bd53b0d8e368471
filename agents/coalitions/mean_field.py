"""The best that a coalition of some mass can do in the mean field, the others' policy fixed.

    maximise  J_c(pi_c) = sum of mu_c(x) pi_c(a | x) r(x, a; z)  over pi_c,

where mu_c and z are at rest in a population of which a share m plays pi_c and the rest pi. Members share a
policy, are told apart by nobody, unless they recognise each other (:mod:`agents.coalitions.recognised`),
and count what they do to each other through z; what they do to outsiders they mind only as far as it comes
back to them. For m to 0 this is a single agent's best response in the long run, and for m = 1 the planner's
optimum. It is not concave: what is found is a stationary point, the best of several starts, so that the
gain bounds that of the best policy from below.

Ours, by the planner's natural gradient (:mod:`agents.solvers.control.social_optimum`).
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.coalitions.model import CoalitionModel
from agents.coalitions.optimum import Coalition, CoalitionOptimum, Search, starts_of, strangers_optimum
from agents.coalitions.recognised import recognising_optimum
from agents.coalitions.result import CoalitionGain, exact, share
from agents.policies.tabular import TabularPolicy
from karma_envs.config import real, refusal, whole
from karma_envs.games.matching.mean_field import MatchingMeanField
from karma_envs.games.matching.recognition import RecognisingMeanField
from karma_envs.mean_field import FiniteMeanFieldModel, MeanFieldModel, as_finite_model
from karma_envs.mean_field.exploitability import type_policies
from karma_envs.mean_field.stationary import StationaryMeanField
from karma_envs.meaning import LOWER_BOUND, Meaning

PATIENT = 1 - 1e-7
"""A discount with which what is best in discounted payoff is best in the long run."""

MOST_BYTES = 2 * 2**30
"""The most that the derivatives of a coalition's problem may take."""

_CUT_OFF = 1e-10  # share of a discounted payoff that is not followed step by step


def mean_field_coalition_gain(
    model: MeanFieldModel,
    policy: Any,
    mass: float,
    *,
    recognise: bool = False,
    starts: int = 2,
    tolerance: float = 2e-6,
    iterations: int = 300,
    start: NDArray[np.float64] | None = None,
    seed: int = 0,
) -> CoalitionGain:
    """What members gain of a coalition that best responds together, in the mean field.

    Args:
        model: the mean-field model, a finite one.
        policy: what all play without the coalition, and outsiders with it; such as an equilibrium's.
        mass: m, the share of each type that are members, in (0, 1].
        recognise: whether two members who meet know each other's state and choose both bids together, in the
            matching game: :mod:`karma_envs.games.matching.recognition`.
        starts: of the search, besides the policy itself and ``start``: the uniform policy, and random ones.
        tolerance: of ``gap``, over the greatest reward.
        iterations: the most gradients per start.
        start: a policy of members to begin with besides, ``float64[types, X, A]``, such as that of a
            coalition of nearly this mass.
        seed: of the random starts.

    Returns:
        the gain, exact for the policy that was found. Ctrl-C ends with the best of the starts so far.

    Raises:
        ConfigError: for a model without tables, or with too large ones, one other than the matching game's
            whose members were to recognise each other, and an option out of range.
        ValueError: for a policy that does not fit the model.
    """
    began = time.perf_counter()
    finite = as_finite_model(model)
    mass = real("mass", mass, 0, 1, open_low=True)
    starts, seed = whole("starts", starts, 1), whole("seed", seed, 0)
    tolerance = real("tolerance", tolerance, 0, open_low=True)
    iterations = whole("iterations", iterations, 1)
    coalition, search = coalition_of(finite, mass, recognise)
    table = np.array(type_policies(finite, policy))
    other = None if start is None else np.array(type_policies(finite, start))
    firsts = starts_of(finite, table, other, starts, seed)
    optima: list[CoalitionOptimum] = []
    try:
        for first in firsts:
            optima.append(search(coalition, first, tolerance=tolerance, iterations=iterations))
    except KeyboardInterrupt:
        if not optima:
            raise
    best = max(optima, key=lambda each: each.efficiency)
    before = finite.population_at_rest(table)
    result = gain_of(finite, table, before, best, meaning_of(finite, mass, recognise))
    return replace(
        result,
        method=f"natural gradient, {len(optima)} starts",
        gain_discounted=discounted_gain(best.coalition, table, best.policy, before),
        gain_by_start=tuple(each.efficiency - result.efficiency_without.value for each in optima),
        seconds=time.perf_counter() - began,
    )


def coalition_of(model: FiniteMeanFieldModel, mass: float, recognise: bool) -> tuple[Coalition, Search]:
    """The model of outsiders and members, and how members find out what is best for them.

    Args:
        model: of the game.
        mass: m.
        recognise: whether members recognise each other.

    Raises:
        ConfigError: for a model with too large tables, and one whose members cannot recognise each other.
    """
    check_size(model)
    if not recognise:
        return CoalitionModel(model, mass), strangers_optimum
    if not isinstance(model, MatchingMeanField):
        name = type(model).__name__
        raise refusal("recognise", True, f"False of a {name}, as pairs meet in the matching game")
    return RecognisingMeanField(model, mass), recognising_optimum


def gain_of(
    model: FiniteMeanFieldModel,
    policy: NDArray[np.float64],
    before: StationaryMeanField,
    optimum: CoalitionOptimum,
    meaning: Meaning,
) -> CoalitionGain:
    """What members gain by what they came to, compared with all playing a policy.

    Args:
        model: of the game, of T types.
        policy: of all without the coalition, ``float64[T, X, A]``.
        before: the population at rest with it.
        optimum: what outsiders and members play.
        meaning: which number it is.
    """
    coalition = optimum.coalition
    after = coalition.population_at_rest(optimum.policy, optimum.mean_field)
    without = _mean_rewards(policy, before)
    outside, inside = np.split(_mean_rewards(optimum.policy, after), 2)
    gain = exact(float(model.masses @ (inside - without)))
    efficiency_without = float(model.masses @ without)
    nobody_else = coalition.mass == 1.0
    return CoalitionGain(
        method="",
        meaning=meaning,
        size=coalition.mass,
        gain=gain,
        gain_normalised=share(gain, efficiency_without),
        gain_alone=gain_alone(model, policy, before),
        cost_to_others=exact(np.nan if nobody_else else float(model.masses @ (without - outside))),
        efficiency=exact(float(coalition.masses @ np.concatenate([outside, inside]))),
        efficiency_without=exact(efficiency_without),
        gain_discounted=np.nan,
        policy=TabularPolicy(np.split(optimum.policy, 2)[1]),
        agreement=optimum.agreement,
        gap=optimum.gap,
        stationary=optimum.stationary,
        gain_by_start=(),
        seconds=0.0,
    )


def meaning_of(model: FiniteMeanFieldModel, mass: float, recognise: bool = False) -> Meaning:
    """Which number the gain of a coalition of some mass is, the others' policy fixed."""
    return Meaning(None, LOWER_BOUND, f"{members_of(mass, recognise)}, the others fixed", model.meaning.model)


def members_of(mass: float, recognise: bool) -> str:
    """A coalition's policies, in words."""
    known = "whose members recognise each other" if recognise else "which knows nobody by name"
    return f"one stationary policy of a coalition of {mass:g} of the population, {known}"


def gain_alone(model: FiniteMeanFieldModel, policy: NDArray[np.float64], field: StationaryMeanField) -> float:
    """What a single agent gains in the long run, per step, by its best stationary policy.

    Args:
        model: the model.
        policy: what all others play, ``float64[types, X, A]``.
        field: the population at rest with it.
    """
    patient = np.full(model.n_types, PATIENT)
    best, _ = field.problem.best_response(patient, model.legal_actions, policy)
    rewards = [
        ((mu[..., None] * played) * field.problem.reward).sum(axis=(1, 2))
        for mu, played in ((field.mean_field, policy), (field.problem.at_rest(best, field.mean_field), best))
    ]
    return float(model.masses @ (rewards[1] - rewards[0]))


def discounted_gain(
    coalition: Coalition,
    policy: NDArray[np.float64],
    played: NDArray[np.float64],
    field: StationaryMeanField,
) -> float:
    """What a member gains in discounted payoff from the step on in which the coalition forms.

    The population moves from its rest without the coalition to that with it, step by step.

    Args:
        coalition: the model of outsiders and members.
        policy: what all play without the coalition, ``float64[T, X, A]``.
        played: what outsiders and members play with it, ``float64[2 T, X, A]``.
        field: the population at rest without it.
    """
    model = coalition.model
    discounts = model.discounts
    mean_field = np.tile(field.mean_field, (2, 1))
    longest = float(discounts.max())
    n_steps = int(np.ceil(np.log(_CUT_OFF) / np.log(longest))) if longest > 0 else 1
    total, weights = np.zeros(model.n_types), np.ones(model.n_types)
    for _ in range(n_steps):
        problem, following = coalition.step(mean_field, played)
        rewards = (mean_field[..., None] * played * problem.reward).sum(axis=(1, 2))
        total += weights * np.split(rewards, 2)[1]
        weights = weights * discounts
        mean_field = following
    without = _mean_rewards(policy, field) / (1 - discounts)
    return float(model.masses @ (total - without))


def _mean_rewards(policy: NDArray[np.float64], field: StationaryMeanField) -> NDArray[np.float64]:
    """Mean reward per step of each type, ``float64[types]``."""
    return np.asarray((field.mean_field[..., None] * policy * field.problem.reward).sum(axis=(1, 2)))


def derivative_bytes(model: FiniteMeanFieldModel) -> int:
    """How much memory the derivatives of a coalition's problem take."""
    n_states = 2 * model.n_types * model.n_states
    return 8 * n_states**2 * model.n_actions


def check_size(model: FiniteMeanFieldModel) -> None:
    """Refuse a model of which a coalition's derivatives do not fit into memory.

    Raises:
        ConfigError: for such a model.
    """
    size = derivative_bytes(model)
    if size > MOST_BYTES:
        raise refusal(
            "model",
            f"one of {model.n_types} types, {model.n_states} states and {model.n_actions} actions, "
            f"whose derivatives take {size / 2**30:.1f} GiB",
            f"one with derivatives of at most {MOST_BYTES / 2**30:g} GiB; "
            "a coalition of agents of the game, coalition_gain(game, policy, k), needs none",
        )
