"""Homotopy: follow the logit equilibria from beta = 0 until an exact equilibrium is in reach.

The path of logit equilibria starts at the uniform policy and ends, for beta to infinity, in a Nash
equilibrium (McKelvey and Palfrey 1995; Turocy 2005). It is followed wherever it leads, also where beta
falls for a while. On the way, as soon as it is clear which actions are played, Newton's method on that
support lands on the equilibrium itself. Where steps lose the path, as they may where the model has kinks,
other paths are sought from random policies, as a search does.

Differences from the source:
    A logit equilibrium's rationality is beta of softmax(beta Q), per unit of payoff, as in the Thesis (beta =
    5 for urgencies 1 and 5): in other units of reward it is another number. What only leads the way, from
    which rationality to which, and where an equilibrium is sought, is counted per greatest payoff
    max|r| / (1 - gamma), gamma the greatest of the types (where the game ends, max|r| times its discounted
    length), so that urgencies 400 and 2000 are the game of 1
    and 5 in other units.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from agents.mean_field.units import unit_of
from agents.solvers.continuation.branches import Explorer
from agents.solvers.continuation.exact import exact_equilibrium, exact_near
from agents.solvers.continuation.quantal_response import LONGEST_STEP, LogitPoint, LogitSystem
from agents.solvers.equilibrium import Assessment, Equilibrium, Step, as_equilibrium, assess, in_units
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import q_values
from karma_envs.mean_field.exploitability import type_policies

# Rationalities are per greatest payoff, max|r| / (1 - gamma).
_FIRST_RATIONALITY = 5.0  # at which the uniform policy is a good start
_LAST_RATIONALITY = 2.5e10
_FIRST_ATTEMPT = 2.5e5  # before, supports are a guess
_NEXT_ATTEMPT = 4.0  # times the last attempt's rationality
_LONGEST_STEPS = (LONGEST_STEP, 2.0, 0.5)
_SUPPORTS_BESIDE = 4  # tried from a policy near an equilibrium: what is played may change by an action or two
_MOST_STARTS = 12  # from which other paths are sought where the one from 0 is lost


@in_units
def homotopy(
    model: FiniteMeanFieldModel,
    *,
    tolerance: float = 1e-10,
    exploration: float = 0.0,
    rationality: float = np.inf,
    start: NDArray[np.float64] | None = None,
    observer: Callable[[Step], None] | None = None,
) -> Equilibrium:
    """Solve by homotopy.

    Args:
        model: the mean-field model.
        tolerance: normalised exploitability to reach, where ``rationality`` is infinite.
        exploration: epsilon of the population; the result is then the policy that is played,
            exploration included, and its exploitability is not 0.
        rationality: beta to stop at, per unit of payoff, for a logit equilibrium; infinite for a Nash
            equilibrium.
        start: policy near an equilibrium ``[types, X, A]``, such as the equilibrium of a neighbouring model:
            the equilibrium next to it is sought first, with the actions that it plays, and the path followed
            only where there is none. None: the path from the uniform policy.
        observer: called at every step.

    Returns:
        the equilibrium; ``converged`` says whether the tolerance was reached, or the logit
        equilibrium found. Ctrl-C ends it with the best policy until there, and is raised where there is
        none.
    """
    began = time.perf_counter()
    system = LogitSystem(model, exploration)
    nash = not np.isfinite(rationality) and exploration == 0.0
    per_payoff = 1.0 / model.discounted_length
    last = min(unit_of(model) * rationality, _LAST_RATIONALITY * per_payoff)
    history: list[Step] = []

    def record(assessment: Assessment) -> None:
        history.append(Step(len(history) + 1, assessment.exploitability.normalised, assessment.efficiency))
        if observer is not None:
            observer(history[-1])

    if start is not None:
        near = _beside(system, type_policies(model, start), last, tolerance, nash=nash)
        if near is not None:
            record(near)
            seconds = time.perf_counter() - began
            return as_equilibrium("homotopy", near, tolerance, history, seconds, rests=None if nash else True)
    beginning = system.start()
    first = system.solve(beginning, min(_FIRST_RATIONALITY * per_payoff, last))
    best = here = assess(model, system.policy(beginning.logits)[0])
    reached, next_attempt, interrupted = 0.0, _FIRST_ATTEMPT * per_payoff, False
    try:
        for point in _path(system, first, last):
            reached = point.rationality
            here = assess(model, system.policy(point.logits)[0], here.mean_field)
            record(here)
            if not nash or here.exploitability.normalised < best.exploitability.normalised:
                best = here
            if nash and reached >= next_attempt:
                next_attempt = _NEXT_ATTEMPT * reached
                exact = exact_near(model, point, here, tolerance)
                if exact is not None:
                    best = exact
                    record(exact)
            if best.within(tolerance) if nash else reached >= last:
                break
        if nash and first is not None and not best.within(tolerance):
            explorer = Explorer(model, tolerance)
            for seed in range(_MOST_STARTS):
                branches = explorer.from_policy(np.random.default_rng(seed))
                if branches:
                    best = branches[0].equilibrium
                    record(best)
                    break
    except KeyboardInterrupt:
        interrupted = True
        if not history:
            raise
    return as_equilibrium(
        "homotopy",
        best,
        tolerance,
        history,
        time.perf_counter() - began,
        interrupted=interrupted,
        rests=None if nash else reached >= last,
    )


def _beside(
    system: LogitSystem, policy: NDArray[np.float64], last: float, tolerance: float, *, nash: bool
) -> Assessment | None:
    """The equilibrium that Newton's method leads to from a policy near one; None where there is none."""
    model = system.model
    here = assess(model, policy)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # it may diverge, and says so
        if nash:
            exact = exact_equilibrium(
                model, here.statistic, here.value, policy, tolerance=tolerance, most_supports=_SUPPORTS_BESIDE
            )
            return exact if exact is not None and exact.within(tolerance) else None
        q = q_values(model, model.decision_problem(here.statistic), here.value)
        point = system.solve(LogitPoint(here.statistic, here.value, last * q, last), last)
        return None if point is None else assess(model, system.policy(point.logits)[0])


def _path(system: LogitSystem, first: LogitPoint | None, last: float) -> Iterator[LogitPoint]:
    """The path from the first point to the last rationality, with shorter steps where long ones lose it.

    The path from beta = 0 does not come back there. Where it seems to, a step has landed on another path.
    """
    if first is None:
        return
    yield first
    for longest_step in _LONGEST_STEPS:
        for point in system.path(first, until=last, longest_step=longest_step):
            if point.rationality < first.rationality:
                break
            yield point
        else:
            return


SOLVER = homotopy
