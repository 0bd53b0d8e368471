"""Solvers: from a mean-field model to an equilibrium. A method is a file that defines a ``SOLVER``."""

from agents.solvers.equilibrium import Equilibrium, Step, TabularEquilibrium
from agents.solvers.solve import methods, solve

__all__ = ["Equilibrium", "Step", "TabularEquilibrium", "methods", "solve"]
