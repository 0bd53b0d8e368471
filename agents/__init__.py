"""Agents: tabular policies, learners, equilibrium solvers for the games of ``karma_envs``."""

from agents.policies.tabular import TabularPolicy
from agents.solvers import Equilibrium, solve
from karma_envs.mean_field.exploitability import exploitability

__all__ = ["Equilibrium", "TabularPolicy", "exploitability", "solve"]
