"""Configuration of the linear-quadratic regulator game."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import Config, is_list, real, refusal, whole
from karma_envs.games.lq_regulator.closed_forms import (
    Coupling,
    Regulator,
    is_stabilisable,
    radius,
    stationary_value,
    values_to_the_end,
)

Matrix: TypeAlias = float | tuple[tuple[float, ...], ...]
"""The rows of a matrix; or a number, which stands for that number times the unit matrix."""

_MOST_DIMENSIONS, _MOST_STEPS = 64, 10_000

_LARGEST = 1e4
"""Of the entries of matrices and vectors, so that float32 holds all rewards."""

_ROUNDING = 1e-9
"""By which a matrix may miss being symmetric or semidefinite, over its largest entry."""


@dataclass(frozen=True)
class LqRegulatorConfig(Config):
    """Configuration of the linear-quadratic regulator game; of these numbers the source prints alpha only.

    A matrix is a sequence of rows, or a number, which stands for that multiple of the unit matrix.

    Attributes:
        n_agents: N, number of agents, >= 1.
        target: alpha, where agents are to be: d numbers, which is the dimension of the game.
        state_matrix: A, d x d: where agents go by themselves.
        control_matrix: B, d x m: what controls do; its columns are the dimensions of an action.
        state_cost: Q, d x d, symmetric, positive semidefinite: cost of being off the target.
        control_cost: R, m x m, symmetric, positive definite: twice the cost of controls.
        noise: c, d x d or a number: the noise of a step is c times independent standard normal numbers.
        target_coupling: G, d x d: agents are to be at alpha + G times the mean of the population.
        dynamics_coupling: D, d x d: agents drift by D times the mean of the population.
        discount: gamma, in [0, 1).
        length: T, steps until the game is over; none for a game without an end.
        start_mean: where agents start on average: d numbers, or one for all.
        start_covariance: d x d, symmetric, positive semidefinite: of where they start.
        largest_action: bound of the absolute value of each control, > 0.

    Raises:
        ConfigError: naming the field, the value and what is allowed. Without an end the system must be
            stabilisable, and the best controls must bring the population to rest.
    """

    n_agents: int = 200
    target: tuple[float, ...] = (0.5, -0.5)
    state_matrix: Matrix = 1.0
    control_matrix: Matrix = 0.3
    state_cost: Matrix = 0.5
    control_cost: Matrix = 1.0
    noise: Matrix = 0.25
    target_coupling: Matrix = 0.0
    dynamics_coupling: Matrix = 0.0
    discount: float = 0.99
    length: int | None = None
    start_mean: float | tuple[float, ...] = 0.0
    start_covariance: Matrix = 0.1
    largest_action: float = 5.0

    def __post_init__(self) -> None:
        self._set(
            n_agents=whole("n_agents", self.n_agents, 1),
            target=_vector("target", self.target),
            discount=real("discount", self.discount, 0, 1, open_high=True),
            largest_action=real("largest_action", self.largest_action, 0, _LARGEST, open_low=True),
        )
        if self.length is not None:
            self._set(length=whole("length", self.length, 1, _MOST_STEPS))
        d = len(self.target)
        self._set(control_matrix=_matrix("control_matrix", self.control_matrix, d, None))
        m = self.n_controls
        for name in ("state_matrix", "target_coupling", "dynamics_coupling", "noise"):
            self._set(**{name: _matrix(name, getattr(self, name), d, d)})
        for name in ("state_cost", "start_covariance"):
            self._set(**{name: _symmetric(name, getattr(self, name), d)})
        self._set(control_cost=_symmetric("control_cost", self.control_cost, m, definite=True))
        start = self.start_mean
        self._set(
            start_mean=_vector("start_mean", start, d) if is_list(start) else _entry("start_mean", start)
        )
        if self.length is None:
            self._check_rest()

    def _check_rest(self) -> None:
        """Refuse a game without an end in which the best controls bring no population to rest."""
        regulator = self.regulator
        root = np.sqrt(self.discount)
        if not is_stabilisable(root * regulator.dynamics, root * regulator.control):
            raise refusal(
                "control_matrix",
                self.control_matrix,
                "one that can bring every direction to rest in which state_matrix grows (a stabilisable "
                "system), in a game without an end",
            )
        try:
            loop = regulator.closed_loop(regulator.gain(self.value))
        except np.linalg.LinAlgError as error:
            raise refusal("state_cost", self.state_cost, _MINDED) from error
        for field, matrix in (
            ("state_cost", loop),
            ("dynamics_coupling", loop + self.coupling.on_dynamics),
        ):
            if not (size := radius(matrix)) < 1:
                raise refusal(field, getattr(self, field), f"{_MINDED}: its spectral radius is {size:.6g}")

    @property
    def n_controls(self) -> int:
        """m, the dimension of an action."""
        return len(self.target) if isinstance(self.control_matrix, float) else len(self.control_matrix[0])

    @cached_property
    def regulator(self) -> Regulator:
        """What an agent is up against, as arrays."""
        d, m = len(self.target), self.n_controls
        noise = as_matrix(self.noise, d)
        return Regulator(
            as_matrix(self.state_matrix, d),
            as_matrix(self.control_matrix, d),
            as_matrix(self.state_cost, d),
            as_matrix(self.control_cost, m),
            noise @ noise.T,
            self.discount,
        )

    @cached_property
    def coupling(self) -> Coupling:
        """How the mean of the population matters, as arrays."""
        d = len(self.target)
        on_target, on_dynamics = as_matrix(self.target_coupling, d), as_matrix(self.dynamics_coupling, d)
        return Coupling(np.array(self.target), on_target, on_dynamics)

    @cached_property
    def value(self) -> NDArray[np.float64]:
        """P: ``float64[d, d]`` without an end, else ``float64[T + 1, d, d]``."""
        if self.length is None:
            return stationary_value(self.regulator)
        return values_to_the_end(self.regulator, self.length)

    @property
    def start(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean ``float64[d]`` and covariance ``float64[d, d]`` of where agents start."""
        d = len(self.target)
        return np.broadcast_to(np.array(self.start_mean), d).copy(), as_matrix(self.start_covariance, d)


