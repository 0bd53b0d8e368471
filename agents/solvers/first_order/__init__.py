"""Solvers that take many small steps: each best response, or gradient, moves the policy a little."""
