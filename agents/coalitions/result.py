"""What a coalition gains and costs: the result of every way to find out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.policies.tabular import TabularPolicy
from karma_envs.display import Said
from karma_envs.games.matching.agreements import Agreement
from karma_envs.meaning import Meaning, Meant
from karma_envs.outcome import Estimate


@dataclass(frozen=True, repr=False)
class CoalitionGain(Said, Meant):
    """What members of a coalition gain together, per member and step, and what it costs the others.

    All rewards are means per agent and step in the long run: the population has come to rest with the
    coalition in it. So a gain tells of patience, too, where agents discount: ``gain_alone`` is what one agent
    among infinitely many gains by the same measure, and what it gains beyond that is by coordination.

    Attributes:
        method: how its policy was found.
        meaning: which number ``gain`` is: for N agents or in the mean field, how sure, of which coalition.
        size: the share of the population that are members, in (0, 1].
        gain: mean reward of a member less that of the same agents without the coalition.
        gain_normalised: the same over the magnitude of the mean reward of these agents without it.
        gain_alone: that of a single agent in the mean field, exact; NaN where it was not computed.
        cost_to_others: mean reward of the others without the coalition less that with it: above 0 they lose.
            NaN where all are members.
        efficiency: mean reward of all, with the coalition.
        efficiency_without: mean reward of all, without.
        gain_discounted: gain of a member in discounted payoff from the step on in which the coalition forms
            in a population at rest, the way to its own rest included; NaN where it was not computed.
        policy: what members play; in the mean field a row per type, in a game of N agents that of all its
            agents, members among them.
        agreement: what comes of meetings of two members who recognise each other; None where they do not.
        gap: how much a member's mean reward rises at most, to first order, by a move to another policy; 0 at
            a stationary point of the coalition's problem. NaN where it is not known.
        stationary: whether ``gap`` is within the tolerance and the population at rest.
        gain_by_start: where each start of a search led; which says whether there are local optima.
        seconds: wall time.
    """

    method: str
    meaning: Meaning
    size: float
    gain: Estimate
    gain_normalised: Estimate
    gain_alone: float
    cost_to_others: Estimate
    efficiency: Estimate
    efficiency_without: Estimate
    gain_discounted: float
    policy: TabularPolicy
    agreement: Agreement | None
    gap: float
    stationary: bool
    gain_by_start: tuple[float, ...]
    seconds: float

    @property
    def gain_by_coordination(self) -> float:
        """What a member gains beyond a single agent at its best; NaN where that is unknown."""
        return self.gain.value - self.gain_alone

    def _said(self) -> dict[str, str]:
        said = {
            "method": self.method,
            "members": f"{self.size:.4g} of the population",
            "gain": f"{_shown(self.gain)} a step each",
            "normalised": _shown(self.gain_normalised),
        }
        if np.isfinite(self.gain_alone):
            said["alone"] = f"{self.gain_alone:.4g}"
        return {
            **said,
            "cost to others": _shown(self.cost_to_others),
            "efficiency": f"{_shown(self.efficiency)}, without {_shown(self.efficiency_without)}",
            "meaning": str(self.meaning),
        }

    def __float__(self) -> float:
        return self.gain.value


def exact(value: float) -> Estimate:
    """A number without error."""
    return Estimate(value, 0.0)


def _shown(number: Estimate) -> str:
    return str(number) if number.standard_error else f"{number.value:.4g}"


def share(estimate: Estimate, scale: float) -> Estimate:
    """An estimate over the magnitude of a number; as it is where that is 0."""
    unit = abs(scale) or 1.0
    return Estimate(estimate.value / unit, estimate.standard_error / unit)
