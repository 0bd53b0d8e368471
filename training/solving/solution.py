"""Solving from the command line: an equilibrium and all that belongs to it, in a folder.

``config.yaml`` (the configuration), ``equilibrium.json`` (numbers and history), ``policy.npz`` (of a finite
game one row per type) and the same as ``policy.csv``, ``types.csv`` (what each type gets),
``mean_field.npz`` (mu, z and V), ``learning.csv`` (the iterations of a method that learns from play), what
else there is to see by the mean-field model (of the meeting-time game ``arrivals.csv``), and ``figures/``.
Types count from 0.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.evaluators import FiniteExploitability, finite_exploitability
from agents.policies.tabular import TabularPolicy
from agents.solvers import Equilibrium, Step, TabularEquilibrium, solve
from karma_envs.config import Config, refusal
from karma_envs.files import write_npz
from karma_envs.finite import FiniteGame, as_finite
from karma_envs.game import PopulationGame
from karma_envs.mean_field import FiniteMeanFieldModel, MeanFieldModel, fairness
from karma_envs.meaning import Meaning
from karma_envs.saved_policy import SavedPolicy
from karma_envs.timed import seen_by
from training.common.config import to_yaml
from training.common.errors import ResultsError
from training.common.folders import CONFIG, all_or_nothing, new_folder, owned
from training.common.lines import action_features, tell_apart
from training.common.policy_files import read_policy
from training.common.tables import Row, read_arrays, read_json, read_table, write_recorded, write_table
from training.common.trust import made, read_config
from training.solving.config import SolveConfig
from training.solving.kinds import policy_of_types, shares_of_kinds, type_of_kind

_ANSWER = "equilibrium.json"
TRACE = "learning"
"""The table of the iterations of a method that learns from play."""


@dataclass(frozen=True)
class Solution:
    """An equilibrium on disk.

    Attributes:
        folder: where it is.
        config: how it was found.
        numbers: what ``equilibrium.json`` holds.
        trusted: whether its files may name classes of the user's to be imported.
    """

    folder: Path
    config: SolveConfig
    numbers: dict[str, Any]
    trusted: bool = field(default=False, compare=False)

    @classmethod
    def open(cls, folder: str | os.PathLike[str], trust: bool = False) -> Solution:
        """The solution in a folder.

        Args:
            folder: the folder.
            trust: whether its files may name functions and classes to be imported, see
                :meth:`training.runs.folder.Run.open`.

        Raises:
            ResultsError: when it is damaged or not trusted, or there is none.
        """
        folder = Path(folder)
        path = folder / _ANSWER
        if not path.is_file():
            raise ResultsError(f"{folder} holds no solution: there is no equilibrium.json in it")
        config = made(SolveConfig, folder / CONFIG, read_config(folder / CONFIG, trust=trust))
        return cls(folder, config, read_json(path), trust)

    def game(self) -> PopulationGame:
        """A game of the solution's configuration."""
        return self.config.make_game()

    def seen(self) -> FiniteGame:
        """The same with the observations that the policy's rows are, for tables and figures.

        Raises:
            ConfigError: for a game without tables.
        """
        return seen_by(as_finite(self.game()), self.policy.n_observations)

    @property
    def policy(self) -> Any:
        """The policy; of a finite game a table with a row per type."""
        return read_policy(self.folder / "policy.npz", self.game(), by_type=True, trust=self.trusted)

    @property
    def policy_of_types(self) -> NDArray[np.float64]:
        """What agents of each type of a finite game do on average, ``float64[types, X, A]``."""
        probabilities = np.asarray(self.policy.probabilities, np.float64)
        if len(probabilities) <= len(self.types):
            return probabilities
        return policy_of_types(self.seen(), probabilities, self._mean_field)

    @property
    def meaning(self) -> Meaning:
        """Which exploitability the numbers tell."""
        said = self.numbers.get("meaning")  # earlier versions knew but the mean field's
        return self.config.model().meaning if said is None else Meaning(**said)

    @property
    def certificate(self) -> dict[str, Any] | None:
        """What one agent may gain in the game of N agents, see :func:`certified`; None if not asked."""
        certificate: dict[str, Any] | None = self.numbers.get("certificate")
        return certificate

    @property
    def price_of_anarchy(self) -> float | None:
        """What agents lose, over what they lose where the most urgent go first; None where not known."""
        price: float | None = self.numbers.get("price_of_anarchy")
        return price

    @property
    def types(self) -> list[Row]:
        """What each type gets, a row per type."""
        return read_table(self.folder / "types.csv")

    @property
    def masses(self) -> NDArray[np.float64]:
        """Shares of the types in the population, ``float64[types]``."""
        return np.array([row["share"] for row in self.types])

    @property
    def mean_field(self) -> NDArray[np.float64]:
        """mu of each type, ``float64[types, X]``; X is 0 in a game without tables."""
        rows = self._mean_field
        return rows if len(rows) == len(self.types) else shares_of_kinds(self.seen(), len(rows)) @ rows

    @property
    def _mean_field(self) -> NDArray[np.float64]:
        """mu, with a row for each of the policy's."""
        path = self.folder / "mean_field.npz"
        try:
            return read_arrays(path)["mean_field"]
        except KeyError as error:
            raise ResultsError(f"{path} holds no mean field") from error


