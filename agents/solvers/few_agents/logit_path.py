"""Logit path: an equilibrium among few agents, by logit play whose rationality rises, on the exact game.

    pi <- pi + eta_n (softmax(beta_n Q) - pi),    beta_n = beta_0 growth^n,    eta_n = min(eta_0, c / beta_n),

with Q(x, a) what an action is worth to one that sees its own state x while all play pi, the others being where
the joint process has come to rest (:mod:`agents.solvers.few_agents.own_states`). The logit equilibria of the
game lead to a Nash equilibrium as beta grows (McKelvey and Palfrey 1995). A step that falls like 1/beta moves a
policy as far as a difference in Q is sure, however steep the softmax is; with a fixed one play cycles.

An equilibrium among few agents is here a policy per type, of an agent's own state, from which nobody gains by
playing another of its own state for ever while all others go on. What that gains is told by the certificate,
:func:`agents.evaluators.finite_exploitability`: a lower bound by the best own-state deviation that a search
found, which may be a local optimum, and an upper bound by what an agent would gain that sees everybody's karma
and remembers everything. *Converged* means that the lower bound has come within the tolerance.

Ours.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from agents.evaluators.few_agents.finite_exploitability import FiniteExploitability, finite_exploitability
from agents.policies.tabular import TabularPolicy
from agents.solvers.equilibrium import Equilibrium, Observer, Step, TabularEquilibrium
from agents.solvers.few_agents.own_states import OwnStates, Watch
from karma_envs.config import real, refusal, whole
from karma_envs.finite import FiniteGame
from karma_envs.joint import JointModel
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.numerics.sampling import softmax, uniform_over

# Rationalities are per greatest reward.
_FIRST_RATIONALITY = 10.0
_STEP_TIMES_RATIONALITY = 40.0
_STEPS = 8  # of a linear solve, for each policy
_RARE = 1e-4  # a probability
_PATIENCE = 60  # steps without a better policy


def logit_path(
    game: FiniteGame,
    *,
    tolerance: float = 1e-3,
    first_rationality: float | None = None,
    growth: float = 1.03,
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
        first_rationality: beta_0 > 0, per unit of payoff; None: 10 over the greatest reward.
        growth: factor of beta per step, > 1.
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
    model = joint_model_of(game)
    unit = float(np.abs(game.reward_bounds).max()) or 1.0
    first = _FIRST_RATIONALITY / unit if first_rationality is None else first_rationality
    first = real("first_rationality", first, 0, open_low=True)
    policy = _start(game) if start is None else np.asarray(start, np.float64)

    history: list[Step] = []
    best: OwnStates | None = None
    interrupted = False
    try:
        for seen in _path(model, policy, first, growth, step_size, unit):
            history.append(Step(len(history) + 1, seen.gain_normalised, seen.efficiency))
            if observer is not None:
                observer(history[-1])
            if best is None or seen.gain < best.gain:
                best, found = seen, len(history)
            done = best.gain_normalised <= tolerance / 4 or len(history) - found > _PATIENCE
            if done or len(history) >= iterations:
                break
    except KeyboardInterrupt:
        if best is None:
            raise
        interrupted = True
    assert best is not None
    certificate = finite_exploitability(game, TabularPolicy(best.policy))
    return _as_equilibrium(best, certificate, tolerance, history, time.perf_counter() - began, interrupted)


def joint_model_of(game: FiniteGame) -> JointModel:
    """The game of N agents, exactly.

    Raises:
        ConfigError: for a game that does not offer it, or of too many joint states.
    """
    model = game.joint_model()
    if model is None:
        raise refusal("game", game.name, "a game that offers its joint process, as matching does")
    model.check_size()
    return model


def _path(
    model: JointModel,
    policy: NDArray[np.float64],
    first: float,
    growth: float,
    step_size: float,
    unit: float,
) -> Iterator[OwnStates]:
    """The policies of the path, from the first on, as agents see them."""
    watch, rationality = Watch(model, _STEPS), first
    while True:
        seen = watch.own_states(policy)
        yield seen
        step = min(step_size, _STEP_TIMES_RATIONALITY / (unit * rationality))
        policy = _without_rare(policy + step * (softmax(rationality * seen.q) - policy))
        rationality *= growth


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
