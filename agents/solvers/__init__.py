"""Solvers: from a mean-field model to an equilibrium."""