@contextlib.contextmanager
def answer_folder(
    config: Config, folder: str | os.PathLike[str] | None, name: str, answer: str
) -> Iterator[Path]:
    """A folder for results that are made in one go, with the configuration in it.

    What is in the way of going on is nothing that a killed process left: its folder, if it was about the
    same, is used anew. Nothing is left of what fails or is interrupted.

    Args:
        config: the configuration.
        folder: where; None for the first free ``runs/<name>-<number>``.
        name: what is in it.
        answer: name of the file that is there once all is done.

    Raises:
        ResultsError: when the folder holds results already, is in use or cannot be written.
    """
    if folder is not None and (begun := Path(folder) / CONFIG).is_file():
        with owned(begun.parent):
            finished = (begun.parent / answer).is_file()
            if finished or begun.read_text(encoding="utf-8") != to_yaml(config):
                raise ResultsError(f"{os.fspath(folder)} holds results already; choose another folder")
            begun.unlink()
    path = new_folder(config, folder, name)
    with owned(path), all_or_nothing(path):
        yield path


def solve_to_folder(
    config: SolveConfig,
    folder: str | os.PathLike[str] | None = None,
    observer: Callable[[Step], None] | None = None,
) -> tuple[Solution, Equilibrium]:
    """Solve, and keep the result; also where Ctrl-C ends the solver, if it had come across any policy.

    Args:
        config: what to solve and how.
        folder: where results go; None for the first free ``runs/<game>-equilibrium-<number>``.
        observer: called at the solver's steps.

    Raises:
        ConfigError: when the game has no mean-field model, or one whose policies cannot be written to files;
            or is not one of few agents, where these are to be solved for.
        ResultsError: when the folder holds results already or cannot be written.
    """
    model = config.model()
    with answer_folder(config, folder, f"{config.game}-equilibrium", _ANSWER) as path:
        game = config.make_game()
        of_few: dict[str, Any] = {"n_agents": game.n_agents} if config.finite else {}
        found = solve(
            game,
            config.method,
            tolerance=config.tolerance,
            observer=observer,
            **of_few,
            **config.method_options(),
        )
        if config.certify and found.certificate is None:
            found = replace(found, certificate=finite_exploitability(game, found.policy))
        if not isinstance(found.policy, SavedPolicy):
            raise refusal(
                "game",
                config.game,
                "one whose policies can be saved, as karma_envs.saved_policy.SavedPolicy; "
                "agents.solve(game.mean_field()) needs no files",
            )
        found.policy.save(path / "policy.npz")
        for name, rows in _tables(config, model, found).items():
            write_table(path / f"{name}.csv", rows)
        write_npz(
            path / "mean_field.npz",
            {"mean_field": found.mean_field, "statistic": found.statistic, "value": found.value},
        )
        numbers = {
            "method": found.method,
            "statistic": dict(zip(model.statistic_names, found.statistic.tolist())),
            "sought": found.sought,
            "converged": found.converged,
            "reason": found.reason,
            "interrupted": found.interrupted,
            "tolerance": found.tolerance,
            "efficiency": found.efficiency,
            "payoff": found.payoff,
            **long_run_fairness(model, found),
            "price_of_anarchy": None if config.finite else model.price_of_anarchy(found.efficiency),
            "exploitability": found.exploitability,
            "exploitability_normalised": found.exploitability_normalised,
            "exploitability_by_type": found.exploitability_by_type.tolist(),
            "meaning": asdict(found.meaning),
            "certificate": None if found.certificate is None else certified(found.certificate),
            "stationary_residual": found.stationary_residual,
            "seconds": round(found.seconds, 3),
            "history": [asdict(step) for step in found.history],
        }
        write_recorded(path / _ANSWER, json.dumps(numbers, indent=2) + "\n")
    return Solution(path, config, numbers, trusted=True), found


def certified(certificate: FiniteExploitability) -> dict[str, Any]:
    """A certificate as plain data, each number under a name of its own."""
    return {
        "n_agents": certificate.n_agents,
        "method": certificate.method,
        "payoff": certificate.payoff,
        "efficiency": certificate.efficiency,
        "lower": certificate.lower,
        "lower_normalised": certificate.normalised_lower,
        "lower_meaning": asdict(certificate.meaning_lower),
        "standard_error": certificate.standard_error,
        "upper": certificate.upper,
        "upper_normalised": certificate.normalised_upper,
        "upper_meaning": asdict(certificate.meaning_upper),
    }


