"""Inner solvers: the optimal Q of one agent in a population that stands still, exact or learned.

Each is a configuration, whose :meth:`start` makes a function of a model and the decision problem that its
agents face, which gives ``q[types, X, A]``, -inf where illegal. Asynchronous Q-learning, along the way of an
agent, is what :mod:`agents.solvers.three_step.learned_response` does with the tabular learner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import Config, real, whole
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import best_response, q_values
from karma_envs.numerics.compile import kernel
from karma_envs.numerics.random import new_streams, next_uniform

InnerSolver = Callable[[FiniteMeanFieldModel, DecisionProblem], NDArray[np.float64]]

_SWEEPS_AT_ONCE = 1000  # between which Ctrl-C is heard


@dataclass(frozen=True)
class Exact(Config):
    """Q* by policy iteration (Howard 1960), which begins with the best response to the problem before."""

    def start(self) -> InnerSolver:
        """The solver, which remembers its last best response."""
        response: NDArray[np.float64] | None = None

        def solved(model: FiniteMeanFieldModel, problem: DecisionProblem) -> NDArray[np.float64]:
            nonlocal response
            response, value = best_response(model, problem, response)
            return q_values(model, problem, value)

        return solved


@dataclass(frozen=True)
class QLearning(Config):
    """Tabular Q-learning, anew for every problem: T sweeps in which every pair (x, a) is tried once.

        Q(x, a) <- Q(x, a) + (t + 1)^-h (r(x, a) + gamma max Q(x', .) - Q(x, a)),    t = 0 … T - 1,

    with x' drawn from P(. | x, a), and the maximum of the Q before the sweep. Rewards are expectations.

    Attributes:
        sweeps: T >= 1.
        exponent: h of the learning rate, in (0, 1]; above 1/2 for Q to converge.
        seed: of all draws, >= 0.
        initial_q: Q_0.

    Source: Guo, Hu, Xu, Zhang 2019, Algorithm 2, line 3, with T_k for T; the rate is that of E. Even-Dar and
    Y. Mansour, *Learning rates for Q-learning*, JMLR 2003, whose bounds the source uses.
    """

    sweeps: int = 10_000
    exponent: float = 0.75
    seed: int = 0
    initial_q: float = 0.0

    def __post_init__(self) -> None:
        self._set(
            sweeps=whole("sweeps", self.sweeps, 1),
            exponent=real("exponent", self.exponent, 0, 1, open_low=True),
            seed=whole("seed", self.seed, 0),
            initial_q=real("initial_q", self.initial_q),
        )

    def start(self) -> InnerSolver:
        """The solver, whose random draws go on from problem to problem."""
        streams = new_streams(np.random.default_rng(self.seed), 1)

        def learned(model: FiniteMeanFieldModel, problem: DecisionProblem) -> NDArray[np.float64]:
            cumulative = np.cumsum(problem.dense(anew=False), axis=3)
            # Rounding must not leave a draw, which is below 1, above the whole row, if that leads anywhere.
            total = cumulative[..., -1:]
            cumulative = np.where((cumulative >= total) & (total > 0.5), 1.0, cumulative)
            q = np.full(problem.reward.shape, self.initial_q)
            value = np.empty(q.shape[:2])
            for begun in range(0, self.sweeps, _SWEEPS_AT_ONCE):
                ends = min(begun + _SWEEPS_AT_ONCE, self.sweeps)
                _sweep(
                    q, value, problem.reward, cumulative, model.legal_actions, model.discounts, self.exponent,
                    begun, ends, streams,
                )  # fmt: skip
            return np.where(model.legal_actions, q, -np.inf)

        return learned


INNER_SOLVERS: dict[str, type[Exact] | type[QLearning]] = {"exact": Exact, "q_learning": QLearning}
"""The inner solvers by name."""


@kernel
def _sweep(q, value, reward, cumulative, legal, discounts, exponent, begun, ends, streams):  # type: ignore[no-untyped-def]
    """Sweeps number ``begun`` … ``ends`` - 1 of Q-learning over all types, states and legal actions.

    Args:
        q: ``float64[types, X, A]``, changed.
        value: ``float64[types, X]``, written: max Q of the last sweep but one.
        reward: ``float64[types, X, A]``.
        cumulative: ``float64[types, X, A, X]``, distribution functions of the next state; a row of 0 where
            there is none.
        legal: ``bool[X, A]``.
        discounts: ``float64[types]``.
        exponent: h.
        begun: sweeps that were made before.
        ends: sweeps that then are made.
        streams: drawn from the first.
    """
    n_types, n_states, n_actions = q.shape
    for sweep in range(begun, ends):
        rate = (sweep + 1.0) ** -exponent
        for kind in range(n_types):
            for state in range(n_states):
                best = -np.inf
                for action in range(n_actions):
                    if legal[state, action]:
                        best = max(best, q[kind, state, action])
                value[kind, state] = best
            for state in range(n_states):
                for action in range(n_actions):
                    if not legal[state, action]:
                        continue
                    # The first state whose distribution function is above the draw, by bisection.
                    row = cumulative[kind, state, action]
                    draw = next_uniform(streams, 0)
                    low, high = 0, n_states - 1
                    while low < high:
                        middle = (low + high) >> 1
                        if row[middle] > draw:
                            high = middle
                        else:
                            low = middle + 1
                    ahead = value[kind, low] if draw < row[n_states - 1] else 0.0
                    target = reward[kind, state, action] + discounts[kind] * ahead
                    q[kind, state, action] += rate * (target - q[kind, state, action])
