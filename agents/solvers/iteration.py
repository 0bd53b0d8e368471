"""What the first-order methods share: a policy and a population that move together, step by step."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from agents.mean_field.dynamic_programming import transition_matrix
from agents.mean_field.exploitability import exploitability_in
from agents.solvers.equilibrium import Assessment, Equilibrium, Step, as_equilibrium, assess
from karma_envs.game import Environment, MeanFieldModel

_PATIENCE = 5  # iterations between assessments while the moving population promises success

Observer = Callable[[Step], None]
Update = Callable[[int, Environment, NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


def uniform_policy(model: MeanFieldModel) -> NDArray[np.float64]:
    """Every legal action equally likely, ``float64[types, X, A]``."""
    legal = model.legal_actions / model.legal_actions.sum(axis=1, keepdims=True)
    return np.repeat(legal[None], model.n_types, axis=0)


def softmax(model: MeanFieldModel, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The policy proportional to exp(scores) over legal actions, ``[types, X, A]``."""
    scores = np.where(model.legal_actions, scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=2, keepdims=True))
    return np.asarray(weights / weights.sum(axis=2, keepdims=True))


def iterate(
    method: str,
    model: MeanFieldModel,
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
    which besides is done every ``assess_every`` iterations.

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
        the least exploitable of the policies that were assessed; with ``rest`` the last, and
        ``converged`` tells whether it rests.
    """
    began = time.perf_counter()
    policy = uniform_policy(model) if start is None else start
    mean_field = model.initial_mean_field
    best: Assessment | None = None
    history: list[Step] = []
    next_look, resting, reached = assess_every, False, False
    for iteration in range(iterations):
        for _ in range(population_steps):
            environment = model.environment(model.statistic(mean_field, policy))
            following = np.einsum("tx,txy->ty", mean_field, transition_matrix(environment, policy))
            following /= following.sum(axis=1, keepdims=True)
            drift = float(np.abs(following - mean_field).sum())
            mean_field = following
        last = iteration == iterations - 1
        promising = rest is None and (
            exploitability_in(model, policy, mean_field, environment).normalised <= tolerance
        )
        if last or resting or iteration >= next_look or (promising and iteration % _PATIENCE == 0):
            found = assess(model, policy, mean_field)
            mean_field = found.mean_field
            next_look = iteration + assess_every
            normalised = found.exploitability.normalised
            if best is None or rest is not None or normalised < best.exploitability.normalised:
                best = found
            history.append(Step(iteration, normalised, found.efficiency))
            if observer is not None:
                observer(history[-1])
            reached = resting if rest is not None else normalised <= tolerance
            if reached:
                break
        following_policy = update(iteration, environment, mean_field, policy)
        if rest is not None:
            change = float((mean_field[..., None] * np.abs(following_policy - policy)).sum())
            resting = max(change, drift) <= rest
        policy = following_policy
    assert best is not None, "iterations is at least 1"
    result = as_equilibrium(method, best, tolerance, history, time.perf_counter() - began)
    return result if rest is None else replace(result, converged=reached)
