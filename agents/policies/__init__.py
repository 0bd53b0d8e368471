"""Policies: what simulation, learners, solvers and evaluators exchange. A class is a file that defines a
``POLICY``."""

from agents.policies.files import load
from agents.policies.gaussian import GaussianPolicy
from agents.policies.table import policy_table
from agents.policies.tabular import TabularPolicy

__all__ = ["GaussianPolicy", "TabularPolicy", "load", "policy_table"]
