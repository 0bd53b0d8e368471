"""Several equilibria of one game, beside the solution in a folder.

``equilibria.csv`` (a row per equilibrium, the most efficient first), ``policy-<number>.npz`` (one row
per type), all of these as ``policies.csv``, and ``equilibria.npz`` (their mean fields, ``float64[equilibria,
types, X]``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.policies.tabular import TabularPolicy
from agents.solvers.continuation.search import Found, Observer, SearchReport, search
from karma_envs.config import refusal
from karma_envs.files import read_npz, write_npz
from karma_envs.finite import FiniteGame, as_finite
from karma_envs.mean_field import as_finite_model
from training.common.errors import ResultsError
from training.common.lines import Lines, action_features, lines_of, text
from training.common.policy_files import read_policy
from training.common.tables import Row, read_table, write_table
from training.solving.solution import Solution, policy_rows

TABLE = "equilibria.csv"
_POLICIES = "policies.csv"
_MEAN_FIELDS = "equilibria.npz"
_TOLERANCE = 1e-10


def search_to_folder(solution: Solution, observer: Observer | None = None) -> SearchReport:
    """Look for several equilibria of a solution's game, and keep those found in its folder.

    Args:
        solution: its configuration says how many starts, and which.
        observer: called after each attempt with its origin and what it found.

    Raises:
        ConfigError: when the configuration asks for no search.
    """
    config = solution.config
    if config.search < 1:
        raise refusal("search", config.search, "a whole number from 1 up, to search")
    report = search(
        as_finite_model(config.model()),
        starts=config.search,
        seed=config.search_seed,
        tolerance=_TOLERANCE if config.tolerance is None else config.tolerance,
        observer=observer,
    )
    for number, found in enumerate(report.found, 1):
        found.policy.save(solution.folder / f"policy-{number}.npz")
    mean_fields = [found.mean_field for found in report.found]
    write_npz(solution.folder / _MEAN_FIELDS, {"mean_fields": np.array(mean_fields)})
    game = as_finite(solution.game())
    write_table(
        solution.folder / _POLICIES,
        [
            {"number": number, **row}
            for number, found in enumerate(report.found, 1)
            for row in policy_rows(game, found.policy)
        ],
    )
    write_table(solution.folder / TABLE, rows_of(game, solution.masses, report))
    return report


def rows_of(game: FiniteGame, masses: NDArray[np.float64], report: SearchReport) -> list[Row]:
    """A row per equilibrium: what distinguishes it.

    Args:
        game: the game.
        masses: ``float64[types]``, shares of the population.
        report: of the search.
    """
    types = lines_of(game)
    rows = []
    for index, found in enumerate(report.found):
        row: Row = {"number": index + 1, "efficiency": found.efficiency}
        row |= means_on_lines(game, found)
        row |= _spread(types, masses, found.mean_field)
        row["exploitability_normalised"] = found.exploitability_normalised
        row["times_found"] = found.times_found
        row["first_found_by"] = found.origins[0]
        row["distance_to_first"] = float(report.distances[0, index])
        rows.append(row)
    return rows


def means_on_lines(game: FiniteGame, found: Found) -> dict[str, float]:
    """Mean of each action feature on each type's lines, by the name of the table's column.

    In the matching game these are mean bids by type and urgency: ``mean_bid_type_0_urgency_5``.
    """
    types, means = lines_of(game), {}
    for feature, worth in action_features(game).items():
        actions = found.policy.mean_actions(worth)
        for kind, lines in enumerate(types):
            mass = found.mean_field[kind]
            of_lines = lines.sums(mass * actions[kind]).sum(axis=1) / np.maximum(
                lines.sums(mass).sum(axis=1), 1e-300
            )
            for others, mean in zip(lines.others, of_lines):
                where = [f"type_{kind}"] if len(types) > 1 else []
                where += [f"{name}_{text(value)}" for name, value in others.items()]
                means["_".join([f"mean_{feature}", *where])] = float(mean)
    return means


def _spread(types: list[Lines], masses: NDArray[np.float64], mean_field: NDArray[np.float64]) -> Row:
    """Standard deviation over the population of the quantity along lines, if it is a number."""
    if types[0].values.dtype.kind not in "iuf":
        return {}
    values = np.concatenate([lines.values for lines in types])
    shares = np.concatenate(
        [mass * lines.sums(one).sum(axis=0) for mass, lines, one in zip(masses, types, mean_field)]
    )
    return {f"{types[0].along}_std": float(np.sqrt(shares @ (values - shares @ values) ** 2))}


def has_equilibria(solution: Solution) -> bool:
    """Whether a search found any and kept them."""
    return (solution.folder / TABLE).is_file() and bool(read_table(solution.folder / TABLE))


def read_equilibria(solution: Solution) -> tuple[list[Row], list[TabularPolicy], NDArray[np.float64]]:
    """The rows, policies and mean fields of a search.

    Raises:
        ResultsError: when there are none, or a file is missing or damaged.
    """
    rows = read_table(solution.folder / TABLE)
    try:
        game = solution.game()
        paths = [solution.folder / f"policy-{row['number']}.npz" for row in rows]
        policies = [read_policy(path, game, by_type=True) for path in paths]
        mean_fields = read_npz(solution.folder / _MEAN_FIELDS)["mean_fields"]
    except (ValueError, KeyError, FileNotFoundError) as error:
        raise ResultsError(f"{solution.folder}: the equilibria cannot be read: {error}") from error
    return rows, policies, mean_fields
