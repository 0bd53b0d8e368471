"""Gradient ascent by the derivatives that an exact inner problem gives: few evaluations, each worth many.

From points that are spread evenly, one after the other, quasi-Newton steps (BFGS) in the space's
coordinates, projected onto its box, with a line search that asks for Armijo's increase. An ascent ends where
the increase that the slopes promise is negligible; the next begins. Parameters that are not continuous stay
what they were at the start of an ascent.

A branch of equilibria may turn back: beyond there is none nearby, and slopes say nothing. Steps are cut short
before that, each solved for anew beginning with the end of the one before, so that the branch is followed.
Where hardly any step is left the branch has ended: then one is made across, and solved for without it.

Source: Nocedal and Wright 2006, "Numerical Optimization", algorithms 6.1 and 3.1; the cuts are ours.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.planners.methods.spread import spread
from agents.planners.study import Proposal, Study
from agents.planners.trial import Trial
from karma_envs.config import refusal

_FIRST_STEP = 0.25  # of the range of the parameter that moves most
_LONGEST_STEP = 0.5
_ENOUGH = 1e-4  # Armijo's share of the increase that the slope promises
_SHRINK = (0.1, 0.5)  # of a step that failed, at least and at most
_MOST_FAILURES = 5  # of one line search
_NEGLIGIBLE = 1e-6  # increase, over the value's magnitude
_SMALLEST_STEP = 1e-4
_BEFORE_THE_TURN = 0.9  # of the way to where the branch turns
_HARDLY = 1e-2  # a step that is left, below which the branch counts as ended


def gradient(study: Study, told: Sequence[Trial]) -> list[Proposal]:
    """The next point; those told are gone through anew, which decides it.

    Raises:
        ConfigError: for several objectives, limits, no continuous parameter, or an inner problem that gives
            no derivatives.
    """
    if len(study.objectives) > 1:
        raise refusal("objective", [each.name for each in study.objectives], "one, for method gradient")
    if study.limits:
        raise refusal("limits", [each.name for each in study.limits], "none, for method gradient")
    if not any(each.continuous for each in study.space.parameters):
        raise refusal("space", study.space.names, "one with a continuous parameter, for method gradient")
    ascents = _ascents(study)
    proposal = next(ascents)
    for trial in told:
        proposal = ascents.send(trial)
    return [proposal]


Ascent = Generator[Proposal, Trial, None]
"""Proposes points, and is told what they came to."""


def _ascents(study: Study) -> Ascent:
    """One ascent after the other, for ever."""
    for point in study.start:
        yield from _Ascent(study, study.space.coordinates(point)).run()
    for point in spread(study):
        yield from _Ascent(study, study.space.coordinates(point)).run()


@dataclass(frozen=True)
class _Place:
    """A trial as an ascent sees it.

    Attributes:
        at: coordinates, ``float64[P]``.
        gain: what is maximised.
        slope: of the gain by coordinates, ``float64[P]``, 0 for parameters that are not continuous.
        trial: the trial.
    """

    at: NDArray[np.float64]
    gain: float
    slope: NDArray[np.float64]
    trial: Trial


class _Ascent:
    """One ascent.

    Args:
        study: what is sought.
        start: coordinates to begin at, ``float64[P]``.
    """

    def __init__(self, study: Study, start: NDArray[np.float64]) -> None:
        self._study, self._space, self._start = study, study.space, start
        self._longest = _FIRST_STEP  # as far as the last steps tell that slopes can be believed

    def run(self) -> Ascent:
        """Ascend until the slopes promise nothing more."""
        here = self._place((yield Proposal(self._space.at(self._start))))
        if here is None:
            return
        inverse: NDArray[np.float64] | None = None  # of the negative second derivative, as far as it is known
        while True:
            direction = self._direction(here, inverse)
            if direction is None:
                return
            following = yield from self._searched(here, direction)
            if following is None:
                if inverse is None:
                    return
                inverse = None  # once more, straight along the slope
                continue
            inverse = _updated(inverse, following.at - here.at, here.slope - following.slope)
            here = following

    def _direction(self, here: _Place, inverse: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
        """The step to try first, ``float64[P]``; None where there is nothing to gain by any."""
        # What is at an end of its range, and would leave it, stays.
        stuck = ((here.at <= 0) & (here.slope < 0)) | ((here.at >= 1) & (here.slope > 0))
        slope = np.where(stuck, 0.0, here.slope)
        if not slope.any():
            return None
        if inverse is not None:
            free = ~stuck
            step = np.where(free, inverse @ slope, 0.0)
            if step @ slope > 0:
                step *= min(1.0, self._longest / float(np.abs(step).max()))
                return None if self._is_negligible(here, step) else step
        step = slope * (self._longest / float(np.abs(slope).max()))
        return None if self._is_negligible(here, step) else step

    def _is_negligible(self, here: _Place, step: NDArray[np.float64]) -> bool:
        inside = np.clip(here.at + step, 0.0, 1.0) - here.at
        return bool(here.slope @ inside <= _NEGLIGIBLE * abs(here.gain))

    def _searched(self, here: _Place, step: NDArray[np.float64]) -> Generator[Proposal, Trial, _Place | None]:
        """A place that is enough higher along a step; None where none was found."""
        left = self._until_the_turn(here, step)
        across = left * float(np.abs(step).max()) < _HARDLY
        length = 1.0 if across else min(1.0, left)
        for _ in range(_MOST_FAILURES):
            point = self._space.at(here.at + length * step)
            end = self._space.towards(here.trial.point, point)
            moved = self._space.coordinates(end) - here.at
            promised = float(here.slope @ moved)
            if np.abs(moved).max() < _SMALLEST_STEP or promised <= 0:
                return None
            place = self._place((yield Proposal(end, None if across else here.trial.number)))
            if place is not None and place.gain >= here.gain + _ENOUGH * promised:
                made = float(np.abs(moved).max())
                whole = length == 1.0
                self._longest = min(2 * max(made, self._longest), _LONGEST_STEP) if whole else made
                return place
            length *= min(max(_peak(promised, moved, place), _SHRINK[0]), _SHRINK[1])
        return None

    def _until_the_turn(self, here: _Place, step: NDArray[np.float64]) -> float:
        """How much of a step, to first order, the branch of equilibria goes on for at least."""
        # What comes to 0 where the branch turns does so in a straight line, the sum of what each parameter
        # adds: so the shares of the way to each one's turn may be added, too.
        share = 0.0
        for parameter, move in zip(self._space.parameters, step):
            low, high = here.trial.reach.get(parameter.name, (-np.inf, np.inf))
            value = here.trial.point[parameter.name]
            if move and parameter.continuous:
                room = (high if move > 0 else low) - float(value)
                share += max(0.0, parameter.slope(value) * float(move) / room) if room else np.inf
        return _BEFORE_THE_TURN / share if share > 0 else np.inf

    def _place(self, trial: Trial) -> _Place | None:
        """A trial as it is seen here; None if it failed."""
        if not trial.complete:
            return None
        if trial.derivatives is None:
            raise refusal(
                "method",
                "gradient",
                "another, as the inner problem gives no derivatives; or let it give them",
            )
        slopes = self._study.objectives[0].gradient(trial.values, trial.derivatives)
        parameters = self._space.parameters
        slope = [slopes.get(each.name, 0.0) * each.slope(trial.point[each.name]) for each in parameters]
        gain = self._study.gains(trial)[0]
        return _Place(self._space.coordinates(trial.point), gain, np.nan_to_num(slope), trial)


def _peak(promised: float, moved: NDArray[np.float64], place: _Place | None) -> float:
    """Where on the way to a place that is no higher the peak is: where the slope, if straight, is 0."""
    falls = 0.0 if place is None else -float(place.slope @ moved)
    return promised / (promised + falls) if falls > 0 else 0.0


def _updated(
    inverse: NDArray[np.float64] | None, moved: NDArray[np.float64], bent: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """The inverse second derivative of minus the gain after a step (BFGS); None where that curves upwards."""
    curvature = float(moved @ bent)
    if curvature <= 1e-10 * float(np.linalg.norm(moved) * np.linalg.norm(bent)):
        return None
    if inverse is None:  # of the size that the step just made tells
        inverse = np.eye(len(moved)) * curvature / float(bent @ bent)
    across = np.eye(len(moved)) - np.outer(moved, bent) / curvature
    return np.asarray(across @ inverse @ across.T + np.outer(moved, moved) / curvature)


METHOD = gradient
