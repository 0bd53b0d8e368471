"""Averaged beliefs: best responses to the average of what the population did so far.

    z <- z + s (Gamma_2(Gamma_1(z)) - z),    s = (n + 2)^-power,

where Gamma_1(z) is a best response to z and Gamma_2(pi) the statistic of a population that plays pi. This is
fictitious play on statistics, for models of any kind: if agents are the less drawn to a place the more are
there, the average comes to rest at the statistic of an equilibrium. The best response to it need not make
it, where agents have many best responses; what it leaves to gain is told.

Source: P. Cardaliaguet, S. Hadikhanloo, *Learning in mean field games: the fictitious play*, 2017; D. Mguni,
J. Jennings, E. Munoz de Cote, *Decentralised learning in systems with many, many strategic agents*, 2018.

Differences from the source:
    ``power = 1`` is the source's average 1 / n; lower powers forget the start sooner. The policy returned is
    the least exploitable of the best responses.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from agents.solvers.equilibrium import Equilibrium, Observer, Step, equilibrium_of
from karma_envs.config import real, whole
from karma_envs.mean_field import MeanFieldModel


def averaged_beliefs(
    model: MeanFieldModel,
    *,
    tolerance: float = 1e-3,
    power: float = 0.7,
    iterations: int = 50,
    observer: Observer | None = None,
) -> Equilibrium:
    """Solve by averaging beliefs.

    Args:
        model: a mean-field model of any kind.
        tolerance: normalised exploitability to stop at.
        power: of the step (n + 2)^-power, in (0, 1].
        iterations: the most best responses.
        observer: called at every iteration.

    Returns:
        the least exploitable best response.

    Raises:
        ConfigError: for an option out of range.
    """
    power = real("power", power, 0, 1, open_low=True)
    began = time.perf_counter()
    history: list[Step] = []
    best: Any = None
    least, reason, interrupted = math.inf, model.obstacle, False
    statistic = np.array(model.initial_statistic, np.float64)
    try:
        for iteration in range(1 if reason else whole("iterations", iterations, 1)):
            response = model.best_response(statistic)
            distance = model.exploitability(response)
            efficiency = float(model.masses @ model.efficiency(response))
            history.append(Step(iteration, distance.normalised, efficiency))
            if observer is not None:
                observer(history[-1])
            if best is None or distance.normalised < least:
                best, least = response, distance.normalised
            if least <= tolerance:
                break
            statistic += (iteration + 2.0) ** -power * (model.statistic_of(response) - statistic)
    except KeyboardInterrupt:
        if best is None:
            raise
        interrupted, reason = True, reason or "it was interrupted"
    return equilibrium_of(
        model,
        best,
        "averaged_beliefs",
        tolerance,
        history,
        time.perf_counter() - began,
        interrupted=interrupted,
        reason=reason,
    )


SOLVER = averaged_beliefs
