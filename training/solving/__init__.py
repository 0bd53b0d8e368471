"""Equilibria in a folder: solved, searched for, drawn."""
