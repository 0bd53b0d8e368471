"""Bisection: where a statistic that is one number is the one that a best response to it makes.

    seek z with  Gamma_2(Gamma_1(z)) = z,

where Gamma_1(z) is a best response to z and Gamma_2(pi) the statistic of a population that plays pi. Between
an expectation of which more is made and one of which less is, there is such a z, or best responses jump over
it. Halving the interval comes there however steep they are, where
:mod:`~agents.solvers.three_step.fixed_point` overshoots and cycles.

Source: ours.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from agents.solvers.equilibrium import Equilibrium, Observer, Step, equilibrium_of
from agents.solvers.three_step.rounds import looked_at
from karma_envs.config import real, refusal
from karma_envs.mean_field import MeanFieldModel

_FURTHEST = 2.0**40
"""How far is looked at, over how far what is first made is from what is expected."""


class _Expectation(NamedTuple):
    """A statistic that is expected, a best response to it, and how much more that makes."""

    z: float
    response: Any
    excess: float


def bisection(
    model: MeanFieldModel,
    *,
    tolerance: float = 1e-10,
    precision: float = 1e-16,
    initial_statistic: float | None = None,
    observer: Observer | None = None,
) -> Equilibrium:
    """Solve by bisection.

    Args:
        model: a mean-field model of any kind whose statistic is one number.
        tolerance: normalised exploitability that the policy must have to count as an equilibrium.
        precision: width of the interval to stop at, as a share of the first one, if numbers still are in it.
        initial_statistic: z to begin with; the model's if None.
        observer: called at halvings 0, 1, 2, 4, 8 … and the last one.

    Returns:
        of the best responses to the two ends of the last interval the one that is less exploitable. If best
        responses jump there, ``reason`` says so. Of a model that is known to have no equilibrium it is a best
        response to the first z, and ``reason`` says why.

    Raises:
        ConfigError: for an option out of range, or a model whose statistic is not one number.
    """
    precision = real("precision", precision, 0, 1)
    initial = model.initial_statistic
    if initial.shape != (1,):
        raise refusal("model", type(model).__name__, "a mean-field model whose statistic is one number")
    start = float(initial[0]) if initial_statistic is None else real("initial_statistic", initial_statistic)
    began = time.perf_counter()
    history: list[Step] = []

    def expect(z: float) -> _Expectation:
        response = model.best_response(np.array([z]))
        return _Expectation(z, response, float(model.statistic_of(response)[0]) - z)

    def record(halvings: int, response: Any) -> float:
        step, distance = looked_at(model, halvings, response)
        history.append(step)
        if observer is not None:
            observer(step)
        return distance.normalised

    first = near = far = expect(start)
    record(0, first.response)
    reason, interrupted, halvings = model.obstacle, False, 0
    try:
        # Go where more is made, in doubled steps, until at `far` the excess has another sign than at `near`.
        reach = first.excess
        while not reason and near.excess * far.excess > 0:
            near, far, reach = far, expect(start + reach), 2 * reach
            if abs(reach) > _FURTHEST * abs(first.excess):
                reason = f"what is made is always {'above' if reach > 0 else 'below'} what is expected"
        least_width = precision * abs(far.z - near.z)
        while not reason and abs(far.z - near.z) > least_width:
            middle = expect((near.z + far.z) / 2)
            if middle.z in (near.z, far.z):
                break
            near, far = (middle, far) if middle.excess * near.excess > 0 else (near, middle)
            halvings += 1
            if halvings & (halvings - 1) == 0:
                record(halvings, middle.response)
    except KeyboardInterrupt:
        interrupted, reason = True, reason or "it was interrupted"
    best = min((near.response, far.response), key=lambda response: model.exploitability(response).normalised)
    if record(halvings, best) > tolerance and not reason:
        made = " or ".join(f"{each.z + each.excess:.6g}" for each in (near, far))
        reason = f"best responses jump where {near.z:.6g} is expected: they make {made}"
    seconds = time.perf_counter() - began
    return equilibrium_of(
        model, best, "bisection", tolerance, history, seconds, interrupted=interrupted, reason=reason
    )


SOLVER = bisection
