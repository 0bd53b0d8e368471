"""The naive algorithm: exact best responses, or Q-learning's, to the population as it is. It mostly cycles.

    pi_k <- argmax-e Q_k,    L_{k+1} <- Gamma_2(pi_k, L_k).

A small change of L can change the best action, and then all change theirs at once: in the auction everybody
outbids what was bid before, until it does not pay any more.

Source: R. Xu, *Multi-agent RL from a mean-field perspective*, RLChina 2020, Algorithm 1 and "Failure of the
naive algorithm"; Guo, Hu, Xu, Zhang 2019, *Learning Mean-Field Games*, Algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.solvers.equilibrium import Equilibrium, Observer
from agents.solvers.three_step.three_step import three_step
from karma_envs.mean_field import FiniteMeanFieldModel


def naive(
    model: FiniteMeanFieldModel,
    *,
    tolerance: float = 1e-8,
    inner: str = "exact",
    inner_options: Mapping[str, Any] | None = None,
    population: str = "step",
    iterations: int = 100,
    start: NDArray[np.float64] | None = None,
    observer: Observer | None = None,
) -> Equilibrium:
    """Iterate best responses.

    Args:
        model: the mean-field model.
        tolerance: to stop at: of the change of L in a round, in l_1 (0 … 2).
        inner: exact or q_learning.
        inner_options: the fields of that inner solver which differ from its defaults.
        population: Gamma_2: step, as published; own_step for games that conserve something, such as karma;
            or rest, see :mod:`agents.solvers.three_step.three_step`.
        iterations: the most rounds.
        start: policy ``[types, X, A]`` to begin with; uniform if None.
        observer: called at rounds 0, 1, 2, 4, 8 … and the last one.

    Returns:
        the last policy; ``converged`` tells whether it is a fixed point, and with it an equilibrium if the
        inner solver is exact.

    Raises:
        ConfigError: for an option out of range.
    """
    found = three_step(
        model,
        tolerance=tolerance,
        inner=inner,
        inner_options=inner_options,
        smoothing="argmax_e",
        population=population,
        iterations=iterations,
        start=start,
        observer=observer,
    )
    return replace(found, method="naive")


SOLVER = naive
