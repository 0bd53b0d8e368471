"""The methods of ``agents.solve`` by what they take and seek."""

from __future__ import annotations

from agents.solvers import methods
from agents.solvers.equilibrium import learns_from_play

FOR_SOME_MODELS = {"bisection", "mean_field_control", "riccati", "water_filling"}
"""Methods that take models of their own kind only."""

ON_TABLES = sorted(
    name for name, solver in methods().items() if name not in FOR_SOME_MODELS and not learns_from_play(solver)
)
"""Methods that take any finite mean-field model."""

SEEKING_ANOTHER_FIXED_POINT = {"three_step", "smoothed", "naive", "gmf_v", "gmf_q"}
"""Those whose fixed points are no equilibria, or which seldom come to one."""

SEEKING_EQUILIBRIA = [name for name in ON_TABLES if name not in SEEKING_ANOTHER_FIXED_POINT]
"""Methods that lower the exploitability of any finite model."""
