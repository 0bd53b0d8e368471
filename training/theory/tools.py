"""Chapter 5 and Appendix B of the Thesis for a game: which conditions for convergence hold, in a folder.

Some tools are about any mean-field game, others about the matching game alone.

``config.yaml`` (the configuration), ``theory.json`` (what each tool found, see :data:`TOOLS`) and
``figures/``. A tool that says nothing about the game has ``because`` in place of its findings, and one that
failed ``failed``; what the others found is kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.evaluators import (
    MirrorAscent,
    RegularisedEquilibrium,
    Sublinearity,
    Violations,
    contractivity_violations,
    counterexample_of,
    lasry_lions_sum,
    lipschitz_of,
    monotonicity_violations,
    sublinearity_in,
)
from agents.evaluators.exploitability.q_tables import entropy
from agents.evaluators.theory.matching import as_matching, only_type
from agents.evaluators.theory.mirror_ascent import policy_gap
from agents.mean_field.units import greatest_reward
from agents.solvers import Equilibrium, solve
from karma_envs.axes import by_axes
from karma_envs.config import ConfigError, choice, real, refusal, whole
from karma_envs.games.matching.mean_field import MatchingMeanField
from karma_envs.karma.urgency import AgentType
from karma_envs.mean_field import FiniteMeanFieldModel, as_finite_model
from karma_envs.mean_field.stationary import AT_REST
from training.common.config import GameRunConfig
from training.common.errors import ResultsError
from training.common.folders import CONFIG
from training.common.tables import read_json, write_recorded
from training.common.trust import made, read_config
from training.solving.solution import answer_folder

_ANSWER = "theory.json"
_UPDATES = 20  # T of the Thesis' section 5.1.1
_PATHS = 20  # random policies whose way is kept, for the figure
_REACHED = 1e-7  # distances below it are rounding
_NO_ROUNDING = 2e-13  # a sum of rewards above it, over the greatest of them

Numbers = dict[str, Any]


class NotApplicableError(Exception):
    """A tool that says nothing about this game; the message says why."""


@dataclass(frozen=True)
class TheoryConfig(GameRunConfig):
    """Configuration of the theory tools.

    Attributes:
        game: name of the game.
        game_config: the game's configuration, or its fields that differ from the defaults.
        tools: which tools, at least one.
        rationality: beta > 0 of policy mirror ascent, softmax(beta Q); its regularisation is 1/beta.
        policies: random policies, and pairs of them for lasry-lions, to draw; at least 1.
        seed: seed of all random draws, >= 0.

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """

    TITLE = "the tools"

    tools: tuple[str, ...] = ("lipschitz", "lasry-lions", "sublinearity", "contractivity", "monotonicity")
    rationality: float = 5.0
    policies: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        tools = (self.tools,) if isinstance(self.tools, str) else self.tools
        if not isinstance(tools, (tuple, list)) or not tools:
            raise refusal("tools", tools, f"a list of {', '.join(TOOLS)}")
        for tool in tools:
            choice("tools", tool, TOOLS)
        self._set(
            tools=tuple(tool for tool in TOOLS if tool in tools),
            rationality=real("rationality", self.rationality, 0, 1e9, open_low=True),
            policies=whole("policies", self.policies, 1, 10**7),
            seed=whole("seed", self.seed, 0, 2**63 - 1),
        )


class _Bench:
    """A game on which tools work, and the equilibria that several of them need."""

    def __init__(self, config: TheoryConfig, model: FiniteMeanFieldModel) -> None:
        self.config, self.model = config, model

    @cached_property
    def nash(self) -> Equilibrium:
        """An equilibrium of the game itself."""
        return solve(self.model)

    @cached_property
    def logit(self) -> RegularisedEquilibrium:
        """The fixed point of policy mirror ascent, from where a solver found it.

        Raises:
            NotApplicableError: when none is found.
        """
        ascent = MirrorAscent(self.model, self.config.rationality)
        start = solve(self.model, rationality=self.config.rationality)
        _at_rest(start.stationary_residual)
        found = ascent.equilibrium(np.asarray(start.policy.probabilities, np.float64))
        if not found.converged:
            raise NotApplicableError(
                f"no equilibrium of rationality {self.config.rationality:g} was found to compare with "
                f"(probabilities still change by {found.residual:.1e} per update)"
            )
        return found


def _at_rest(residual: float) -> None:
    """Raise unless a population is at rest."""
    if residual > AT_REST:
        raise NotApplicableError(
            f"it is about populations at rest, and here they do not come to rest: after many steps one more "
            f"still changes the mean field by up to {residual:.1e}"
        )


def _lipschitz(bench: _Bench) -> Numbers:
    """The constants, and whether 1/beta exceeds L_Gamma."""
    constants = lipschitz_of(bench.model)
    strength = 1 / bench.config.rationality
    return {
        "payment": bench.config.game_config.payment,
        "constants": asdict(constants),
        "strength": strength,
        "exceeds": strength > constants.update,
    }


def _lasry_lions(bench: _Bench) -> Numbers:
    """S of pairs of stationary populations of random policies; in the matching game the counterexample."""
    model = bench.model
    # Of the matching game more is known, if its agents are of one type: when S is 0, and when there are two
    # populations that violate monotonicity.
    known: Numbers = {"one_urgency": False, "counterexample": None}
    if isinstance(model, MatchingMeanField):
        known = _counterexample(model, only_type(model))
    ascent, rng = MirrorAscent(model, bench.config.rationality), np.random.default_rng(bench.config.seed)

    def population() -> NDArray[np.float64]:
        policy = ascent.random_policy(rng)
        field = model.population_at_rest(policy)
        _at_rest(field.residual)
        return np.asarray(field.mean_field[..., None] * policy)

    sums = np.array(
        [lasry_lions_sum(model, population(), population()) for _ in range(bench.config.policies)]
    )
    return {
        **known,
        "pairs": len(sums),
        "positive_pairs": int((sums > _NO_ROUNDING * greatest_reward(model)).sum()),
        "greatest_size": float(np.abs(sums).max()),
    }


def _counterexample(model: MatchingMeanField, one: AgentType) -> Numbers:
    """Urgencies of the one type, and two populations with S > 0 where they differ."""
    chances = one.stationary_urgency
    occurring = {urgency for urgency, chance in zip(one.urgencies, chances) if chance > 0}
    numbers: Numbers = {
        "urgencies": list(one.urgencies),
        "probabilities": chances.tolist(),
        "one_urgency": len(occurring) == 1,
        "counterexample": None,
    }
    if len(occurring) > 1 and model.config.karma_max >= 2 and model.config.karma_mean > 0:
        pair = counterexample_of(model)
        numbers["counterexample"] = {
            "total": lasry_lions_sum(model, pair.first[None], pair.second[None]),
            "closed_form": pair.total,
            "first_bids": pair.first_bids.T.tolist(),
            "second_bids": pair.second_bids.T.tolist(),
        }
    return numbers


def _sublinearity(bench: _Bench) -> Numbers:
    """Mean bids of the equilibrium, and the worst pair of karma values."""
    model = as_matching(bench.model)
    nash = bench.nash
    _at_rest(nash.stationary_residual)
    if not nash.converged:
        raise NotApplicableError("no equilibrium was found within the tolerance")
    least = 1e-6
    try:
        exact, rounded = (
            sublinearity_in(
                model, nash.policy.probabilities, nash.mean_field, least_mass=least, rounding=rounding
            )
            for rounding in (0.0, 0.5)
        )
    except ValueError as error:
        raise NotApplicableError(str(error)) from error

    def of(pair: Sublinearity) -> Numbers:
        urgency = model.types[pair.type].urgencies[pair.urgency]
        return {**asdict(pair), "urgency_value": urgency}

    bids = nash.policy.mean_actions(model.action_features["bid"])
    return {
        "efficiency": nash.efficiency,
        "exploitability_normalised": nash.exploitability_normalised,
        "exact": of(exact),
        "but_for_rounding": of(rounded),
        "mean_bids": by_axes(bids, model.axes).tolist(),
        "visited": by_axes(nash.mean_field >= least, model.axes).tolist(),
    }


def _contractivity(bench: _Bench) -> Numbers:
    """How often an update leads away from the equilibrium, and the ways of the first policies that count."""
    config, there = bench.config, bench.logit.policy
    found = contractivity_violations(
        bench.model,
        config.rationality,
        n_policies=config.policies,
        n_updates=_UPDATES,
        seed=config.seed,
        nash=there,
    )
    numbers = _violations(found, config)
    ascent, rng = MirrorAscent(bench.model, config.rationality), np.random.default_rng(config.seed)
    least, ways = entropy(there).mean(), []
    for _ in range(config.policies):
        policy = ascent.random_policy(rng)
        if entropy(policy).mean() >= least:
            ways.append(_way(ascent, policy, there))
        if len(ways) == _PATHS:
            break
    return {**numbers, "updates": _UPDATES, "distances": ways}


def _way(ascent: MirrorAscent, policy: NDArray[np.float64], there: NDArray[np.float64]) -> list[float]:
    """Distances to the equilibrium before the first update and after each, until it is reached."""
    mean_field, distances = None, [policy_gap(policy, there)]
    while len(distances) <= _UPDATES and distances[-1] >= _REACHED:
        policy, mean_field = ascent.update(policy, mean_field)
        distances.append(policy_gap(policy, there))
    return distances


def _monotonicity(bench: _Bench) -> Numbers:
    """How often policies beat the equilibrium's in their own mean fields: generalised monotonicity."""
    config = bench.config
    found = monotonicity_violations(
        bench.model,
        config.rationality,
        n_policies=config.policies,
        seed=config.seed,
        nash=bench.logit.policy,
    )
    return _violations(found, config)


