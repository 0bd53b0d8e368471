"""Tabular temporal-difference learners: a Q table for each agent, or for those of a type."""
