"""Solvers that follow an equilibrium from bounded rationality on, and refine it by Newton's method."""
