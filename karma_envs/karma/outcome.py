"""What a stretch of a karma game came to, and what is measured of it: access and karma besides rewards.

Source: Thesis, Definitions 2.6 to 2.8; Gini coefficients and Nash welfare are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karma_envs.metrics import access_fairness, gini, nash_welfare
from karma_envs.outcome import (
    EFFICIENCY,
    REWARD_FAIRNESS,
    Metric,
    Outcome,
    error_of_spread,
    jackknife,
    now,
    total,
)


@dataclass(frozen=True, kw_only=True)
class KarmaOutcome(Outcome):
    """Totals of a stretch of play of a karma game.

    ``counted`` are the contests, or all steps where the game's source lets those who did not compete count.

    Attributes:
        accesses: ``int64[N]``, how often each agent got a resource.
        contests: ``int64[N]``, how often each agent competed for one.
        karma: ``int64[N]``, karma at the end of the stretch.
        losses_if_never: ``float64[N]``, what each agent would have had if it had always lost, in
            expectation (minus its mean urgency times its contests); the zero of Nash welfare.
    """

    accesses: NDArray[np.int64] = total()
    contests: NDArray[np.int64] = total()
    karma: NDArray[np.int64] = now(conserved=True)
    losses_if_never: NDArray[np.float64] = total()

    def complaint(self) -> str | None:
        """What cannot be in these totals, for the checks of games; None where nothing is wrong."""
        if (self.accesses > self.contests).any():
            return "more accesses than contests"
        return "karma is below 0" if (self.karma < 0).any() else super().complaint()


def _access_rates(outcome: KarmaOutcome) -> NDArray[np.float64]:
    return outcome.accesses / outcome.steps


ACCESS_FAIRNESS = Metric(
    "access_fairness",
    "access fairness",
    lambda outcome: access_fairness(outcome.accesses, outcome.steps),
    "minus the standard deviation, over agents, of the share of steps won",
    error_of_spread(_access_rates),
)
"""Thesis, Definition 2.7. It depends on how many steps it is measured over, see :mod:`karma_envs.metrics`."""

ACCESS_GINI = Metric(
    "access_gini",
    "Gini of access",
    lambda outcome: gini(_access_rates(outcome)),
    "Gini coefficient, over agents, of the share of steps won",
    jackknife,
    more_is_better=False,
    headline=False,
)

KARMA_GINI = Metric(
    "karma_gini",
    "Gini of karma",
    lambda outcome: gini(outcome.karma),
    "Gini coefficient, over agents, of karma at the end",
    jackknife,
    more_is_better=False,
    headline=False,
)

NASH_WELFARE = Metric(
    "nash_welfare",
    "Nash welfare",
    lambda outcome: nash_welfare((outcome.rewards - outcome.losses_if_never) / outcome.steps),
    "geometric mean, over agents, of what each gains in a step over losing always",
    headline=False,
)

KARMA_METRICS = (EFFICIENCY, ACCESS_FAIRNESS, REWARD_FAIRNESS, ACCESS_GINI, KARMA_GINI, NASH_WELFARE)
"""What is measured of karma games, in the order of reports."""
