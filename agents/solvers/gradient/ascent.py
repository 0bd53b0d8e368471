"""What policy gradients share: estimate the gradient, go uphill, and say how good the policy is.

    theta_{k+1} = [theta_k + alpha_k G_k]_Theta     (the source's equations 3b and 5)

where G_k is an estimate of the gradient, alpha_k is chosen by Adam, and [.]_Theta is the nearest point within
the bounds of the parameters. Each method is an :data:`Estimator` of G.

Source: *Learning stationary strategies in large-population multi-agent systems with exchangeable agents*,
section 2.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.solvers.equilibrium import Equilibrium, Observer, Step, equilibrium_of
from agents.solvers.gradient.adam import Adam
from agents.solvers.gradient.simulator import Simulator
from agents.solvers.trace import Trace
from karma_envs.config import choice, is_list, real, refusal, whole
from karma_envs.meaning import ANY, ESTIMATE, Meaning

OBJECTIVES = ("equilibrium", "team")

_LOOK_EVERY = 20
"""Iterations between looks at how good the policy really is; there are more of them at the beginning."""

_LATE = 4
"""Whether an ascent has come to rest is told by the last quarter of its gradients."""


class Estimate(NamedTuple):
    """What an iteration learned from play.

    Attributes:
        gradient: G, ``float64[p]``.
        payoff: J of the policy, as it was played.
        statistic: z of the population.
        samples: agent-steps that were played.
    """

    gradient: NDArray[np.float64]
    payoff: float
    statistic: NDArray[np.float64]
    samples: int


Estimator = Callable[[Any, np.random.Generator], Estimate]
"""An estimate of the gradient at a policy; it draws from the generator."""


def objective_of(simulator: Simulator, objective: str | None) -> str:
    """What is sought: as named, or what suits the game.

    Raises:
        ConfigError: for another name.
    """
    if objective is None:
        return "team" if simulator.game.cooperative else "equilibrium"
    return choice("objective", objective, OBJECTIVES)


def ascend(
    method: str,
    simulator: Simulator,
    estimator: Estimator,
    *,
    objective: str,
    tolerance: float,
    iterations: int,
    learning_rate: float,
    start: ArrayLike | None,
    seed: int,
    observer: Observer | None,
) -> Equilibrium:
    """Move the parameters of a policy uphill.

    Args:
        method: the solver's name, for the result.
        simulator: the game.
        estimator: of the gradient.
        objective: ``equilibrium`` or ``team``.
        tolerance: normalised exploitability that the policy must have to count as an equilibrium.
        iterations: K.
        learning_rate: Adam's alpha.
        start: theta_0, ``float[p]`` or one number for all; None for those of the game's family.
        seed: of all that is random.
        observer: called after iterations 0, 1, 2, 4, … and every 20th, if the game has a mean-field model.

    Returns:
        the policy after the last iteration, what is exactly known of it, and a trace of the iterations. Of a
        team, ``converged`` is whether the last quarter of the gradients is 0 within its standard error.

    Raises:
        ConfigError: for an option out of range.
    """
    began = time.perf_counter()
    iterations = whole("iterations", iterations, 1)
    rng = np.random.default_rng(whole("seed", seed, 0))
    policy = simulator.family
    low, high = policy.bounds
    theta = _start(start, policy.parameters, low, high)
    adam = Adam(len(theta), real("learning_rate", learning_rate, 0, open_low=True))
    estimates: list[Estimate] = []
    path: list[NDArray[np.float64]] = []
    history: list[Step] = []
    interrupted = False
    try:
        for iteration in range(iterations):
            policy = policy.with_parameters(theta)
            if iteration & (iteration - 1) == 0 or iteration % _LOOK_EVERY == 0:
                _look(simulator, policy, iteration, history, observer)
            estimate = estimator(policy, rng)
            estimates.append(estimate)
            path.append(theta)
            theta = np.clip(theta + adam.step(estimate.gradient), low, high)
    except KeyboardInterrupt:
        if not estimates:
            raise
        interrupted = True
    trace = Trace(
        parameters=np.array(path),
        payoff=np.array([each.payoff for each in estimates]),
        statistic=np.array([each.statistic.ravel() for each in estimates]),
        gradient=np.array([each.gradient for each in estimates]),
        samples=np.cumsum([each.samples for each in estimates]),
    )
    policy = policy.with_parameters(theta)
    _look(simulator, policy, len(estimates), history, observer)
    seconds = time.perf_counter() - began
    if simulator.model is None:
        found = _without_model(simulator, policy, method, trace, tolerance, seconds)
    else:
        found = equilibrium_of(
            simulator.model, simulator.in_model(policy), method, tolerance, history, seconds
        )
    if objective == "team":
        reason = _unrest(trace, theta <= low, theta >= high)
        found = replace(found, converged=not reason and found.at_rest, reason=reason, sought="team's optimum")
    if interrupted:
        found = replace(found, interrupted=True, converged=False, reason="it was interrupted")
    return replace(found, trace=trace)


def _start(
    start: ArrayLike | None, own: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.float64]:
    """theta_0, checked.

    Raises:
        ConfigError: where it is not within the bounds.
    """
    if start is None:
        return own
    numbers = start if is_list(start) else [start]
    given = np.array([real("start", number) for number in numbers])
    if len(given) not in (1, len(own)):
        raise refusal("start", start, f"one number, or {len(own)}")
    theta = np.broadcast_to(given, own.shape).astype(np.float64)
    if outside := np.flatnonzero((theta < low) | (theta > high)).tolist():
        first = outside[0]
        raise refusal("start", float(theta[first]), f"{low[first]:g} … {high[first]:g}")
    return theta


def _look(
    simulator: Simulator, policy: Any, iteration: int, history: list[Step], observer: Observer | None
) -> None:
    """Write down how good a policy really is, where the game has a model that tells."""
    model = simulator.model
    if model is None:
        return
    own = simulator.in_model(policy)
    efficiency = float(model.masses @ model.efficiency(own))
    history.append(Step(iteration, model.exploitability(own).normalised, efficiency))
    if observer is not None:
        observer(history[-1])


def _unrest(trace: Trace, lowest: NDArray[np.bool_], highest: NDArray[np.bool_]) -> str:
    """Why the ascent is not at rest; empty if it is.

    The last gradients have a mean of 0 if the sum over parameters of (mean / standard error)^2, which then is
    about chi-square with p degrees of freedom, is at most 3 standard deviations above p. A gradient that
    points out of the bounds, where the parameter is, counts as 0.
    """
    late = trace.gradient[-max(len(trace.gradient) // _LATE, 2) :]
    if len(late) < 2:
        return "one iteration does not tell whether it is at rest"
    mean = late.mean(axis=0)
    mean[(lowest & (mean < 0)) | (highest & (mean > 0))] = 0
    error = late.std(axis=0, ddof=1) / np.sqrt(len(late))
    squares = np.divide(mean**2, error**2, out=np.where(mean == 0, 0, np.inf), where=error > 0)
    excess = (squares.sum() - len(mean)) / np.sqrt(2 * len(mean))
    if excess <= 3:
        return ""
    return (
        f"the gradient is not 0 yet: over the last {len(late)} iterations the squares of its means, in "
        f"units of their errors, are {excess:.1f} standard deviations above what noise gives"
    )


def _without_model(
    simulator: Simulator, policy: Any, method: str, trace: Trace, tolerance: float, seconds: float
) -> Equilibrium:
    """The result in a game of which no model tells how good policies are: what was played last."""
    discounts, payoff = simulator.game.discounts, float(trace.payoff[-1])
    unknown = np.full(len(discounts), np.nan)
    return Equilibrium(
        method=method,
        policy=policy,
        mean_field=np.empty((len(discounts), 0)),
        statistic=trace.statistic[-1],
        value=unknown,
        efficiency=np.nan,
        efficiency_by_type=unknown,
        payoff=payoff,
        payoff_by_type=unknown,
        exploitability=np.nan,
        exploitability_normalised=np.nan,
        exploitability_by_type=unknown,
        meaning=Meaning(None, ESTIMATE, ANY),
        stationary_residual=0.0,
        converged=False,
        tolerance=tolerance,
        history=(),
        seconds=seconds,
        reason="the game has no mean-field model that would tell what its policy leaves to gain",
    )
