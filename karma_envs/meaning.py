"""Which exploitability a number is: in a population of how many, against which deviations, and how sure.

What an agent may gain by leaving a policy is one number in the mean field and another in the game of N
agents, who notice when one of them plays something else. A number without this
misleads, so whatever has an exploitability has a :class:`Meaning`, and whatever prints one prints both.
"""

from __future__ import annotations

from dataclasses import dataclass

EXACT, UPPER_BOUND, LOWER_BOUND, ESTIMATE = "exact", "upper bound", "lower bound", "estimate"
"""How sure a number is: exact but for rounding, a bound computed exactly, or an estimate from play."""

STATIONARY = "any stationary deviation of one agent"
ANY = "any deviation of one agent"


@dataclass(frozen=True)
class Meaning:
    """Which exploitability a number is.

    Attributes:
        n_agents: of the population; None for the mean field, N to infinity.
        certainty: ``"exact"``, ``"upper bound"``, ``"lower bound"`` or ``"estimate"``.
        deviations: what the agent that leaves the policy may do instead, in words.
    """

    n_agents: int | None
    certainty: str
    deviations: str

    def __str__(self) -> str:
        population = "mean field" if self.n_agents is None else f"{self.n_agents} agents"
        return f"{population}, {self.certainty}; {self.deviations}"
