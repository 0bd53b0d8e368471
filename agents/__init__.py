"""Agents: tabular policies, learners, equilibrium solvers for the games of ``karma_envs``."""

from agents.coalitions import CoalitionGain, coalition_gain
from agents.planners import design
from agents.policies.tabular import TabularPolicy
from agents.solvers import Equilibrium, solve
from agents.solvers.sensitivity.result import Sensitivity
from agents.solvers.sensitivity.sensitivity import sensitivity
from agents.solvers.sensitivity.varied import ModelParameter
from karma_envs.mean_field.exploitability import exploitability

__all__ = [
    "CoalitionGain",
    "Equilibrium",
    "ModelParameter",
    "Sensitivity",
    "TabularPolicy",
    "coalition_gain",
    "design",
    "exploitability",
    "sensitivity",
    "solve",
]
