"""Which exploitability a number is: in a population of how many, against which deviations, and how sure.

What an agent may gain by leaving a policy is one number in the mean field and another in the game of N
agents, who notice when one of them plays something else. A number without this
misleads, so whatever has an exploitability has a :class:`Meaning`, and whatever prints one prints both.
"""

from __future__ import annotations

from dataclasses import dataclass

EXACT, UPPER_BOUND, LOWER_BOUND, ESTIMATE = "exact", "upper bound", "lower bound", "estimate"
ESTIMATED_LOWER_BOUND = "estimate of a lower bound"
"""How sure a number is: exact but for rounding, a bound computed exactly, an estimate from play, or what one
deviation gains in play, which bounds the best one's gain from below but for a standard error."""

STATIONARY = "any stationary deviation of one agent"
ANY = "any deviation of one agent"
ONE = "one stationary deviation of one agent"


@dataclass(frozen=True)
class Meaning:
    """Which exploitability a number is.

    Attributes:
        n_agents: of the population; None for the mean field, N to infinity.
        certainty: ``"exact"``, ``"upper bound"``, ``"lower bound"``, ``"estimate"`` or ``"estimate of a lower
            bound"``.
        deviations: what the agent that leaves the policy may do instead, in words.
        model: what stands for infinitely many agents where ``n_agents`` is None, in words.
    """

    n_agents: int | None
    certainty: str
    deviations: str
    model: str = "mean field"

    def __str__(self) -> str:
        return f"{self.of}; {self.deviations}"

    @property
    def of(self) -> str:
        """Whose number it is and how sure, as a table's heading or an axis says it: ``"4 agents, exact"``."""
        population = self.model if self.n_agents is None else f"{self.n_agents} agents"
        return f"{population}, {self.certainty}"

    @property
    def is_lower_bound(self) -> bool:
        """Whether the best deviation of the class gains at least the number (an estimate: in expectation)."""
        return self.certainty in (LOWER_BOUND, ESTIMATED_LOWER_BOUND)


class Meant:
    """Base of results that have a meaning: its parts by their names."""

    meaning: Meaning

    @property
    def kind(self) -> str:
        """How sure the numbers are, see :class:`Meaning`."""
        return self.meaning.certainty

    @property
    def is_lower_bound(self) -> bool:
        """Whether the numbers bound from below what the best deviation gains, in expectation."""
        return self.meaning.is_lower_bound

    @property
    def deviation_class(self) -> str:
        """The deviations that are considered."""
        return self.meaning.deviations
