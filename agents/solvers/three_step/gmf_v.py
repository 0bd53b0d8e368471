"""GMF-V: dynamic programming for Q*, softmax for the policy, and an epsilon-net for the population.

    pi_k <- softmax_c(Q*_k),    L_{k+1} <- the net's nearest point to Gamma_2(pi_k, L_k).

On a net there are finitely many populations: what comes to rest does so exactly, and what does not repeats
itself, at best with a unit of the net that goes to and fro. Where it ends it is off the fixed point of
:mod:`agents.solvers.three_step.smoothed` by a few epsilon.

Source: X. Guo, A. Hu, R. Xu and J. Zhang, *Learning Mean-Field Games*, NeurIPS 2019, section 6 (GMF-V, the
counterpart of GMF-Q where rewards and transitions are known).

Differences from the source: policy iteration, which is exact, for value iteration.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from agents.solvers.equilibrium import Equilibrium, Observer
from agents.solvers.three_step.three_step import three_step
from karma_envs.mean_field import FiniteMeanFieldModel

_UNIT_MOVES = 2.000001
"""A unit of the net that moves changes L by 2 epsilon, but for rounding."""


def gmf_v(
    model: FiniteMeanFieldModel,
    *,
    tolerance: float | None = None,
    rationality: float | None = None,
    net: float = 1e-4,
    population: str = "step",
    iterations: int = 1000,
    start: NDArray[np.float64] | None = None,
    observer: Observer | None = None,
) -> Equilibrium:
    """Solve by GMF-V.

    Args:
        model: the mean-field model.
        tolerance: to stop at: of the change of L in a round, in l_1 (0 … 2); None: 2 epsilon, which is a unit
            of the net that moves.
        rationality: c > 0 of the softmax, per unit of payoff; None: 5 over the greatest reward.
        net: epsilon, in (0, 1]: probabilities of L are multiples of it.
        population: Gamma_2: step, as published; own_step for games that conserve something, such as karma;
            or rest, see :mod:`agents.solvers.three_step.three_step`.
        iterations: the most rounds.
        start: policy ``[types, X, A]`` to begin with; uniform if None.
        observer: called at rounds 0, 1, 2, 4, 8 … and the last one.

    Returns:
        the last policy; ``converged`` tells whether L rests, which leaves ``exploitability`` above 0.

    Raises:
        ConfigError: for an option out of range.
    """
    found = three_step(
        model,
        tolerance=_UNIT_MOVES * net if tolerance is None else tolerance,
        rationality=rationality,
        net=net,
        population=population,
        iterations=iterations,
        start=start,
        observer=observer,
    )
    return replace(found, method="gmf_v")


SOLVER = gmf_v
