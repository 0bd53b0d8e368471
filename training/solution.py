"""Solving from the command line: an equilibrium and all that belongs to it, in a folder.

``config.yaml`` (the configuration), ``equilibrium.json`` (numbers and history), ``policy.npz`` (one row
per type), ``mean_field.npz`` (mu, z and V) and ``figures/``.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.policy import TabularPolicy
from agents.solvers import Equilibrium, Step, methods, solve
from karma_envs.config import choice, real, refuse, whole
from karma_envs.files import write_npz
from karma_envs.registry import game_class
from training.config import GameRunConfig
from training.folders import CONFIG
from training.results import ResultsError, all_or_nothing, new_folder, read_policy
from training.tables import read_arrays, read_json, write_recorded
from training.trust import made, read_config


@dataclass(frozen=True)
class SolveConfig(GameRunConfig):
    """Configuration of a solver.

    Attributes:
        game: name of the game.
        game_config: the game's configuration, or its fields that differ from the defaults.
        method: auto (homotopy) or the name of a solver, see karma-envs list.
        tolerance: normalised exploitability to reach, > 0; none for the method's own default.
        rationality: beta, for a logit equilibrium softmax(beta Q) in place of a Nash equilibrium.
        exploration: epsilon of the population, in [0, 1].
        options: further options of the method, as a mapping.
        search: random starts of a search for several equilibria, besides; 0 for no search.
        search_seed: seed of the search's starts, >= 0.

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """

    method: str = "auto"
    tolerance: float | None = None
    rationality: float | None = None
    exploration: float = 0.0
    options: Any = None
    search: int = 0
    search_seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("method", self.method, ("auto", *methods()))
        self._set(exploration=real("exploration", self.exploration, 0, 1))
        if self.tolerance is not None:
            self._set(tolerance=real("tolerance", self.tolerance, 0, open_low=True))
        if self.rationality is not None:
            self._set(rationality=real("rationality", self.rationality, 0, 1e9, open_low=True))
        self._set(
            search=whole("search", self.search, 0, 1_000_000),
            search_seed=whole("search_seed", self.search_seed, 0, 2**63 - 1),
        )
        if self.search and (self.rationality is not None or self.exploration > 0):
            raise refuse(
                "search", self.search, "0 with a rationality or exploration: it is for Nash equilibria"
            )
        if self.options is not None and not isinstance(self.options, dict):
            raise refuse("options", self.options, "a mapping of the method's options")
        known = inspect.signature(methods()["homotopy" if self.method == "auto" else self.method]).parameters
        for name in self.method_options():
            if name not in known:
                shown = ", ".join(known.keys() - {"model", "tolerance", "observer"})
                raise refuse(f"{name} of method {self.method}", self.method_options()[name], shown)

    def method_options(self) -> dict[str, Any]:
        """What is passed to the method besides the tolerance."""
        given: dict[str, Any] = dict(self.options or {})
        if self.rationality is not None:
            given["rationality"] = self.rationality
        if self.exploration > 0:
            given["exploration"] = self.exploration
        return given


@dataclass(frozen=True)
class Solution:
    """An equilibrium on disk.

    Attributes:
        folder: where it is.
        config: how it was found.
        numbers: what ``equilibrium.json`` holds.
    """

    folder: Path
    config: SolveConfig
    numbers: dict[str, Any]

    @classmethod
    def open(cls, folder: str | os.PathLike[str], trust: bool = False) -> Solution:
        """The solution in a folder.

        Args:
            folder: the folder.
            trust: whether its configuration may name functions to be imported, see
                :meth:`training.results.Run.open`.

        Raises:
            ResultsError: when it is damaged or not trusted, or there is none.
        """
        folder = Path(folder)
        path = folder / "equilibrium.json"
        if not path.is_file():
            raise ResultsError(f"{folder} holds no solution: there is no equilibrium.json in it")
        config = made(SolveConfig, folder / CONFIG, read_config(folder / CONFIG, trust=trust))
        return cls(folder, config, read_json(path))

    @property
    def policy(self) -> TabularPolicy:
        """The policy, a row per type."""
        game = game_class(self.config.game)(self.config.game_config)
        return read_policy(self.folder / "policy.npz", game, by_type=True)

    @property
    def mean_field(self) -> NDArray[np.float64]:
        """mu, ``float64[types, X]``."""
        path = self.folder / "mean_field.npz"
        try:
            return read_arrays(path)["mean_field"]
        except KeyError as error:
            raise ResultsError(f"{path} holds no mean field") from error


def solve_to_folder(
    config: SolveConfig,
    folder: str | os.PathLike[str] | None = None,
    observer: Callable[[Step], None] | None = None,
) -> tuple[Solution, Equilibrium]:
    """Solve, and keep the result.

    Args:
        config: what to solve and how.
        folder: where results go; None for the first free ``runs/<game>-equilibrium-<number>``.
        observer: called at the solver's steps.

    Raises:
        ConfigError: when the game has no mean-field model.
        ResultsError: when the folder holds results already or cannot be written.
    """
    model = config.model()
    with all_or_nothing(new_folder(config, folder, f"{config.game}-equilibrium")) as path:
        found = solve(
            model, config.method, tolerance=config.tolerance, observer=observer, **config.method_options()
        )
    found.policy.save(path / "policy.npz")
    write_npz(
        path / "mean_field.npz",
        {"mean_field": found.mean_field, "statistic": found.statistic, "value": found.value},
    )
    numbers = {
        "method": found.method,
        "converged": found.converged,
        "tolerance": found.tolerance,
        "efficiency": found.efficiency,
        "exploitability": found.exploitability,
        "exploitability_normalised": found.exploitability_normalised,
        "exploitability_by_type": found.exploitability_by_type.tolist(),
        "seconds": round(found.seconds, 3),
        "history": [asdict(step) for step in found.history],
    }
    write_recorded(path / "equilibrium.json", json.dumps(numbers, indent=2) + "\n")
    return Solution(path, config, numbers), found
