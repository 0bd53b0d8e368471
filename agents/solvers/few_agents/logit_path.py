"""Logit path: an equilibrium among few agents, by the path of logit equilibria of the exact game.

Agents play softmax(beta Q), with Q(x, a) what an action is worth to one that sees its own state x while all
play so, the others being where the joint process has come to rest. Such equilibria lead to a Nash equilibrium
as beta grows (McKelvey and Palfrey 1995); :mod:`agents.solvers.few_agents.path` follows them. Steps of
play towards better responses do not find it: they cycle.

An equilibrium among few agents is here a policy per type, of an agent's own state, from which nobody gains by
playing another of its own state for ever while all others go on. What that gains is told by the certificate,
:func:`agents.evaluators.finite_exploitability`: a lower bound by the best own-state deviation that a search
found, which may be a local optimum, and an upper bound by what an agent would gain that sees everybody's
karma and remembers everything. *Converged* means that the lower bound has come within the tolerance.

Ours.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from agents.evaluators.few_agents.finite_exploitability import (
    FiniteExploitability,
    finite_exploitability,
    joint_model_of,
)
from agents.policies.tabular import TabularPolicy
from agents.solvers.equilibrium import Equilibrium, Observer, Step, TabularEquilibrium
from agents.solvers.few_agents.own_states import OwnStates
from agents.solvers.few_agents.path import LogitPath
from karma_envs.config import real, whole
from karma_envs.finite import FiniteGame
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.numerics.sampling import uniform_over

_FIRST_RATIONALITY = 100.0  # per greatest reward


def logit_path(
    game: FiniteGame,
    *,
    tolerance: float = 1e-3,
    first_rationality: float | None = None,
    evaluations: int = 7000,
    start: NDArray[np.float64] | None = None,
    observer: Observer | None = None,
) -> Equilibrium:
    """Solve a game of N agents by a logit path.

    Args:
        game: with as many agents as it is to be solved for; it must offer its joint process
            (``game.joint_model()``).
        tolerance: normalised exploitability, of own-state deviations, to reach.
        first_rationality: beta to begin with, > 0, per unit of payoff; None: 100 over the greatest reward.
            Where no logit equilibrium of it is come to, a lower one is tried.
        evaluations: the most policies that are evaluated on the way.
        start: policy ``[types, X, A]`` to begin with; None: an equilibrium of the mean field where the game
            has a model of it, else uniform.
        observer: called at every point of the path; ``exploitability_normalised`` is there what is to be
            gained to first order, no bound.

    Returns:
        the policy that least is to be gained from to first order, with its certificate. Ctrl-C ends the path
        with the best until there.

    Raises:
        ConfigError: for an option out of range, and for a game that does not offer its joint process or has
            too many joint states.
    """
    began = time.perf_counter()
    tolerance = real("tolerance", tolerance, 0, open_low=True)
    evaluations = whole("evaluations", evaluations, 1)
    model = joint_model_of(game, game.type_of_agent.astype(np.int64))
    model.check_size()
    unit = float(np.abs(game.reward_bounds).max()) or 1.0
    first = _FIRST_RATIONALITY / unit if first_rationality is None else first_rationality
    first = real("first_rationality", first, 0, open_low=True)
    policy = _start(game) if start is None else np.asarray(start, np.float64)

    path = LogitPath(model, unit, evaluations)
    history: list[Step] = []
    best: OwnStates | None = None
    enough, interrupted = tolerance, False
    try:
        for seen in path.walk(policy, unit * first):
            history.append(Step(len(history) + 1, seen.gain_normalised, seen.efficiency))
            if observer is not None:
                observer(history[-1])
            if best is None or seen.gain < best.gain:
                best = seen
            if best.gain_normalised <= enough:  # to first order; is it so of whatever an agent may do?
                enough = best.gain_normalised / 2
                if _certified(game, best, upper=False).normalised_lower <= tolerance:
                    break
    except KeyboardInterrupt:
        if best is None:
            raise
        interrupted = True
    assert best is not None
    certificate = _certified(game, best, upper=True)
    return _as_equilibrium(
        best, certificate, tolerance, history, time.perf_counter() - began, path.reason, interrupted
    )


def _certified(game: FiniteGame, seen: OwnStates, *, upper: bool) -> FiniteExploitability:
    return finite_exploitability(game, TabularPolicy(seen.policy), upper=upper)


def _start(game: FiniteGame) -> NDArray[np.float64]:
    """An equilibrium of the mean field, or the uniform policy, ``float64[types, X, A]``."""
    from agents.solvers.solve import solve

    model = game.mean_field()
    if isinstance(model, FiniteMeanFieldModel) and model.n_types == len(game.discounts):
        return np.asarray(solve(model).policy.probabilities, np.float64)
    return np.repeat(uniform_over(game.legal_actions)[None], len(game.discounts), axis=0)


def _as_equilibrium(
    best: OwnStates,
    certificate: FiniteExploitability,
    tolerance: float,
    history: list[Step],
    seconds: float,
    ended: str,
    interrupted: bool,
) -> TabularEquilibrium:
    """The result: the certificate's lower bound is its exploitability."""
    reached = certificate.normalised_lower <= tolerance
    return TabularEquilibrium(
        method="logit_path",
        policy=TabularPolicy(best.policy),
        mean_field=best.mean_field,
        statistic=np.empty(0),
        value=best.value,
        efficiency=best.efficiency,
        efficiency_by_type=best.efficiency_by_kind,
        payoff=best.payoff,
        payoff_by_type=best.payoff_by_kind,
        exploitability=certificate.lower,
        exploitability_normalised=certificate.normalised_lower,
        exploitability_by_type=certificate.lower_by_type,
        meaning=certificate.meaning_lower,
        stationary_residual=best.residual,
        converged=reached,
        tolerance=tolerance,
        history=tuple(history),
        seconds=seconds,
        interrupted=interrupted,
        reason=""
        if reached
        else f"own-state deviations gain {certificate.normalised_lower:.1e} of |J|; {ended}",
        certificate=certificate,
    )


FINITE_SOLVER = logit_path