_MINDED = "one with which the best controls bring the population to rest, in a game without an end"


def as_matrix(given: Matrix, size: int) -> NDArray[np.float64]:
    """A matrix as an array; of a number that multiple of the unit matrix of a size."""
    return given * np.eye(size) if isinstance(given, float) else np.array(given, np.float64)


def _entry(field: str, number: object) -> float:
    return real(field, number, -_LARGEST, _LARGEST)


def _vector(field: str, given: Any, size: int | None = None) -> tuple[float, ...]:
    lengths = f"{size} numbers" if size else f"1 to {_MOST_DIMENSIONS} numbers"
    if not is_list(given) or len(given) not in ([size] if size else range(1, _MOST_DIMENSIONS + 1)):
        raise refusal(field, given, lengths)
    return tuple(_entry(field, number) for number in given)


def _matrix(field: str, given: Any, n_rows: int, n_columns: int | None) -> Matrix:
    """A matrix, checked: ``n_columns`` None for any number of them up to the most dimensions."""
    if not is_list(given):
        return _entry(field, given)
    columns = f"{n_columns}" if n_columns else f"1 to {_MOST_DIMENSIONS}"
    allowed = f"a number, or {n_rows} row(s) of {columns} numbers"
    if len(given) != n_rows or not all(is_list(row) and len(row) == len(given[0]) for row in given):
        raise refusal(field, given, allowed)
    if len(given[0]) not in ([n_columns] if n_columns else range(1, _MOST_DIMENSIONS + 1)):
        raise refusal(field, given, allowed)
    return tuple(_vector(field, row, len(row)) for row in given)


def _symmetric(field: str, given: Any, size: int, *, definite: bool = False) -> Matrix:
    matrix = _matrix(field, given, size, size)
    array = as_matrix(matrix, size)
    slack = _ROUNDING * float(np.abs(array).max())
    if np.abs(array - array.T).max() > slack:
        raise refusal(field, given, "a symmetric matrix")
    least = float(np.linalg.eigvalsh(array).min())
    if least < -slack or (definite and least <= slack):
        kind = "positive definite" if definite else "positive semidefinite"
        raise refusal(field, given, f"a {kind} matrix; the least eigenvalue is {least:.6g}")
    return matrix
