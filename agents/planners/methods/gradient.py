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

from agents.planners.methods.bundle import best_move, lowest
from agents.planners.methods.spread import spread
from agents.planners.study import Proposal, Study
from agents.planners.trial import Trial
from karma_envs.config import refusal

_FIRST_STEP = 0.25  # of the range of the parameter that moves most
_LONGEST_STEP = 0.5
_ENOUGH = 1e-4  # Armijo's share of the increase that the slope promises
_SHRINK = 0.5  # of a step that failed
_MOST_FAILURES = 6  # in a row
_NEGLIGIBLE = 1e-6  # increase, over the value's magnitude
_SMALLEST_STEP = 1e-4
_NEAR = 0.05  # places whose slopes are believed at the end of an ascent
_LEAST_CURVATURE = 1e-6  # the cosine between a step and the change of slopes
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
        seen = [here]
        inverse = self._straight(here)  # of the negative second derivative, as far as it is known
        failures = 0
        while failures < _MOST_FAILURES:
            planes = _planes(here, seen)
            step = best_move(*planes, here.at, inverse)
            step *= min(1.0, self._longest / max(float(np.abs(step).max()), _SMALLEST_STEP))
            size = float(np.abs(step).max())
            if size < _SMALLEST_STEP or lowest(*planes, step) <= _NEGLIGIBLE * abs(here.gain):
                # Planes of places far away may be wrong; without them there may be more to gain.
                near = [place for place in seen if np.abs(place.at - here.at).max() <= _NEAR]
                if len(near) == len(seen):
                    return
                seen = near
                continue
            left = self._until_the_turn(here, step)
            across = left * size < _HARDLY
            whole = across or left >= 1.0
            point = self._space.at(here.at + (1.0 if whole else left) * step)
            end = self._space.towards(here.trial.point, point)
            moved = self._space.coordinates(end) - here.at
            made, promised = float(np.abs(moved).max()), lowest(*planes, moved)
            if made < _SMALLEST_STEP or promised <= 0:
                return
            place = self._place((yield Proposal(end, None if across else here.trial.number)))
            if place is None or (across and place.gain <= here.gain):
                self._longest = _SHRINK * made
                failures += 1
                continue
            if across:  # another branch, of which nothing is known
                here, seen, inverse = place, [place], self._straight(place)
                continue
            # Whether it is higher or not, it tells how slopes change.
            updated = _updated(inverse, moved, here.slope - place.slope)
            seen.append(place)
            if place.gain >= here.gain + _ENOUGH * promised:
                self._longest = min(2 * max(made, self._longest), _LONGEST_STEP) if whole else made
                inverse = self._straight(place) if updated is None else updated
                here, failures = place, 0
            else:
                inverse = inverse if updated is None else updated
                if updated is None or _height(place, here) < 0:  # planes do not rule out that it is tried again
                    self._longest = _SHRINK * made
                failures += 1

    def _straight(self, here: _Place) -> NDArray[np.float64]:
        """The inverse with which the first step leads straight along the slope, as far as may be."""
        # What is at an end of its range, and would leave it, stays, and is left out.
        stuck = ((here.at <= 0) & (here.slope < 0)) | ((here.at >= 1) & (here.slope > 0))
        steepest = float(np.abs(np.where(stuck, 0.0, here.slope)).max())
        return np.eye(len(here.at)) * (self._longest / steepest if steepest else 1.0)

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


def _height(place: _Place, here: _Place) -> float:
    """How much higher than the gain here is what the slope of another place says of it."""
    return place.gain + float(place.slope @ (here.at - place.at)) - here.gain


def _planes(here: _Place, seen: Sequence[_Place]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Those of all places seen, that of the place itself first: heights ``[B]`` and slopes ``[B, P]``.

    A plane that is too low here, as the gain is not concave, is as far too high (Kiwiel's locality measure).
    """
    places = [here, *(place for place in seen if place is not here)]
    heights = [abs(_height(place, here)) for place in places]
    return np.array(heights), np.array([place.slope for place in places])


def _updated(
    inverse: NDArray[np.float64], moved: NDArray[np.float64], bent: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """The inverse second derivative of minus the gain after a step (BFGS); None where that curves upwards."""
    curvature = float(moved @ bent)
    if curvature <= _LEAST_CURVATURE * float(np.linalg.norm(moved) * np.linalg.norm(bent)):
        return None
    across = np.eye(len(moved)) - np.outer(moved, bent) / curvature
    return np.asarray(across @ inverse @ across.T + np.outer(moved, moved) / curvature)


METHOD = gradient
