"""Learners: from what was played to policies. A kind of learners is a folder that defines a ``LEARNER``."""

from agents.learners.learner import Learner, LearnerKind, kind_of, learners
from agents.learners.tabular import TabularConfig, TabularLearner, check_returns
from agents.learners.tabular.targets import Target, targets

LearnerConfig = TabularConfig
"""What the configuration of the tabular learner was called when it was the only one."""

__all__ = [
    "Learner",
    "LearnerConfig",
    "LearnerKind",
    "TabularConfig",
    "TabularLearner",
    "Target",
    "check_returns",
    "kind_of",
    "learners",
    "targets",
]
