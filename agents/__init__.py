"""Agents: tabular policies, learners, equilibrium solvers for the games of ``karma_envs``."""

from agents.mean_field.exploitability import exploitability
from agents.policies.tabular import TabularPolicy
from agents.solvers import Equilibrium, solve

__all__ = ["Equilibrium", "TabularPolicy", "exploitability", "solve"]
