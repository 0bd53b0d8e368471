"""Water-filling: the equilibrium of a crowd whose moves cost nothing, exact on the game's grid.

Agents fill the places as water fills a vessel, until all of them get the same: see

:func:`karma_envs.crowds.water_filling.water_filling`, which the model uses. Where there are
several steps, it is done for each, as who may move freely may be anywhere in the next step.
"""

from __future__ import annotations

import time

from agents.solvers.equilibrium import Equilibrium, Observer, Step, equilibrium_of
from karma_envs.config import refusal
from karma_envs.mean_field import MeanFieldModel


def water_filling(
    model: MeanFieldModel, *, tolerance: float = 1e-10, observer: Observer | None = None
) -> Equilibrium:
    """Solve by water-filling.

    Args:
        model: of a game of crowds in the plane, such as spatial congestion.
        tolerance: normalised exploitability that the policy must have to count as an equilibrium.
        observer: called once, with the result.

    Raises:
        ConfigError: for a model of another game, and where moves cost something or are disturbed.
    """
    filled = getattr(model, "water_filling", None)
    if filled is None:
        raise refusal("model", type(model).__name__, "a game of crowds in the plane, for water-filling")
    began = time.perf_counter()
    policy = filled()
    distance = model.exploitability(policy)
    step = Step(0, distance.normalised, float(model.masses @ model.efficiency(policy)))
    if observer is not None:
        observer(step)
    return equilibrium_of(model, policy, "water_filling", tolerance, [step], time.perf_counter() - began)


SOLVER = water_filling
