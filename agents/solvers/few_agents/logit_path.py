"""Logit path: an equilibrium among few agents, by logit play whose rationality rises, on the exact game.

    pi <- pi + eta_n (softmax(beta_n Q) - pi),    eta_n = min(eta_0, c / beta_n),
    beta <- beta growth^(eta_n / eta_0),

with Q(x, a) what an action is worth to one that sees its own state x while all play pi, the others being
where the joint process has come to rest (:mod:`agents.solvers.few_agents.own_states`). The logit equilibria
of the game lead to a Nash equilibrium as beta grows (McKelvey and Palfrey 1995). A step that falls like
1/beta moves a policy as far as a difference in Q is sure, however steep the softmax is; with a fixed one play
cycles. Then beta grows in proportion to n, so that steps never add up to an end.

An equilibrium among few agents is here a policy per type, of an agent's own state, from which nobody gains by
playing another of its own state for ever while all others go on. What that gains is told by the certificate,
:func:`agents.evaluators.finite_exploitability`: a lower bound by the best own-state deviation that a search
found, which may be a local optimum, and an upper bound by what an agent would gain that sees everybody's
karma and remembers everything. *Converged* means that the lower bound has come within the tolerance.

Ours.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from agents.evaluators.few_agents.finite_exploitability import (
    FiniteExploitability,
    finite_exploitability,
    joint_model_of,
)
from agents.policies.tabular import TabularPolicy
from agents.solvers.equilibrium import Equilibrium, Observer, Step, TabularEquilibrium
from agents.solvers.few_agents.own_states import OwnStates, Watch
from karma_envs.config import real, whole
from karma_envs.finite import FiniteGame
from karma_envs.joint import JointModel
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.numerics.sampling import softmax, uniform_over

# Rationalities are per greatest reward.
_RATIONALITIES = (1.0, 1e4)  # to begin with, at least and at most
_STEP_TIMES_RATIONALITY = 40.0
_STEPS = 8  # of a linear solve, for each policy
_LEAST_GAIN = 1e-6  # of |J|
_RARE = 1e-4  # a probability
_PATIENCE = 60  # steps without a better policy


def logit_path(
    game: FiniteGame,
    *,
    tolerance: float = 1e-3,
    first_rationality: float | None = None,
    growth: float = 1.05,
    step_size: float = 0.3,
    iterations: int = 400,
    start: NDArray[np.float64] | None = None,
    observer: Observer | None = None,
) -> Equilibrium:
    """Solve a game of N agents by a logit path.

    Args:
        game: with as many agents as it is to be solved for; it must offer its joint process
            (``game.joint_model()``).
        tolerance: normalised exploitability, of own-state deviations, to reach.
        first_rationality: beta_0 > 0, per unit of payoff; None: that at which logit play leaves as much to
            gain as the policy to begin with.
        growth: factor of beta per step of eta_0, > 1.
        step_size: eta_0 in (0, 1].
        iterations: the most steps.
        start: policy ``[types, X, A]`` to begin with; None: an equilibrium of the mean field where the game
            has a model of it, else uniform.
        observer: called at every step; ``exploitability_normalised`` is there what is to be gained to first
            order, no bound.

    Returns:
        the policy that least is to be gained from to first order, with its certificate. Ctrl-C ends the path
        with the best until there.

    Raises:
        ConfigError: for an option out of range, and for a game that does not offer its joint process or has
            too many joint states.
    """
    began = time.perf_counter()
    tolerance = real("tolerance", tolerance, 0, open_low=True)
    growth = real("growth", growth, 1, open_low=True)
    step_size = real("step_size", step_size, 0, 1, open_low=True)
    iterations = whole("iterations", iterations, 1)
    model = joint_model_of(game, game.type_of_agent.astype(np.int64))
    model.check_size()
    if first_rationality is not None:
        real("first_rationality", first_rationality, 0, open_low=True)
    unit = float(np.abs(game.reward_bounds).max()) or 1.0
    policy = _start(game) if start is None else np.asarray(start, np.float64)

    history: list[Step] = []
    best: OwnStates | None = None
    best_at, enough, interrupted = 0, tolerance, False
    try:
        for seen in _path(model, policy, first_rationality, growth, step_size, unit):
            history.append(Step(len(history) + 1, seen.gain_normalised, seen.efficiency))
            if observer is not None:
                observer(history[-1])
            if best is None or seen.gain < best.gain:
                best, best_at = seen, len(history)
            if len(history) >= iterations or len(history) - best_at > _PATIENCE:
                break
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
    return _as_equilibrium(best, certificate, tolerance, history, time.perf_counter() - began, interrupted)


def _certified(game: FiniteGame, seen: OwnStates, *, upper: bool) -> FiniteExploitability:
    return finite_exploitability(game, TabularPolicy(seen.policy), upper=upper)


def _path(
    model: JointModel,
    policy: NDArray[np.float64],
    rationality: float | None,
    growth: float,
    step_size: float,
    unit: float,
) -> Iterator[OwnStates]:
    """The policies of the path, from the first on, as agents see them."""
    watch = Watch(model, _STEPS)
    while True:
        seen = watch.own_states(policy)
        yield seen
        rationality = rationality or _rationality_of(seen, unit)
        step = min(step_size, _STEP_TIMES_RATIONALITY / (unit * rationality))
        policy = _without_rare(policy + step * (softmax(rationality * seen.q) - policy))
        rationality *= growth ** (step / step_size)


def _rationality_of(seen: OwnStates, unit: float) -> float:
    """The rationality at which logit play leaves as much to gain as the policy, among others as they are."""

    def left(logarithm: float) -> float:
        play = softmax(np.exp(logarithm) / unit * seen.q)
        return seen.gain_of(play) - max(seen.gain, _LEAST_GAIN * abs(seen.payoff))

    low, high = np.log(_RATIONALITIES)
    if left(low) <= 0 or left(high) >= 0:
        return float(np.exp(low if left(low) <= 0 else high)) / unit
    return float(np.exp(brentq(left, low, high, xtol=1e-2))) / unit


def _without_rare(policy: NDArray[np.float64]) -> NDArray[np.float64]:
    """A policy without what is hardly ever played: a step of the game takes time by what may be played."""
    often = np.where(policy < _RARE, 0.0, policy)
    return np.asarray(often / often.sum(axis=2, keepdims=True))


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
        reason="" if reached else f"own-state deviations gain {certificate.normalised_lower:.1e} of |J|",
        certificate=certificate,
    )


FINITE_SOLVER = logit_path
