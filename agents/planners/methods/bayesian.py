"""Bayesian optimisation: a Gaussian process of what is known, and the point of greatest expected improvement.

Optuna's GP sampler: Matern kernel of smoothness 5/2 with a length for each parameter, its noise estimated;
log expected improvement, of the hypervolume where there are several objectives, times the probability of
being within the limits; in batches given what else is tried meanwhile.

With one objective, a search that comes to nothing better for a while looks nearby, too: every other point is
then searched in a trust region around the best, by a process of the trials in it alone. One process for the
whole range takes what is steep somewhere for steep everywhere, and may go on trying the corners, where
least is known.

Sources: Mguni et al. 2018, "Controlling the Crowd", choose a reward modifier by Bayesian optimisation; the
trust region is after Eriksson et al. 2019, "Scalable global optimization via local Bayesian optimization".

Differences from the sources:
    There is one trust region, beside the search in the whole range, and its radius follows another rule. The
    first points are spread evenly. A trial that failed counts as one that came to the worst so far, so
    that its neighbourhood is avoided and not tried for ever.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from agents.planners.methods.spread import spread
from agents.planners.space import Point, Space
from agents.planners.study import Proposal, Study, near
from agents.planners.trial import Trial

_FIRST_RADIUS, _LEAST_RADIUS, _LARGEST_RADIUS = 0.2, 1e-4, 0.5  # of the trust region, in coordinates
_GROWS, _SHRINKS = 2.0, 2.0**-0.25
_BEYOND = 1e-9  # of a trial that failed: the least by which it is beyond a limit


def bayesian(study: Study, told: Sequence[Trial]) -> list[Proposal]:
    """The points to start with, some that are spread evenly, then those of greatest expected improvement.

    Raises:
        ImportError: where Optuna is missing, saying what to install.
    """
    first, n_spread = len(told), spread_first(study)
    known = [*study.start, *itertools.islice(spread(study), n_spread)]
    points = known[first : first + study.workers]
    left = study.workers - len(points)
    if left and not any(trial.complete for trial in told):  # all have failed so far
        points += itertools.islice(spread(study), first, first + left)
        left = 0
    for _ in range(left):
        points.append(_improving(study, told, points))
    return [near(study, told, point) for point in points]


def spread_first(study: Study) -> int:
    """How many points are spread evenly at first: twice as many as there are parameters, and two."""
    return 2 * len(study.space.parameters) + 2


def _improving(study: Study, told: Sequence[Trial], running: Sequence[Point]) -> Point:
    """The point of greatest expected improvement, given those that are being tried."""
    optuna = _optuna()
    number = len(told) + len(running)
    space = _searched(study, told, number)
    distributions = {each.name: each.distribution() for each in space.parameters}
    with _quiet(optuna):
        sampler = optuna.samplers.GPSampler(
            seed=study.seed_of(number), n_startup_trials=1, warn_independent_sampling=False
        )
        search = optuna.create_study(sampler=sampler, directions=["maximize"] * len(study.objectives))
        for trial in told:
            if trial.point and space.holds(trial.point):
                search.add_trial(_as_frozen(optuna, study, trial, told, distributions))
        state = optuna.trial.TrialState.RUNNING
        for point in filter(space.holds, running):
            search.add_trial(
                optuna.trial.create_trial(state=state, params=point, distributions=distributions)
            )
        proposed = search.ask(distributions).params
    point = {each.name: each.checked(proposed[each.name]) for each in study.space.parameters}
    # The sampler knows constraints from their values at trials only, and may miss them by a little: then
    # the point on the way from the nearest trial is taken.
    allowed = [trial.point for trial in told if trial.point]
    nearest = min(allowed, key=lambda other: study.space.distance(other, point))
    return study.space.towards(nearest, point)


def _searched(study: Study, told: Sequence[Trial], number: int) -> Space:
    """Where the trial of a number is searched: in the trust region where it is its turn, else everywhere.

    The region is around the best trial. Its radius follows from what trials in it came to so far: twice as
    large after one that was better than all before, smaller by the fourth root of two after one that was not;
    steady where one of five is better (the rule of Rechenberg 1973).
    """
    if len(study.objectives) > 1:
        return study.space
    best: Trial | None = None
    radius, first = _FIRST_RADIUS, len(study.start) + spread_first(study)

    def is_local(number: int) -> bool:
        """Every other trial, once as many as were spread at first have come to nothing better."""
        return best is not None and number % 2 == 1 and number - best.number > spread_first(study)

    for trial in told:
        acceptable = bool(trial.point) and study.is_acceptable(trial)
        better = acceptable and (best is None or study.gains(trial) > study.gains(best))
        if trial.number >= first and is_local(trial.number):
            radius *= _GROWS if better else _SHRINKS
            radius = min(max(radius, _LEAST_RADIUS), _LARGEST_RADIUS)
        best = trial if better else best
    return study.space.around(best.point, radius) if best is not None and is_local(number) else study.space


def _as_frozen(
    optuna: Any, study: Study, trial: Trial, told: Sequence[Trial], distributions: dict[str, Any]
) -> Any:
    """A trial as Optuna's ``FrozenTrial``."""
    beyond = {name: condition(dict(trial.point)) for name, condition in study.space.constraints.items()}
    limits = [each.name for each in study.limits]
    if trial.complete:
        gains = study.gains(trial)
        beyond |= zip(limits, study.excesses(trial))
    else:
        complete = [each for each in told if each.complete]
        gains = [min(column) for column in zip(*map(study.gains, complete))]
        beyond |= {
            name: max(*column, _BEYOND) for name, column in zip(limits, zip(*map(study.excesses, complete)))
        }
    return optuna.trial.create_trial(
        params=trial.point,
        distributions=distributions,
        values=gains,
        constraints=beyond or None,
    )


def _optuna() -> Any:
    try:
        import optuna
        import torch  # noqa: F401 which Optuna's Gaussian processes need
    except ImportError as error:
        raise ImportError("Bayesian design needs Optuna: pip install 'karma-envs[design]'") from error
    return optuna


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Optuna saying nothing of studies that are made, nor of packages that would make it faster."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


METHOD = bayesian
