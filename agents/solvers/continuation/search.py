"""Several equilibria of one model: from many starts, and by continuation from other models.

A karma game has several equilibria (the default game at least ten). A search finds some of them and
says how often each was found; that there are no others, it does not say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from agents.mean_field.units import InUnits, greatest_reward, in_own_units
from agents.policies.tabular import TabularPolicy
from agents.solvers.continuation.branches import Branch, Explorer
from agents.solvers.continuation.exact import exact_equilibrium
from agents.solvers.continuation.homotopy import homotopy
from agents.solvers.equilibrium import Assessment, assess, assessment_in
from karma_envs.config import real, whole
from karma_envs.display import Said
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.mean_field.exploitability import type_policies

_SHIFTS_EVERY = 4

Observer = Callable[[str, "tuple[Found, ...]"], None]


@dataclass(frozen=True, repr=False)
class Found(Said):
    """One of the equilibria that a search came by.

    Attributes:
        policy: one row per type.
        mean_field: mu, ``float64[types, X]``; the matching model's ``karma_distribution`` sums it up.
        statistic: z of the population.
        value: V, ``float64[types, X]``.
        efficiency: mean reward per agent and step.
        exploitability_normalised: exact.
        stationary_residual: largest change of ``mean_field`` in one more step.
        origins: what led to it, one entry for each time it was found: ``homotopy``, ``start 3``,
            ``continuation``.
    """

    policy: TabularPolicy
    mean_field: NDArray[np.float64]
    statistic: NDArray[np.float64]
    value: NDArray[np.float64]
    efficiency: float
    exploitability_normalised: float
    stationary_residual: float
    origins: tuple[str, ...]

    @property
    def times_found(self) -> int:
        """How many attempts of the search ended here."""
        return len(self.origins)

    def _said(self) -> dict[str, str]:
        return {
            "efficiency": f"{self.efficiency:.6g}",
            "exploitability": f"{self.exploitability_normalised:.1e} of |J|, mean field, exact",
            "found by": ", ".join(dict.fromkeys(self.origins)),
        }


@dataclass(frozen=True, repr=False)
class SearchReport(Said):
    """The equilibria that a search came by, and how it went.

    Attributes:
        found: the distinct equilibria, the most efficient first.
        distances: ``float64[n, n]``, L1 distance of the policies in the states that are visited:
            sum over x of mu(x) |pi(x) - pi'(x)|, mu the average of the two and over types; 0 … 2.
        mean_action_differences: ``float64[n, n]``, the same of the mean actions (in karma games:
            mean bids).
        attempts: how many were made; those that found no equilibrium within the tolerance included.
        interrupted: whether the search was ended by Ctrl-C.
        path: with continuation, what was found in each model on the way; None where the equilibrium
            could not be followed and the homotopy was started anew and failed too.
        seconds: wall time.
    """

    found: tuple[Found, ...]
    distances: NDArray[np.float64]
    mean_action_differences: NDArray[np.float64]
    attempts: int
    interrupted: bool
    path: tuple[Found | None, ...]
    seconds: float

    def _said(self) -> dict[str, str]:
        return {
            "equilibria": str(len(self.found)),
            "efficiencies": ", ".join(f"{one.efficiency:.6g}" for one in self.found),
            "attempts": f"{self.attempts}{', interrupted' if self.interrupted else ''}",
        }


def search(
    model: FiniteMeanFieldModel,
    *,
    starts: int = 12,
    seed: int = 0,
    tolerance: float = 1e-10,
    apart: float = 1e-6,
    along: Sequence[FiniteMeanFieldModel] = (),
    observer: Observer | None = None,
) -> SearchReport:
    """Look for several equilibria.

    The first attempt is the homotopy. Of the starts that follow, every fourth shifts the payoffs in a
    random direction and back, from a logit equilibrium on the way to one of the equilibria found so
    far (it takes as long as ten of the others, and finds about as much). The others go from a random
    policy by fictitious play to the nearest path of logit equilibria. Each path that is met is followed
    to both its ends. A start may find several equilibria, or one several times. Ctrl-C ends the search;
    what was found so far is reported.

    Args:
        model: the mean-field model.
        starts: number of random starts.
        seed: of the random numbers; start i is the same whatever the number of starts.
        tolerance: normalised exploitability that counts as an equilibrium.
        apart: equilibria at least this far from each other (``distances``) are distinct.
        along: models that lead to this one, for instance with other mean karma, discounts or
            urgencies; with as many states and actions. An equilibrium of the first is followed to
            this model.
        observer: called after each attempt with its origin and what it found, known or not.

    Raises:
        ConfigError: for an option out of range.
    """
    began = time.perf_counter()
    starts, seed = whole("starts", starts, 0), whole("seed", seed, 0)
    tolerance = real("tolerance", tolerance, 0, open_low=True)
    every: list[Found] = []
    branches: list[Branch] = []  # the first to each of these
    attempts, interrupted = 0, False
    path: tuple[Assessment | None, ...] = ()

    def count(origin: str, met: Sequence[Branch]) -> None:
        nonlocal attempts
        attempts += 1
        equilibria = tuple(_as_found(assessment_in(own.unit, branch.equilibrium), origin) for branch in met)
        for branch, one in zip(met, equilibria):
            if _add(model, every, one, apart):
                branches.append(branch)
        if observer is not None:
            observer(origin, equilibria)

    own = in_own_units(model)
    explorer = Explorer(own, tolerance)
    try:
        with threadpool_limits(limits=1, user_api="blas"), _diverging():
            count("homotopy", explorer.from_uniform())
            for index in range(starts):
                rng = np.random.default_rng([seed, index])
                if index % _SHIFTS_EVERY == 0 and branches:
                    met = explorer.around(branches[rng.integers(len(branches))], rng)
                else:
                    met = explorer.from_policy(rng)
                count(f"start {index}", met)
            if along:
                path = _followed([*map(in_own_units, along), own], tolerance, None)
                count("continuation", [Branch(path[-1], ())] if path[-1] is not None else [])
    except KeyboardInterrupt:
        interrupted = True
    every.sort(key=lambda one: -one.efficiency)
    return SearchReport(
        found=tuple(every),
        distances=_matrix(every, lambda one, other: distance(model, one, other)),
        mean_action_differences=_matrix(every, lambda one, other: _action_difference(model, one, other)),
        attempts=attempts,
        interrupted=interrupted,
        path=tuple(
            None if one is None else _as_found(one, "continuation") for one in _told(path, [*along, model])
        ),
        seconds=time.perf_counter() - began,
    )


def _diverging() -> np.errstate:
    """Newton's method may diverge, and says so."""
    return np.errstate(over="ignore", divide="ignore", invalid="ignore")


