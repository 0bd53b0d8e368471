"""Configuration of the tabular learner."""

from __future__ import annotations

from dataclasses import dataclass

from agents.learners.tabular.grouping import GROUPINGS
from agents.learners.tabular.schedules import SCHEDULES
from agents.learners.tabular.targets import targets
from karma_envs.config import Config, choice, real, refusal, whole
from karma_envs.finite import MOST_INDICES


@dataclass(frozen=True)
class TabularConfig(Config):
    """Configuration of the tabular learner; the defaults are the Thesis' (section 6.1.1).

    Attributes:
        algorithm: sarsa, q_learning or expected_sarsa.
        grouping: independent (a table per agent), per_type (a table per type, learned from one
            representative agent) or pooled (a table per type, learned from all its agents).
        learning_rate: alpha, the step size, in (0, 1]; Q is in single precision, where steps of less than
            6e-8 of Q are lost.
        learning_rate_final: alpha at the end of the run, for a schedule other than constant.
        learning_rate_schedule: constant, linear, exponential or inverse (as 1/t).
        rationality: beta of the policy softmax(beta Q), bounded rationality; > 0.
        exploration: epsilon, the share of uniformly random legal actions, in [0, 1]; probabilities are
            multiples of 1/65535, so that with less than that for each action some are never explored.
        update_probability: p_update, with which a policy is updated at the end of an epoch.
        initial_q: Q_0, the value all Q start from.
        cells: cells per dimension of a Box, in which a game without finite observations and actions is
            learned; unused in finite games.

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """

    algorithm: str = "sarsa"
    grouping: str = "independent"
    learning_rate: float = 0.01
    learning_rate_final: float | None = None
    learning_rate_schedule: str = "constant"
    rationality: float = 1000.0
    exploration: float = 0.05
    update_probability: float = 1.0
    initial_q: float = 0.0
    cells: int = 21

    def __post_init__(self) -> None:
        choice("algorithm", self.algorithm, targets())
        choice("grouping", self.grouping, GROUPINGS)
        choice("learning_rate_schedule", self.learning_rate_schedule, SCHEDULES)
        self._set(
            learning_rate=real("learning_rate", self.learning_rate, 0, 1, open_low=True),
            rationality=real("rationality", self.rationality, 0, 1e9, open_low=True),
            exploration=real("exploration", self.exploration, 0, 1),
            update_probability=real("update_probability", self.update_probability, 0, 1, open_low=True),
            initial_q=real("initial_q", self.initial_q, -1e6, 1e6),
            cells=whole("cells", self.cells, 2, MOST_INDICES),
        )
        if (self.learning_rate_final is None) != (self.learning_rate_schedule == "constant"):
            raise refusal(
                "learning_rate_final",
                self.learning_rate_final,
                "a number where learning_rate_schedule is not constant, and only there",
            )
        if self.learning_rate_final is not None:
            final = real("learning_rate_final", self.learning_rate_final, 0, 1, open_low=True)
            self._set(learning_rate_final=final)

    def rate(self, progress: float) -> float:
        """alpha when a share ``progress`` of the run is done."""
        final = self.learning_rate if self.learning_rate_final is None else self.learning_rate_final
        return SCHEDULES[self.learning_rate_schedule](self.learning_rate, final, progress)

    @property
    def schedule(self) -> str:
        """How what is learned depends on the length of a run; constant where it does not."""
        return self.learning_rate_schedule
