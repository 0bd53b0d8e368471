"""Solvers of the congested city that play it."""
