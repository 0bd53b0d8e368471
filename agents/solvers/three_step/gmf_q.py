"""GMF-Q: Q-learning for Q*, softmax for the policy, and an epsilon-net for the population.

    Q_k <- T_k sweeps of Q-learning in L_k,    pi_k <- softmax_c(Q_k),
    L_{k+1} <- the net's nearest point to Gamma_2(pi_k, L_k).

Source: X. Guo, A. Hu, R. Xu and J. Zhang, *Learning Mean-Field Games*, NeurIPS 2019, Algorithm 2; R. Xu,
*Multi-agent RL from a mean-field perspective*, RLChina 2020, Algorithm 2.

Differences from the source: T_k is the same in every round, and counts sweeps in which every state and action
is tried. Only rewards and next states are sampled; how the population moves is not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from agents.solvers.equilibrium import Equilibrium, Observer
from agents.solvers.three_step.three_step import three_step
from karma_envs.mean_field import FiniteMeanFieldModel


def gmf_q(
    model: FiniteMeanFieldModel,
    *,
    tolerance: float = 1e-2,
    rationality: float | None = None,
    net: float = 1e-4,
    sweeps: int = 10_000,
    exponent: float = 0.75,
    seed: int = 0,
    population: str = "step",
    iterations: int = 50,
    start: NDArray[np.float64] | None = None,
    observer: Observer | None = None,
) -> Equilibrium:
    """Solve by GMF-Q.

    Args:
        model: the mean-field model.
        tolerance: to stop at: of the change of L in a round, in l_1 (0 … 2); what is learned is random, so
            that L goes on moving by a little.
        rationality: c > 0 of the softmax, per unit of payoff; None: 5 over the greatest reward.
        net: epsilon, in (0, 1]: probabilities of L are multiples of it.
        sweeps: T_k of Q-learning in each round.
        exponent: h of its learning rate (t + 1)^-h, in (0, 1].
        seed: of its draws.
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
        tolerance=tolerance,
        inner="q_learning",
        inner_options={"sweeps": sweeps, "exponent": exponent, "seed": seed},
        rationality=rationality,
        net=net,
        population=population,
        iterations=iterations,
        start=start,
        observer=observer,
    )
    return replace(found, method="gmf_q")


SOLVER = gmf_q
