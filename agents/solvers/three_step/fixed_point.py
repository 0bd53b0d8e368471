"""Fixed-point iteration: a best response to a statistic, then the statistic that it makes, and so on.

    z <- z + step * (Gamma_2(Gamma_1(z)) - z),

where Gamma_1(z) is a best response to z and Gamma_2(pi) the statistic of a population that plays pi. Where
it comes to rest, Gamma_1(z) is an equilibrium. If Gamma_2 . Gamma_1 is a contraction it does; else it may
cycle, as in games with finitely many actions it mostly does, or drift for ever.

Source: R. Xu, *Multi-agent RL from a mean-field perspective*, RLChina 2020, "Fixed point/Three-step
approach"; Guéant, Lasry, Lions 2011; Guo, Hu, Xu, Zhang 2019, *Learning mean-field games*.

Differences from the source:
    Gamma_2 gives the statistic of a population at rest, not after one step of time from the last one. A step
    below 1 is ours.
"""

from __future__ import annotations

import itertools
import time

import numpy as np
from numpy.typing import ArrayLike

from agents.solvers.equilibrium import Equilibrium, Observer, Step, equilibrium_of
from agents.solvers.three_step.rounds import looked_at, rounds
from karma_envs.config import real, whole
from karma_envs.mean_field import MeanFieldModel

_ROUNDING = 4
"""Changes of so many units in the last place of a statistic are rounding."""


def fixed_point(
    model: MeanFieldModel,
    *,
    tolerance: float = 1e-10,
    precision: float = 1e-12,
    step: float = 1.0,
    iterations: int = 10_000,
    initial_statistic: ArrayLike | None = None,
    observer: Observer | None = None,
) -> Equilibrium:
    """Solve by fixed-point iteration.

    Args:
        model: a mean-field model of any kind.
        tolerance: normalised exploitability that the policy must have to count as an equilibrium.
        precision: the iteration ends with a round that changes the statistic by at most this share of the
            largest change there was. Where rounds change it ever less by a factor q, it then is off by
            q / (1 - q) times that change.
        step: how far to go towards the statistic that is made, in (0, 1].
        iterations: the most rounds.
        initial_statistic: z to begin with, ``float[k]``; the model's if None.
        observer: called at rounds 0, 1, 2, 4, 8 … and the last one.

    Returns:
        the last best response, with the statistic that it makes. Of a model that is known to have no
        equilibrium it is the first one, and ``reason`` says why.

    Raises:
        ConfigError: for an option out of range.
    """
    precision = real("precision", precision, 0)
    step = real("step", step, 0, 1, open_low=True)
    began = time.perf_counter()
    history: list[Step] = []

    def record(iteration: int, response: object) -> None:
        history.append(looked_at(model, iteration, response)[0])
        if observer is not None:
            observer(history[-1])

    start = np.array(model.initial_statistic if initial_statistic is None else initial_statistic, np.float64)
    every_round = rounds(
        model.best_response, lambda response, statistic: model.statistic_of(response), start, step=step
    )
    response, reason, interrupted, largest = None, model.obstacle, False, 0.0
    try:
        for one in itertools.islice(every_round, 1 if reason else whole("iterations", iterations, 1)):
            response = one.response
            change = float(np.abs(one.made - one.before).max())
            largest = max(largest, change)
            rounding = _ROUNDING * float(np.spacing(np.abs(one.before)).max())
            rests = change <= max(precision * largest, rounding)
            if rests or one.number & (one.number - 1) == 0:
                record(one.number, response)
            if rests:
                break
        else:
            reason = reason or (
                f"after {iterations} rounds the statistic still changes by {change:.1e} in a round"
            )
    except KeyboardInterrupt:
        if response is None:
            raise
        interrupted, reason = True, reason or "it was interrupted"
    seconds = time.perf_counter() - began
    return equilibrium_of(
        model, response, "fixed_point", tolerance, history, seconds, interrupted=interrupted, reason=reason
    )


SOLVER = fixed_point
