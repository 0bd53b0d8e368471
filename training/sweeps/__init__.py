"""Sweeps: many runs over a grid of fields, or chosen one after the other."""
