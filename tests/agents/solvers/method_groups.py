"""The methods of ``agents.solve`` by what they take and seek."""

from __future__ import annotations

from agents.solvers import methods
from agents.solvers.equilibrium import learns_from_play

OF_MODELS = sorted(name for name, solver in methods().items() if not learns_from_play(solver))
"""Methods that take a mean-field model."""

SEEKING_ANOTHER_FIXED_POINT = {"three_step", "smoothed", "naive", "gmf_v", "gmf_q"}
"""Those whose fixed points are no equilibria, or which seldom come to one."""

SEEKING_EQUILIBRIA = [name for name in OF_MODELS if name not in SEEKING_ANOTHER_FIXED_POINT]
"""Methods that lower the exploitability of any finite model."""
