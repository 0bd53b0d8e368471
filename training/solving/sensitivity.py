"""Derivatives of a solution's equilibrium, beside it in its folder.

``sensitivity.csv`` has a row for each output and parameter, with the columns of
:meth:`agents.Sensitivity.table`; ``sensitivity.json`` what belongs to the equations as a whole.
"""

from __future__ import annotations

import json

import numpy as np

import agents
from agents import Sensitivity
from agents.solvers import Equilibrium
from training.common.tables import Row, read_table, write_recorded, write_table
from training.solving.solution import Solution

SENSITIVITY = "sensitivity.csv"
_SUMMARY = "sensitivity.json"


def sensitivity_to_folder(solution: Solution, found: Equilibrium) -> Sensitivity:
    """Differentiate an equilibrium as its configuration asks for, and keep the results in its folder.

    Args:
        solution: where, and with which parameters.
        found: the equilibrium.

    Raises:
        ConfigError: where it has no derivatives, see :func:`agents.sensitivity`.
    """
    config = solution.config
    result = agents.sensitivity(
        found,
        solution.game(),
        config.sensitivity_parameters,
        rationality=np.inf if config.rationality is None else config.rationality,
        exploration=config.exploration,
    )
    columns = result.table()
    write_table(solution.folder / SENSITIVITY, [dict(zip(columns, row)) for row in zip(*columns.values())])
    summary = {
        "outputs": dict(zip(result.outputs, result.output_values.tolist())),
        "parameters": dict(zip(result.parameters, result.values.tolist())),
        "condition": result.condition,
        "seconds": round(result.seconds, 4),
    }
    write_recorded(solution.folder / _SUMMARY, json.dumps(summary, indent=2) + "\n")
    return result


def has_sensitivity(solution: Solution) -> bool:
    """Whether the solution has derivatives."""
    return (solution.folder / SENSITIVITY).is_file()


def read_sensitivity(solution: Solution) -> list[Row]:
    """The derivatives, a row for each output and parameter.

    Raises:
        ResultsError: when there are none, or the file is damaged.
    """
    return read_table(solution.folder / SENSITIVITY)
