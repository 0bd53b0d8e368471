"""The loop that all three-step methods share: L <- Gamma_2(Gamma_1(L), L), perhaps slowed and on a net.

Source: R. Xu, *Multi-agent RL from a mean-field perspective*, RLChina 2020, "Fixed point/Three-step approach"
and "Stable algorithm for GMFG".
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.solvers.equilibrium import Step
from karma_envs.mean_field import Exploitability, MeanFieldModel

Population = NDArray[np.float64]
"""L, whatever a method takes for the population: a joint distribution, or a statistic."""


class Round(NamedTuple):
    """One round.

    Attributes:
        number: 0, 1, 2 …
        before: L_k.
        response: pi_k = Gamma_1(L_k).
        made: Gamma_2(pi_k, L_k).
        after: L_{k+1}.
    """

    number: int
    before: Population
    response: Any
    made: Population
    after: Population


def rounds(
    respond: Callable[[Population], Any],
    follow: Callable[[Any, Population], Population],
    start: Population,
    *,
    step: float = 1.0,
    project: Callable[[Population], Population] | None = None,
) -> Iterator[Round]:
    """Go round for ever.

    Args:
        respond: Gamma_1, from L to a policy.
        follow: Gamma_2, from a policy and L to the population that follows.
        start: L_0.
        step: how far to go towards what follows, in (0, 1]: L_{k+1} is ``step`` times that, and 1 - ``step``
            times L_k, the *momentum* of the source.
        project: to the nearest point of a net; None for no net.
    """
    before = start
    for number in itertools.count():
        response = respond(before)
        made = follow(response, before)
        after = made if step == 1 else before + step * (made - before)
        if project is not None:
            after = project(after)
        yield Round(number, before, response, made, after)
        before = after


def looked_at(model: MeanFieldModel, number: int, policy: Any) -> tuple[Step, Exploitability]:
    """What is recorded of a round, how exploitable its policy is and how efficient; and the former in full.

    Args:
        model: of any kind.
        number: of the round.
        policy: as the model has policies.
    """
    distance = model.exploitability(policy)
    efficiency = float(model.masses @ model.efficiency(policy))
    return Step(number, distance.normalised, efficiency), distance