def _tables(config: SolveConfig, model: MeanFieldModel, found: Equilibrium) -> dict[str, list[Row]]:
    """The tables of a solution, rows by name: of its types, its policy, what curves the model has, and how it
    was learned, where it was.
    """
    tables = {name: rows_of(columns) for name, columns in model.curves(found.policy).items()}
    rows = by_type(model, found)
    if isinstance(found, TabularEquilibrium):
        game = seen_by(as_finite(config.make_game()), found.policy.n_observations)
        policy = np.asarray(found.policy.probabilities, np.float64)
        if len(model.masses) > len(game.type_names):
            tables["kinds"] = [{"kind": row.pop("type"), **row} for row in rows]
            rows = rows_of_types(game, tables["kinds"])
            policy = policy_of_types(game, policy, found.mean_field)
        tables["policy"] = policy_rows(game, TabularPolicy(policy))
    if found.trace is not None:
        tables[TRACE] = rows_of(found.trace.table(model.statistic_names))
    return {**tables, "types": rows}


def rows_of_types(game: FiniteGame, kinds: list[Row]) -> list[Row]:
    """Means over the agents of each type, a row per type, from rows of their kinds."""
    shares = shares_of_kinds(game, len(kinds))
    columns = {name: np.array([row[name] for row in kinds]) for name in kinds[0] if name != "kind"}
    means = {name: shares @ values for name, values in columns.items()}
    types = type_of_kind(game, len(kinds))
    means["share"] = np.bincount(types, weights=columns["share"])
    return [
        {"type": kind, **{name: float(values[kind]) for name, values in means.items()}}
        for kind in range(len(shares))
    ]


def rows_of(columns: Mapping[str, NDArray[Any]]) -> list[Row]:
    """Columns of equal lengths as rows."""
    return [dict(zip(columns, values)) for values in zip(*(column.tolist() for column in columns.values()))]


def policy_rows(game: FiniteGame, policy: TabularPolicy) -> list[Row]:
    """A policy as a tidy table: a row for each type, each observation it may be in and each legal action.

    Args:
        game: the game, whose ``observation_values()`` and ``action_features`` are the columns that say
            where and what; with the number of the observation or action where they do not tell it.
        policy: with a row for each type, or for all.
    """
    reachable = game.reachable_by_type()
    quantities, features = game.observation_values(), action_features(game)
    if not tell_apart(values[0] for values in quantities.values()):
        numbers = np.broadcast_to(np.arange(game.n_observations), reachable.shape)
        quantities = {"observation": numbers, **quantities}
    if not tell_apart(features.values()):
        features = {"action": np.arange(game.n_actions), **features}
    probabilities = np.broadcast_to(policy.probabilities, (len(reachable), *policy.probabilities.shape[1:]))
    return [
        {
            "type": kind,
            **{name: values[kind, observation].item() for name, values in quantities.items()},
            **{name: values[action].item() for name, values in features.items()},
            "probability": float(probabilities[kind, observation, action]),
        }
        for kind in range(len(reachable))
        for observation in np.flatnonzero(reachable[kind])
        for action in np.flatnonzero(game.legal_actions[observation])
    ]


def by_type(model: MeanFieldModel, found: Equilibrium) -> list[Row]:
    """What each type of agents gets: a row per type, counted from 0.

    ``reward`` is per step, what the model's ``rates`` are (in karma games ``access``, the share of contests
    won) per contest, ``payoff`` is discounted (J).
    """
    rates = {} if found.meaning.n_agents else model.rates(found.statistic)  # they are the mean field's
    per_contest: Mapping[str, NDArray[np.float64]] = {}
    if rates and isinstance(model, FiniteMeanFieldModel):
        policy = np.asarray(found.policy.probabilities, np.float64)
        per_contest = fairness.rates_by_type(model, policy, found.mean_field, rates)
    columns = {
        "share": model.masses,
        "discount": model.discounts,
        **model.type_features,
        "reward": found.efficiency_by_type,
        "payoff": found.payoff_by_type,
        **per_contest,
        "exploitability": found.exploitability_by_type,
    }
    return [
        {"type": kind, **{name: float(values[kind]) for name, values in columns.items()}}
        for kind in range(len(model.masses))
    ]


def long_run_fairness(model: MeanFieldModel, found: Equilibrium) -> dict[str, float | None]:
    """Fairness in the limit of infinitely many agents and steps.

    See :func:`karma_envs.mean_field.fairness.long_run_fairness`: of the reward, and of what the model's
    ``rates`` are, in the matching game the share of contests that they win. None where the population is not
    at rest; nothing of few agents, or of a model without tables, whose agents' states are not known.
    """
    if not isinstance(model, FiniteMeanFieldModel) or found.meaning.n_agents:
        return {}
    problem = model.decision_problem(found.statistic)
    rates = model.rates(found.statistic)
    if not found.at_rest:
        return {f"{name}_fairness": None for name in ("reward", *rates)}
    policy = np.asarray(found.policy.probabilities, np.float64)
    return dict(fairness.long_run_fairness(model, problem, policy, found.mean_field, rates))
