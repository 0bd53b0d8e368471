"""Solvers of the game of N agents, for few of them."""
