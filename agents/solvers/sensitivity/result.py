"""What there is to say of an equilibrium's derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agents.solvers.sensitivity.branch import Branch
from karma_envs.config import real, refusal
from karma_envs.display import Said, data_frame

if TYPE_CHECKING:
    from pandas import DataFrame

_SYMMETRIC = 1e-9  # how far a covariance may be off, over its greatest entry


@dataclass(frozen=True)
class Check:
    """The same derivatives from equilibria that were solved for anew, at both sides of each parameter.

    Attributes:
        steps: ``float64[P]``, how far each parameter was moved; negative where only downwards.
        derivatives: ``float64[M, P]``, by differences of second order; NaN where the equilibrium could not
            be followed.
        relative_errors: ``float64[M, P]``, of the derivatives themselves against these; 0 where both are
            nothing but rounding, infinite where the equilibrium could not be followed, NaN where an output
            has no derivative.
        worst_exploitability: the greatest normalised exploitability of the equilibria solved for.
    """

    steps: NDArray[np.float64]
    derivatives: NDArray[np.float64]
    relative_errors: NDArray[np.float64]
    worst_exploitability: float

    @property
    def worst_error(self) -> float:
        """The greatest relative error of the outputs that have a derivative."""
        return float(np.nanmax(self.relative_errors, initial=0.0))


@dataclass(frozen=True, repr=False)
class Sensitivity(Said):
    """The derivatives of an equilibrium of the mean field, and how far they hold.

    Attributes:
        parameters: names of the P parameters.
        values: ``float64[P]``, what they are.
        outputs: names of the M outputs.
        output_values: ``float64[M]``, at the equilibrium.
        derivatives: ``float64[M, P]``, of outputs by parameters; in units of the output per unit of the
            parameter. NaN where an output has a kink, as a standard deviation has where it is 0, and where it
            is not the same for all equilibria of a continuum.
        statistic_moves: ``float64[P, Z]``, dz/dp.
        policy_moves: ``float64[P, types, X, A]``, d pi/dp.
        mean_field_moves: ``float64[P, types, X]``, d mu/dp.
        branches: one per parameter: where, to first order, the branch has its next kinks or turns.
        two_sided: ``bool[P]``, whether the parameter may move both ways; if not, the derivative is that of
            the side where it may.
        condition: of the equations; the greater the nearer is a fold, and the less exact the derivatives.
        check: by solving anew, where that was asked for; else None.
        seconds: wall time.
    """

    parameters: tuple[str, ...]
    values: NDArray[np.float64]
    outputs: tuple[str, ...]
    output_values: NDArray[np.float64]
    derivatives: NDArray[np.float64]
    statistic_moves: NDArray[np.float64]
    policy_moves: NDArray[np.float64]
    mean_field_moves: NDArray[np.float64]
    branches: tuple[Branch, ...]
    two_sided: NDArray[np.bool_]
    condition: float
    seconds: float
    check: Check | None = None

    @property
    def elasticities(self) -> NDArray[np.float64]:
        """Per cent that an output moves by when a parameter does by one, ``float64[M, P]``.

        NaN where the output is 0.
        """
        values = self.output_values[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(values != 0, self.derivatives * self.values / values, np.nan)

    def derivative(self, output: str, parameter: str) -> float:
        """One of the derivatives.

        Raises:
            ConfigError: for a name that is not among those asked for.
        """
        if output not in self.outputs:
            raise refusal("output", output, ", ".join(self.outputs))
        if parameter not in self.parameters:
            raise refusal("parameter", parameter, ", ".join(self.parameters))
        return float(self.derivatives[self.outputs.index(output), self.parameters.index(parameter)])

    def predicted(self, **moved: float) -> dict[str, float]:
        """The outputs, to first order, where some parameters are other numbers.

        Args:
            **moved: the numbers by the parameters' names; of names that are no identifiers, such as
                ``urgencies[1]``, as ``predicted(**{"urgencies[1]": 6.0})``.

        Raises:
            ConfigError: for a name that is not among the parameters.
        """
        change = self._by_parameter("predicted", moved, self.values) - self.values
        values = self.output_values + np.where(change != 0, self.derivatives, 0.0) @ change
        return dict(zip(self.outputs, values.tolist()))

    def standard_errors(self, covariance: NDArray[np.float64] | Mapping[str, float]) -> dict[str, float]:
        """Standard errors of the outputs that come from estimated parameters (the delta method).

        The variance of an output is g' C g, with g its derivatives, C the covariance of the estimates. This
        is right to first order, where errors are small beside the ranges in which the derivatives hold.

        Args:
            covariance: of the parameters, ``float64[P, P]`` in their order; or standard errors of independent
                estimates by name, parameters that are left out being known exactly.

        Raises:
            ConfigError: for a matrix of another shape or that is no covariance, an unknown name, or a
                negative standard error.
        """
        gradient = self.derivatives
        if isinstance(covariance, Mapping):
            errors = self._by_parameter("covariance", covariance, np.zeros(len(self.values)))
            for name, error in zip(self.parameters, errors):
                real(f"covariance[{name!r}]", float(error), 0)
            matrix = np.diag(errors**2)
        else:
            matrix = np.asarray(covariance, np.float64)
            _check_covariance(matrix, len(self.parameters))
        # A parameter that is known exactly adds nothing, also where its derivative is none.
        gradient = np.where(matrix.any(axis=0), gradient, 0.0)
        variances = np.einsum("mp,pq,mq->m", gradient, matrix, gradient)
        return dict(zip(self.outputs, np.sqrt(np.maximum(variances, 0.0)).tolist()))

    def _by_parameter(
        self, field: str, given: Mapping[str, float], otherwise: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Numbers by name as an array, ``float64[P]``, with those of ``otherwise`` for names left out."""
        for name, number in given.items():
            if name not in self.parameters:
                raise refusal(f"{field}[{name!r}]", number, f"parameters {', '.join(self.parameters)}")
        return np.array([given.get(name, value) for name, value in zip(self.parameters, otherwise)])

    def table(self) -> dict[str, list[object]]:
        """The derivatives as columns by name, a row for each output and parameter.

        ``output``, ``output_value``, ``parameter``, ``parameter_value``, ``derivative``, ``elasticity``;
        ``low`` and ``high``, between which the branch goes on as it is, with ``event_low``, ``event_high``
        and ``turns_low``, ``turns_high`` (what happens there, and whether the branch turns back); ``fold``,
        where it turns smoothly, NaN where nowhere before; ``two_sided``; and where it was checked
        ``resolved`` (the derivative by solving anew) and ``relative_error``.
        """
        columns: dict[str, list[object]] = {}
        for i, output in enumerate(self.outputs):
            for j, parameter in enumerate(self.parameters):
                branch = self.branches[j]
                row: dict[str, object] = {
                    "output": output,
                    "output_value": float(self.output_values[i]),
                    "parameter": parameter,
                    "parameter_value": float(self.values[j]),
                    "derivative": float(self.derivatives[i, j]),
                    "elasticity": float(self.elasticities[i, j]),
                    "low": branch.low.value,
                    "high": branch.high.value,
                    "event_low": branch.low.event,
                    "event_high": branch.high.event,
                    "turns_low": branch.low.turns,
                    "turns_high": branch.high.turns,
                    "fold": branch.fold if branch.turns_inside else float("nan"),
                    "two_sided": bool(self.two_sided[j]),
                }
                if self.check is not None:
                    row["resolved"] = float(self.check.derivatives[i, j])
                    row["relative_error"] = float(self.check.relative_errors[i, j])
                for name, value in row.items():
                    columns.setdefault(name, []).append(value)
        return columns

    def to_frame(self) -> DataFrame:
        """The same as a pandas data frame.

        Raises:
            ImportError: when pandas is not installed.
        """
        return data_frame(self.table())

    def _said(self) -> dict[str, str]:
        lines = {"of": f"an equilibrium of the mean field, {len(self.outputs)} outputs"}
        for j, (name, value) in enumerate(zip(self.parameters, self.values)):
            slopes = ", ".join(
                f"{each} {self.derivatives[i, j]:.4g}" for i, each in enumerate(self.outputs[:3])
            )
            more = " …" if len(self.outputs) > 3 else ""
            branch = self.branches[j]
            reach = f"[{branch.low.value:.6g}, {branch.high.value:.6g}]"
            lines[f"{name} = {value:g}"] = f"d {slopes}{more}; holds in {reach}"
        if self.check is not None:
            lines["worst relative error"] = f"{self.check.worst_error:.1e}, against equilibria solved anew"
        return lines


def _check_covariance(matrix: NDArray[np.float64], size: int) -> None:
    if matrix.shape != (size, size):
        raise refusal("covariance", matrix.tolist(), f"a matrix of {size} rows and columns, or a mapping")
    greatest = float(np.abs(matrix).max())
    is_one = (
        np.isfinite(matrix).all()
        and np.abs(matrix - matrix.T).max() <= _SYMMETRIC * greatest
        and np.linalg.eigvalsh((matrix + matrix.T) / 2).min() >= -_SYMMETRIC * greatest
    )
    if not is_one:
        raise refusal("covariance", matrix.tolist(), "a symmetric matrix without negative eigenvalues")
