"""Figures, for papers: of runs, of equilibria, of exploitability. Only here is matplotlib imported."""
