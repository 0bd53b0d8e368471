"""Gradient ascent by the derivatives that an exact inner problem gives: few evaluations, each worth many.

From points that are spread evenly, one after the other, quasi-Newton steps (BFGS) in the space's
coordinates, within its box. Gains have ridges where slopes differ on the two sides; so a step is made for the
lowest of the planes that all trials of the ascent give, see :mod:`agents.planners.methods.bundle`, not for
that of one trial alone. A step that does not lead enough higher adds its plane, which rules it out, and the
next is made from the same place. An ascent ends where the increase that slopes nearby promise is negligible;
the next begins. Parameters that are not continuous stay what they were at the start of an ascent.

A branch of equilibria may turn back: beyond there is none nearby, and slopes say nothing. Steps are cut short
before that, each solved for anew beginning with the end of the one before, so that the branch is followed.
Where hardly any step is left the branch has ended: then one is made across, and solved for without it.

Source: Kiwiel 1990 for the planes, serious steps and null steps, as in :mod:`agents.planners.methods.bundle`;
Nocedal and Wright 2006, "Numerical Optimization", equation 6.17, for the second derivatives.
Differences from the source: these are of serious steps alone, and begun anew where they curve upwards; steps
have a greatest length, that of the last that were found good; the cuts before turns are ours.
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

_FIRST_STEP = 0.25  # lengths are of the range of the parameter that moves most
_LONGEST_STEP = 0.5
_ENOUGH = 1e-4  # share of the increase that the planes promise, for a step to count
_SHRINK = 0.5  # of a step that failed
_MOST_FAILURES = 6  # in a row
_NEGLIGIBLE = 1e-6  # increase, over the value's magnitude
_SMALLEST_STEP = 1e-4
_NEAR = 0.01  # how far away places are whose slopes are believed at the end of an ascent
_LOCALITY = 0.1  # of the second derivative for which the first step would be Newton's
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
        self._seen: list[_Place] = []  # whose planes are counted
        self._bend = 0.0  # by how much, over the distance squared, planes are doubted

    def run(self) -> Ascent:
        """Ascend until the slopes promise nothing more."""
        here = self._place((yield Proposal(self._space.at(self._start))))
        if here is None:
            return
        self._seen = [here]
        inverse = self._straight(here)  # of the negative second derivative, as far as it is known
        self._bend = _LOCALITY / float(inverse[0, 0])
        failures = 0
        while failures < _MOST_FAILURES:
            step = self._step(here, inverse)
            if step is None:
                return
            size = float(np.abs(step).max())
            left = self._until_the_turn(here, step)
            across = left * size < _HARDLY
            length = 1.0 if across else min(1.0, left)
            end = self._space.towards(here.trial.point, self._space.at(here.at + length * step))
            moved = self._space.coordinates(end) - here.at
            made, promised = float(np.abs(moved).max()), lowest(*self._planes(here), moved)
            if made < _SMALLEST_STEP or promised <= 0:
                return
            place = self._place((yield Proposal(end, None if across else here.trial.number)))
            if place is not None and place.gain >= here.gain + _ENOUGH * promised:
                whole = length == 1.0
                self._longest = min(2 * max(made, self._longest), _LONGEST_STEP) if whole else made
                # Of another branch than before nothing is known yet.
                self._seen = [place] if across else [*self._seen, place]
                updated = None if across else _updated(inverse, moved, here.slope - place.slope)
                inverse = self._straight(place) if updated is None else updated
                here, failures = place, 0
                continue
            failures += 1
            if place is not None and not across:
                self._seen.append(place)
            if lowest(*self._planes(here), moved) > _SHRINK * promised:  # nothing rules it out yet
                self._longest = _SHRINK * made

    def _step(self, here: _Place, inverse: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """The step to try next, ``float64[P]``; None where there is nothing to gain by any."""
        while True:
            planes = self._planes(here)
            step = best_move(*planes, here.at, inverse)
            size = float(np.abs(step).max())
            if size > self._longest:
                step, size = step * (self._longest / size), self._longest
            if size >= _SMALLEST_STEP and lowest(*planes, step) > _NEGLIGIBLE * abs(here.gain):
                return step
            # Planes of places far away may be wrong; without them there may be more to gain.
            near = [place for place in self._seen if np.abs(place.at - here.at).max() <= _NEAR]
            if len(near) == len(self._seen):
                return None
            self._seen = near

    def _planes(self, here: _Place) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Those of all places that count, that of the place itself first: heights ``[B]``, slopes ``[B, P]``.

        The gain need not be concave: a plane that is too low here is put as far above it, and the farther
        away its place the higher (the locality measure of Kiwiel 1985, "Methods of Descent for
        Nondifferentiable Optimization").
        """
        places = [here, *(place for place in self._seen if place is not here)]
        ways = [here.at - place.at for place in places]
        errors = [place.gain + place.slope @ way - here.gain for place, way in zip(places, ways)]
        heights = [max(abs(error), self._bend * (way @ way)) for error, way in zip(errors, ways)]
        return np.array(heights), np.array([place.slope for place in places])

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
