"""Solvers of the planner's problem: what a population would play that pulls together."""
