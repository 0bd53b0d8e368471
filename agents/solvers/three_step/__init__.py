"""Solvers that go round in three steps: what agents face, how they respond, which population that makes."""
