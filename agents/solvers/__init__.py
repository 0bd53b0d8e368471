"""Solvers: from a mean-field model to an equilibrium. A method is a file that defines a ``SOLVER``."""

from agents.solvers.equilibrium import Equilibrium, Step, TabularEquilibrium
from agents.solvers.solve import finite_methods, methods, solve

__all__ = ["Equilibrium", "Step", "TabularEquilibrium", "finite_methods", "methods", "solve"]
