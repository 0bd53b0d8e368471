"""The smoothed three-step iteration: everyone plays the softmax of the Q of a best response.

    pi <- softmax(c Q*),    mu <- one or more steps of the population,    z <- that of both,

with Q* the optimal Q of one agent that faces z. Its fixed points are no equilibria: an agent that mixes so
values its actions as if it would play the best ones ever after. (In logit equilibria, which ``homotopy`` and
``logit_dynamics`` find at the same rationality, it values them as it plays: Q^pi for Q*.) Smoothing is what
makes it converge: at infinite rationality it is the naive iteration of exact best responses, which cycles.

It is :mod:`agents.solvers.three_step.gmf_v` without the net, and with a population that moves as it plays
now, not as it played before, so that karma is conserved.

Source: X. Guo, A. Hu, R. Xu and J. Zhang, *Learning Mean-Field Games*, NeurIPS 2019 (GMF-V, section 4; c is
``rationality``), after M. Huang, R. Malhamé and P. Caines 2006.

Differences from the source: Q* is exact; there is no projection on an epsilon-net, which moves a fixed point
by a few epsilon.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from agents.solvers.equilibrium import Equilibrium, Observer
from agents.solvers.three_step.three_step import three_step
from karma_envs.mean_field import FiniteMeanFieldModel


def smoothed(
    model: FiniteMeanFieldModel,
    *,
    tolerance: float = 1e-8,
    rationality: float | None = None,
    iterations: int = 5000,
    population_steps: int = 1,
    start: NDArray[np.float64] | None = None,
    observer: Observer | None = None,
) -> Equilibrium:
    """Solve by the smoothed three-step iteration.

    Args:
        model: the mean-field model.
        tolerance: to stop at: of the change of L, the distribution of states and actions, in a round, in l_1.
        rationality: c > 0, per unit of payoff; infinite for exact best responses (argmax-e); None: 5 over the
            greatest reward.
        iterations: the most rounds.
        population_steps: steps of the population per round.
        start: policy ``[types, X, A]`` to begin with; uniform if None.
        observer: called at rounds 0, 1, 2, 4, 8 … and the last one.

    Returns:
        the last policy; ``converged`` tells whether it is a fixed point, which leaves
        ``exploitability`` above 0.

    Raises:
        ConfigError: for an option out of range.
    """
    found = three_step(
        model,
        tolerance=tolerance,
        rationality=rationality,
        iterations=iterations,
        population="own_step",
        population_steps=population_steps,
        start=start,
        observer=observer,
    )
    return replace(found, method="smoothed")


SOLVER = smoothed