def _violations(found: Violations, config: TheoryConfig) -> Numbers:
    if not found.n_tested:
        raise NotApplicableError(
            f"it counts policies with at least the entropy of the equilibrium, which none of the "
            f"{found.n_drawn} random policies has at rationality {config.rationality:g}"
        )
    return {
        "rationality": config.rationality,
        "fraction": found.fraction,
        "standard_error": found.standard_error,
        "violations": round(found.fraction * found.n_tested),
        "tested": found.n_tested,
        "drawn": found.n_drawn,
        "worst": found.worst,
    }


TOOLS: dict[str, Callable[[_Bench], Numbers]] = {
    "lipschitz": _lipschitz,
    "lasry-lions": _lasry_lions,
    "sublinearity": _sublinearity,
    "contractivity": _contractivity,
    "monotonicity": _monotonicity,
}
"""The tools by name; each gives what ``theory.json`` keeps of it."""


@dataclass(frozen=True)
class Theory:
    """What the tools found, on disk.

    Attributes:
        folder: where it is.
        config: of what game, and how.
        numbers: what ``theory.json`` holds: findings by tool.
        interrupted: whether Ctrl-C ended it before all tools were through.
    """

    folder: Path
    config: TheoryConfig
    numbers: dict[str, Numbers]
    interrupted: bool = False

    @property
    def failed(self) -> tuple[str, ...]:
        """The tools that failed."""
        return tuple(tool for tool, numbers in self.numbers.items() if "failed" in numbers)

    @classmethod
    def open(cls, folder: str | os.PathLike[str], trust: bool = False) -> Theory:
        """The findings in a folder.

        Args:
            folder: the folder.
            trust: whether its configuration may name functions to be imported, see
                :meth:`training.runs.folder.Run.open`.

        Raises:
            ResultsError: when it is damaged or not trusted, or there are none.
        """
        folder = Path(folder)
        path = folder / _ANSWER
        if not path.is_file():
            raise ResultsError(f"{folder} holds no findings of theory: there is no theory.json in it")
        config = made(TheoryConfig, folder / CONFIG, read_config(folder / CONFIG, trust=trust))
        return cls(folder, config, read_json(path))


