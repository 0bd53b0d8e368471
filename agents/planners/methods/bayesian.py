"""Bayesian optimisation: a Gaussian process of what is known, and the point of greatest expected improvement.

Optuna's GP sampler: Matern kernel of smoothness 5/2 with a length for each parameter, its noise estimated;
log expected improvement, of the hypervolume where there are several objectives, times the probability of
being within the limits; in batches given what else is tried meanwhile.

Source: Mguni et al. 2018, "Controlling the Crowd", choose a reward modifier so.

Differences from the source:
    The first points are spread evenly. A trial that failed counts as one that came to the worst so far, so
    that its neighbourhood is avoided and not tried for ever.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from agents.planners.methods.spread import spread
from agents.planners.space import Point
from agents.planners.study import Proposal, Study, near
from agents.planners.trial import Trial

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
    elif left:
        points += _improving(study, told, points, left)
    return [near(study, told, point) for point in points]


def spread_first(study: Study) -> int:
    """How many points are spread evenly at first: twice as many as there are parameters, and two."""
    return 2 * len(study.space.parameters) + 2


def _improving(study: Study, told: Sequence[Trial], running: Sequence[Point], count: int) -> list[Point]:
    """Points of greatest expected improvement, each given that those before it are being tried."""
    optuna = _optuna()
    distributions = {each.name: each.distribution() for each in study.space.parameters}
    with _quiet(optuna):
        sampler = optuna.samplers.GPSampler(
            seed=study.seed_of(len(told)), n_startup_trials=1, warn_independent_sampling=False
        )
        search = optuna.create_study(sampler=sampler, directions=["maximize"] * len(study.objectives))
        for trial in told:
            if trial.point:
                search.add_trial(_as_frozen(optuna, study, trial, told, distributions))
        for point in running:
            state = optuna.trial.TrialState.RUNNING
            search.add_trial(
                optuna.trial.create_trial(state=state, params=point, distributions=distributions)
            )
        proposed = [search.ask(distributions).params for _ in range(count)]
    allowed = [trial.point for trial in told if trial.point]
    points = []
    for each in proposed:
        point = {
            parameter.name: parameter.checked(each[parameter.name]) for parameter in study.space.parameters
        }
        # The sampler knows constraints from their values at trials only, and may miss them by a little: then
        # the point on the way from the nearest trial is taken.
        nearest = min(allowed, key=lambda other: study.space.distance(other, point))
        points.append(study.space.towards(nearest, point))
    return points


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
