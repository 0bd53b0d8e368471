"""Tabular temporal-difference learners: a Q table for each agent, or for those of a type."""

from agents.learners.learner import LearnerKind
from agents.learners.tabular.config import TabularConfig
from agents.learners.tabular.learner import TabularLearner
from agents.learners.tabular.tables import check_returns, table_memory
from karma_envs.tabulated import tabulated

LEARNER = LearnerKind(
    "tabular",
    TabularConfig,
    TabularLearner,
    prepare=lambda game, config: tabulated(game, config.cells),
    check=check_returns,
    sizes=("grouping", "cells"),
    memory=table_memory,
)

__all__ = ["LEARNER", "TabularConfig", "TabularLearner", "check_returns"]
