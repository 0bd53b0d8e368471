"""Riccati: the equilibrium of a linear-quadratic mean-field game, in closed form.

The best response to every mean of the population has the same gain, which solves the discounted Riccati
equation, and an offset that is affine in the mean. So the mean of an equilibrium solves a linear equation:
without an end d numbers of a population at rest, else a flow, by a pass from the end and one from the start.

Source: M. Bardi, *Explicit solutions of some linear-quadratic mean field games*, Networks and Heterogeneous
Media 7(2), 2012, in discrete time and discounted; the equations stand in
:mod:`karma_envs.games.lq_regulator.closed_forms`.
"""

from __future__ import annotations

import time
from dataclasses import replace

from agents.solvers.equilibrium import Equilibrium, Observer, Step, equilibrium_of
from karma_envs.config import refusal
from karma_envs.games.lq_regulator.mean_field import LqRegulatorMeanField
from karma_envs.mean_field import MeanFieldModel


def riccati(
    model: MeanFieldModel,
    *,
    tolerance: float = 1e-10,
    observer: Observer | None = None,
) -> Equilibrium:
    """Solve by the Riccati equation.

    Args:
        model: of the linear-quadratic regulator game.
        tolerance: normalised exploitability that the policy must have to count as an equilibrium.
        observer: called once, with the result.

    Returns:
        the equilibrium. Where the equation for the mean has no solution that is known it is the best response
        to the mean that agents start with, and ``reason`` says why.

    Raises:
        ConfigError: for another model.
    """
    if not isinstance(model, LqRegulatorMeanField):
        raise refusal("model", type(model).__name__, "that of a linear-quadratic game, such as lq_regulator")
    began = time.perf_counter()
    mean = model.equilibrium_statistic()
    policy = model.best_response(model.initial_statistic if mean is None else mean)
    seconds = time.perf_counter() - began
    found = equilibrium_of(model, policy, "riccati", tolerance, [], seconds, reason=model.obstacle)
    step = Step(0, found.exploitability_normalised, found.efficiency)
    if observer is not None:
        observer(step)
    return replace(found, history=(step,))


SOLVER = riccati
