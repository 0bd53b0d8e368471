"""Policies: what simulation, learners, solvers and evaluators exchange."""