def theory_to_folder(
    config: TheoryConfig,
    folder: str | os.PathLike[str] | None = None,
    observer: Callable[[str], None] | None = None,
) -> Theory:
    """Use the tools on a game, and keep what they find, each as soon as it is through.

    Args:
        config: which tools on which game.
        folder: where results go; None for the first free ``runs/<game>-theory-<number>``.
        observer: called with each tool's name before it begins.

    Raises:
        ConfigError: when the game has no mean-field model, or one of many kinds of agents.
        ResultsError: when the folder holds results already or cannot be written.
    """
    model, types = as_finite_model(config.model()), len(config.make_game().discounts)
    if model.n_types > types:
        allowed = (
            "a game whose mean-field model has a row for each type; karma-envs solve tells of its equilibrium"
        )
        raise refusal("game", f"{config.game}, of {model.n_types} kinds of agents", allowed)
    bench = _Bench(config, model)
    with answer_folder(config, folder, f"{config.game}-theory", _ANSWER) as path:
        theory = Theory(path, config, {})
        for tool in config.tools:
            try:
                if observer is not None:
                    observer(tool)
                theory.numbers[tool] = TOOLS[tool](bench)
            except (NotApplicableError, ConfigError) as error:
                theory.numbers[tool] = {"because": str(error)}
            except (ValueError, ArithmeticError) as error:  # of numbers that a tool cannot do with
                theory.numbers[tool] = {"failed": f"{type(error).__name__}: {error}"}
            except KeyboardInterrupt:
                if not theory.numbers:
                    raise
                return replace(theory, interrupted=True)
            text = json.dumps(theory.numbers, indent=2, allow_nan=False)
            write_recorded(path / _ANSWER, text + "\n")
    return theory
