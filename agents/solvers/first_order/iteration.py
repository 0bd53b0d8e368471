"""What the first-order methods share: a policy and a population that move together, step by step."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from agents.solvers.equilibrium import Assessment, Equilibrium, Observer, Step, as_equilibrium, assess
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import uniform_policy
from karma_envs.mean_field.exploitability import exploitability_in
from karma_envs.numerics.sampling import softmax

_PATIENCE = 5  # iterations between assessments while the moving population promises success

Update = Callable[[int, DecisionProblem, NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


def logit_policy(model: FiniteMeanFieldModel, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The policy proportional to exp(scores) over legal actions, ``[types, X, A]``."""
    return softmax(np.where(model.legal_actions, scores, -np.inf))


def iterate(
    method: str,
    model: FiniteMeanFieldModel,
    update: Update,
    *,
    tolerance: float,
    iterations: int,
    observer: Observer | None = None,
    start: NDArray[np.float64] | None = None,
    population_steps: int = 3,
    assess_every: int = 100,
    rest: float | None = None,
) -> Equilibrium:
    """Update a policy against the population that plays it, until it is an equilibrium.

    The population is not brought to rest after every update: it makes a few steps from where it is.
    What an agent gains in this moving population says when it is worth to assess the policy exactly,
    which besides is done every ``assess_every`` iterations, and before at 0, 1, 2, 4 … to show how it begins.

    Args:
        method: the solver's name, for the result.
        model: the mean-field model.
        update: the next policy, from the iteration (0, 1, ...), what an agent faces, mu and the policy.
        tolerance: normalised exploitability to stop at.
        iterations: the most iterations.
        observer: called at every step recorded.
        start: policy ``[types, X, A]`` to begin with; uniform if None.
        population_steps: steps of the population (Thesis, Definition 2.3) per iteration, >= 1.
        assess_every: iterations between exact assessments.
        rest: if given, the method seeks a fixed point of ``update`` that need not be an equilibrium:
            it stops where an update moves the policy by at most this (in L1, weighted by mu).

    Returns:
        the least exploitable of the policies that were assessed, one at rest if there is any; with
        ``rest`` the last, and ``converged`` tells whether it rests. Ctrl-C ends the iterations with what
        there is by then, and is raised where there is nothing.
    """
    began = time.perf_counter()
    policy = uniform_policy(model) if start is None else start
    mean_field = model.initial_mean_field
    best: Assessment | None = None
    early: Assessment | None = None  # looked at to show how it begins
    history: list[Step] = []
    next_look, resting, reached, interrupted = assess_every, False, False, False
    try:
        for iteration in range(iterations):
            for _ in range(population_steps):
                problem, following = model.step(mean_field, policy)
                drift = float(np.abs(following - mean_field).sum())
                mean_field = following
            last = iteration == iterations - 1
            promising = rest is None and (
                exploitability_in(model, policy, mean_field, problem).normalised <= tolerance
            )
            due = last or resting or iteration >= next_look or (promising and iteration % _PATIENCE == 0)
            if due or (iteration < assess_every and iteration & (iteration - 1) == 0):
                assessment = assess(model, policy, mean_field)
                if not due:
                    early = assessment
                else:
                    mean_field, next_look = assessment.mean_field, iteration + assess_every
                    if best is None or rest is not None or _badness(assessment) < _badness(best):
                        best = assessment
                history.append(Step(iteration, assessment.exploitability.normalised, assessment.efficiency))
                if observer is not None:
                    observer(history[-1])
                reached = due and (resting if rest is not None else assessment.within(tolerance))
                if reached:
                    break
            following_policy = update(iteration, problem, mean_field, policy)
            if rest is not None:
                change = float((mean_field[..., None] * np.abs(following_policy - policy)).sum())
                resting = max(change, drift) <= rest
            policy = following_policy
    except KeyboardInterrupt:
        interrupted = True
        best = best if best is not None else early
        if best is None:
            raise
    assert best is not None, "iterations is at least 1"
    return as_equilibrium(
        method,
        best,
        tolerance,
        history,
        time.perf_counter() - began,
        interrupted=interrupted,
        rests=None if rest is None else reached,
    )


def _badness(assessment: Assessment) -> tuple[bool, float]:
    """What makes the worse of two assessed policies: not at rest first, then what it leaves to gain."""
    return not assessment.exploitability.at_rest, assessment.exploitability.normalised
