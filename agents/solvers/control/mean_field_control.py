"""Mean-field control behind ``solve``: where the planner leads a population, and what it is told there.

The planner's solution is a local policy for every mu (:mod:`agents.solvers.control.integrated_q`). In the
long run there remains of it the mu that the population comes to rest in, and the policy that keeps it
there. It is no equilibrium: ``exploitability`` tells what a single agent gains by leaving it.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from agents.solvers.control.integrated_q import integrated_q
from agents.solvers.equilibrium import Equilibrium, Observer, Step, as_equilibrium, assess
from karma_envs.config import real
from karma_envs.mean_field import MeanFieldModel, as_finite_model


def mean_field_control(
    model: MeanFieldModel,
    *,
    tolerance: float = 1e-6,
    grid_steps: int | None = None,
    policy_steps: int = 8,
    observer: Observer | None = None,
) -> Equilibrium:
    """Lead a population as its planner does until it rests, from where the model begins.

    Args:
        model: a mean-field model of one type, of few states and actions.
        tolerance: largest difference, in any state, between the mu that the planner leads to and the one
            that the policy there makes for ever.
        grid_steps: 1 over the spacing of the grid of populations, as of ``integrated_q``.
        policy_steps: 1 over the spacing of the net of local policies, likewise.
        observer: called once, with the policy at rest.

    Returns:
        the local policy at rest; ``converged`` tells whether the population rests with it, which leaves
        ``exploitability`` above 0.

    Raises:
        ConfigError: for an option out of range, a model of several types or without tables, or one with too
            many states and actions.
    """
    began = time.perf_counter()
    tolerance = real("tolerance", tolerance, 0, open_low=True)
    solution = integrated_q(model, grid_steps=grid_steps, policy_steps=policy_steps)
    rest = solution.resting_point()
    assessment = assess(as_finite_model(model), solution.policy(rest)[None], rest[None])
    moved = float(np.abs(assessment.mean_field[0] - rest).max())
    step = Step(solution.sweeps, assessment.exploitability.normalised, assessment.efficiency)
    if observer is not None:
        observer(step)
    rests = moved <= tolerance
    result = as_equilibrium(
        "mean_field_control",
        assessment,
        tolerance,
        [step],
        time.perf_counter() - began,
        interrupted=solution.interrupted,
        rests=rests,
        reason="" if rests else f"the planner comes to no rest: its policy moves mu by {moved:.1e}",
    )
    return replace(result, sought="planner's optimum")


SOLVER = mean_field_control
