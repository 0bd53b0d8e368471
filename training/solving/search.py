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
from karma_envs.config import refuse
from karma_envs.files import read_npz, write_npz
from karma_envs.games.matching.config import MatchingConfig
from karma_envs.registry import game_class
from training.common.errors import ResultsError
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
        raise refuse("search", config.search, "a whole number from 1 up, to search")
    report = search(
        config.model(),
        starts=config.search,
        seed=config.search_seed,
        tolerance=_TOLERANCE if config.tolerance is None else config.tolerance,
        observer=observer,
    )
    for number, found in enumerate(report.found, 1):
        found.policy.save(solution.folder / f"policy-{number}.npz")
    mean_fields = [found.mean_field for found in report.found]
    write_npz(solution.folder / _MEAN_FIELDS, {"mean_fields": np.array(mean_fields)})
    write_table(
        solution.folder / _POLICIES,
        [
            {"number": number, **row}
            for number, found in enumerate(report.found, 1)
            for row in policy_rows(config.game_config, found.policy)
        ],
    )
    write_table(solution.folder / TABLE, rows_of(config.game_config, report))
    return report


def rows_of(config: MatchingConfig, report: SearchReport) -> list[Row]:
    """A row per equilibrium of a matching game: what distinguishes it."""
    rows = []
    for index, found in enumerate(report.found):
        row: Row = {"number": index + 1, "efficiency": found.efficiency}
        row |= mean_bids(config, found)
        row["karma_std"] = _karma_std(config, found.mean_field)
        row["exploitability_normalised"] = found.exploitability_normalised
        row["times_found"] = found.times_found
        row["first_found_by"] = found.origins[0]
        row["distance_to_first"] = float(report.distances[0, index])
        rows.append(row)
    return rows


def mean_bids(config: MatchingConfig, found: Found) -> dict[str, float]:
    """Mean bid of the agents of each type and urgency, by the name of the table's column."""
    shape = (len(config.agent_types), config.n_urgencies, -1)
    mass = found.mean_field.reshape(shape)
    bids = (mass * found.policy.mean_actions().reshape(shape)).sum(axis=2) / np.maximum(
        mass.sum(axis=2), 1e-300
    )
    several = len(config.agent_types) > 1
    return {
        f"mean_bid_type_{kind}_urgency_{urgency:g}" if several else f"mean_bid_urgency_{urgency:g}": float(
            bid
        )
        for kind, one in enumerate(config.agent_types)
        for urgency, bid in zip(one.urgencies, bids[kind])
    }


def _karma_std(config: MatchingConfig, mean_field: NDArray[np.float64]) -> float:
    shares = np.array([one.share for one in config.agent_types])
    by_type = mean_field.reshape(len(shares), -1, config.karma_max + 1).sum(axis=1)
    distribution = shares / shares.sum() @ by_type
    karma = np.arange(config.karma_max + 1)
    mean = distribution @ karma
    return float(np.sqrt(distribution @ (karma - mean) ** 2))


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
        game = game_class(solution.config.game)(solution.config.game_config)
        paths = [solution.folder / f"policy-{row['number']}.npz" for row in rows]
        policies = [read_policy(path, game, by_type=True) for path in paths]
        mean_fields = read_npz(solution.folder / _MEAN_FIELDS)["mean_fields"]
    except (ValueError, KeyError, FileNotFoundError) as error:
        raise ResultsError(f"{solution.folder}: the equilibria cannot be read: {error}") from error
    return rows, policies, mean_fields