def continuation(
    models: Sequence[FiniteMeanFieldModel], *, tolerance: float = 1e-10, start: Found | None = None
) -> tuple[Assessment | None, ...]:
    """Follow an equilibrium through a sequence of models, each near the one before.

    Args:
        models: with as many types, states and actions each.
        tolerance: normalised exploitability that counts as an equilibrium.
        start: an equilibrium of (or near one of) the first model; that of the homotopy if None.

    Returns:
        for each model an equilibrium: the last one followed by Newton's method on its support or,
        where that fails, that of the homotopy; None where both fail.
    """
    own = [in_own_units(model) for model in models]
    last = None if start is None else assess(own[0], type_policies(own[0], start.policy))
    return _told(_followed(own, tolerance, last), models)


def _followed(
    models: Sequence[InUnits], tolerance: float, last: Assessment | None
) -> tuple[Assessment | None, ...]:
    """What :func:`continuation` returns, in the models' own units."""
    followed: list[Assessment | None] = []
    for model in models:
        with _diverging():
            equilibrium = None if last is None else _polished(model, last, tolerance)
            equilibrium = equilibrium if equilibrium is not None else _by_homotopy(model, tolerance)
        followed.append(equilibrium)
        last = equilibrium if equilibrium is not None else last
    return tuple(followed)


def _told(
    path: Sequence[Assessment | None], models: Sequence[FiniteMeanFieldModel]
) -> tuple[Assessment | None, ...]:
    """The equilibria of a continuation, told in the rewards of its models."""
    return tuple(
        None if equilibrium is None else assessment_in(greatest_reward(model), equilibrium)
        for equilibrium, model in zip(path, models)
    )


def distance(model: FiniteMeanFieldModel, one: Found, other: Found) -> float:
    """L1 distance of two policies where agents are: ``SearchReport.distances``."""
    difference = np.abs(one.policy.probabilities - other.policy.probabilities).sum(axis=2)
    return _weighted(model, one, other, difference)


def _action_difference(model: FiniteMeanFieldModel, one: Found, other: Found) -> float:
    difference = np.abs(one.policy.mean_actions() - other.policy.mean_actions())
    return _weighted(model, one, other, difference)


def _matrix(every: list[Found], compare: Callable[[Found, Found], float]) -> NDArray[np.float64]:
    """All against all, ``float64[n, n]``."""
    entries = [compare(one, other) for one in every for other in every]
    return np.array(entries, np.float64).reshape(len(every), len(every))


def _weighted(model: FiniteMeanFieldModel, one: Found, other: Found, values: NDArray[np.float64]) -> float:
    """Mean over the population of ``values[types, X]``, in the average of two mean fields."""
    return float(model.masses @ ((one.mean_field + other.mean_field) / 2 * values).sum(axis=1))


def _add(model: FiniteMeanFieldModel, every: list[Found], new: Found, apart: float) -> bool:
    """Count an equilibrium that is known already; else append it. Whether it is new."""
    for index, known in enumerate(every):
        if distance(model, known, new) < apart:
            every[index] = replace(known, origins=known.origins + new.origins)
            return False
    every.append(new)
    return True


def _by_homotopy(model: FiniteMeanFieldModel, tolerance: float) -> Assessment | None:
    equilibrium = homotopy(model, tolerance=tolerance)
    if not equilibrium.converged:
        return None
    return assess(model, type_policies(model, equilibrium.policy), equilibrium.mean_field)


def _polished(model: FiniteMeanFieldModel, guess: Assessment, tolerance: float) -> Assessment | None:
    """The exact equilibrium near a guess; None if there is none within the tolerance."""
    exact = exact_equilibrium(
        model,
        guess.statistic,
        guess.value,
        guess.policy,
        tolerance=tolerance,
        most_supports=20,
    )
    return exact if exact is not None and exact.within(tolerance) else None


def _as_found(assessment: Assessment, origin: str) -> Found:
    return Found(
        policy=TabularPolicy(assessment.policy),
        mean_field=assessment.mean_field,
        statistic=assessment.statistic,
        value=assessment.value,
        efficiency=assessment.efficiency,
        exploitability_normalised=assessment.exploitability.normalised,
        stationary_residual=assessment.exploitability.stationary_residual,
        origins=(origin,),
    )
