"""Learners: from transitions to policies. An algorithm is a file that defines a ``TARGET``."""

from agents.learners.tabular.learner import LearnerConfig, TabularLearner, check_returns
from agents.learners.tabular.targets import Target, targets

__all__ = ["LearnerConfig", "TabularLearner", "Target", "check_returns", "targets"]
