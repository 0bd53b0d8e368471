"""Agents: tabular policies, learners, equilibrium solvers for the games of ``karma_envs``."""

from agents.evaluators.sensitivity.result import Sensitivity
from agents.evaluators.sensitivity.sensitivity import sensitivity
from agents.evaluators.sensitivity.varied import ModelParameter
from agents.policies.tabular import TabularPolicy
from agents.solvers import Equilibrium, solve
from karma_envs.mean_field.exploitability import exploitability

__all__ = [
    "Equilibrium",
    "ModelParameter",
    "Sensitivity",
    "TabularPolicy",
    "exploitability",
    "sensitivity",
    "solve",
]
