"""Designing to a folder: the mechanism as it is, then the search for better ones."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from typing import Any

from agents.planners import AllFailed, Design, Evaluation, Inner, Space, design
from agents.planners.inner import Arrays
from agents.planners.space import Point
from karma_envs.config import choice
from karma_envs.meaning import Meaning
from training.common.backends import BACKENDS, ready
from training.common.errors import ResultsError
from training.planning.config import DesignConfig
from training.planning.folder import AS_IT_IS, Plan, begin, holds_design


def design_to_folder(
    config: DesignConfig,
    folder: str | os.PathLike[str] | None = None,
    *,
    backend: str = "threads",
    observer: Callable[[Design], None] | None = None,
) -> Plan:
    """Evaluate the mechanism as it is, then search, or go on with what the folder holds.

    Args:
        config: what is designed, and how.
        folder: where results go; None for the first free ``runs/<game>-design-<number>``.
        backend: where trials are made, several at once, one of :data:`training.common.backends.BACKENDS`; the
            design is the same, and may be gone on with on another.
        observer: called whenever a trial of the search has ended.

    Returns:
        the design; after Ctrl-C what there was by then, ``design.interrupted``.

    Raises:
        ConfigError: before any trial, for what is not allowed, and before the search for a measure that the
            mechanism as it is does not have.
        ResultsError: when the folder holds something else or is in use, a package is missing, or every trial
            failed.
        KeyboardInterrupt: after Ctrl-C before the search has begun.
    """
    space, inner = config.space(), config.inner_problem()
    _check_installed(config.method)
    with ready(choice("backend", backend, BACKENDS), config.workers) as made_there:
        path = begin(config, folder) if holds_design(folder) else None
        has_own = path is not None and (path / AS_IT_IS).is_dir()
        before = None if has_own else _as_it_is(config, space, inner)
        path = begin(config, folder) if path is None else path
        if before is not None:
            before.save(path / AS_IT_IS)
        try:
            result = design(
                space,
                inner,
                config.objectives(),
                budget=config.budget,
                method=config.method,
                limits=config.limits(),
                seeds=config.seeds,
                seed=config.seed,
                workers=config.workers,
                backend=made_there,
                storage=path,
                observer=observer,
            )
        except AllFailed as error:
            raise ResultsError(f"{error}; they are in {path}") from error
    return Plan.of(path, result)


def _as_it_is(config: DesignConfig, space: Space, inner: Inner) -> Design | None:
    """The mechanism before a planner meddles, a study of one trial; None where it cannot be evaluated."""
    remembered, objectives, limits = _Remembered(inner), config.objectives(), config.limits()
    try:
        before = design(
            space,
            remembered,
            objectives,
            budget=1,
            method="none",
            limits=limits,
            seeds=config.seeds,
            seed=config.seed,
        )
    except AllFailed:
        if remembered.values:  # then it was evaluated, and what failed is to tell objectives from that
            for each in objectives:
                each.value(remembered.values)
            for limit in limits:
                limit.excess(remembered.values)
        return None
    if before.interrupted:
        raise KeyboardInterrupt
    return before


class _Remembered:
    """An inner problem that knows what measures it gave, so that a misspelt objective is refused by name.

    Attributes:
        values: of its last evaluation.

    Args:
        inner: the problem.
    """

    def __init__(self, inner: Inner) -> None:
        self._inner = inner
        self.values: Mapping[str, float] = {}

    @property
    def meanings(self) -> Mapping[str, Meaning]:
        return self._inner.meanings

    def evaluate(self, point: Point, *, seed: int, warm: Arrays | None) -> Evaluation:
        evaluation = self._inner.evaluate(point, seed=seed, warm=warm)
        self.values = evaluation.values
        return evaluation

    def to_plain(self) -> dict[str, Any]:
        return self._inner.to_plain()


def _check_installed(method: str) -> None:
    """Refuse a method whose packages are missing."""
    needed = ("optuna", "torch") if method == "bayesian" else ()
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ResultsError(
            f"method bayesian needs {' and '.join(missing)}: pip install 'karma-envs[design]'; "
            "or choose method random"
        )
