"""Policies that are linear in the position, with or without noise: what is best in the regulator game."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from karma_envs.config import real, refusal
from karma_envs.numerics.random import fill_normal
from karma_envs.saved_policy import SavedPolicy


class LinearPolicy(SavedPolicy):
    """u = offset - K x + noise, the same in every step, or of each step its own.

    Its parameters are the entries of K and of the offset; where it has noise it is differentiable in them.

    Attributes:
        gain: K, ``float64[m, d]``; or ``float64[T, m, d]``, of each step.
        offset: ``float64[m]``; or ``float64[T, m]``.
        variance: of the normal noise of each control, >= 0.

    Args:
        gain: K.
        offset: what is added.
        variance: of the noise.

    Raises:
        ConfigError: when shapes do not fit, or a number is not finite.

    Example:
        >>> LinearPolicy([[0.5]], [1.0]).controls(np.array([[4.0]])).tolist()
        [[-1.0]]
    """

    FORMAT = "karma_envs.games.lq_regulator:LinearPolicy"

    def __init__(self, gain: ArrayLike, offset: ArrayLike, variance: float = 0.0) -> None:
        self.gain, self.offset = np.array(gain, np.float64), np.array(offset, np.float64)
        if self.gain.ndim not in (2, 3) or not np.isfinite(self.gain).all():
            raise refusal("gain", gain, "a finite matrix [m, d], or one for each step, [T, m, d]")
        if self.offset.shape != self.gain.shape[:-1] or not np.isfinite(self.offset).all():
            raise refusal("offset", offset, f"finite numbers, of shape {list(self.gain.shape[:-1])}")
        self.variance = real("variance", variance, 0)

    @property
    def by_step(self) -> bool:
        """Whether each step has a gain and an offset of its own."""
        return self.gain.ndim == 3

    def over_steps(self, length: int) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Gains ``float64[length, m, d]``, offsets ``float64[length, m]`` of the first steps, and variance.

        Raises:
            ConfigError: when it has fewer steps.
        """
        if self.by_step:
            if len(self.gain) < length:
                raise refusal("policy", self, f"one of at least {length} steps")
            return self.gain[:length], self.offset[:length], self.variance
        shape = self.gain.shape
        gains, offsets = (
            np.broadcast_to(self.gain, (length, *shape)),
            np.broadcast_to(self.offset, (length, shape[0])),
        )
        return gains, offsets, self.variance

    def controls(self, observations: NDArray[Any]) -> NDArray[np.float64]:
        """u without noise, ``float64[n, m]``.

        Args:
            observations: ``[n, d]``, positions; in a game that ends ``[n, d + 1]``, the last column of which
                is the step.
        """
        position = observations[:, : self.gain.shape[-1]].astype(np.float64)
        if not self.by_step:
            return np.asarray(self.offset - position @ self.gain.T)
        steps = self._steps(observations)
        return np.asarray(self.offset[steps] - np.einsum("nmd,nd->nm", self.gain[steps], position))

    def _steps(self, observations: NDArray[Any]) -> NDArray[np.int64]:
        return np.clip(observations[:, -1].astype(np.int64), 0, len(self.gain) - 1)

    def act(self, observations: NDArray[np.float32], streams: NDArray[np.uint64]) -> NDArray[np.float32]:
        """``float32[n, m]``: u of agents who observe ``float32[n, d]``, or ``[n, d + 1]`` with the step.

        Noise, if there is any, is drawn from ``streams[0]``.
        """
        controls = self.controls(observations)
        if self.variance > 0:
            noise = np.empty(controls.size)
            fill_normal(streams, 0, noise)
            controls += np.sqrt(self.variance) * noise.reshape(controls.shape)
        return controls.astype(np.float32)

    @property
    def parameters(self) -> NDArray[np.float64]:
        """``float64[p]``: the entries of K, then those of the offset; a new array."""
        return np.concatenate([self.gain.ravel(), self.offset.ravel()])

    @property
    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The lowest and the highest value of each parameter: there are none, so infinite."""
        none = np.full(self.gain.size + self.offset.size, np.inf)
        return -none, none

    def with_parameters(self, parameters: NDArray[np.float64]) -> Self:
        """The policy with other parameters, ``float64[p]``, and the same noise."""
        gain, offset = np.split(np.asarray(parameters, np.float64), [self.gain.size])
        return type(self)(gain.reshape(self.gain.shape), offset.reshape(self.offset.shape), self.variance)

    def score(self, observations: NDArray[Any], actions: NDArray[Any]) -> NDArray[np.float64]:
        """The gradient of the log density of actions with respect to the parameters, ``float64[n, p]``.

        Args:
            observations: ``float32[n, d]``, or ``[n, d + 1]`` with the step.
            actions: ``float32[n, m]``, as drawn; not clipped.

        Raises:
            ConfigError: without noise, where there is no density.
        """
        real("variance", self.variance, 0, open_low=True)
        n, position = len(observations), observations[:, : self.gain.shape[-1]].astype(np.float64)
        of_offset = (actions.astype(np.float64) - self.controls(observations)) / self.variance
        of_gain = -of_offset[:, :, None] * position[:, None, :]
        if not self.by_step:
            return np.hstack([of_gain.reshape(n, -1), of_offset])
        gains, offsets = np.zeros((n, *self.gain.shape)), np.zeros((n, *self.offset.shape))
        rows, steps = np.arange(n), self._steps(observations)
        gains[rows, steps], offsets[rows, steps] = of_gain, of_offset
        return np.hstack([gains.reshape(n, -1), offsets.reshape(n, -1)])

    def table(self) -> dict[str, NDArray[np.float64]]:
        """A row for each control, and step, in columns: ``control``, ``offset`` and ``gain_1`` … ``gain_d``.

        Controls and coordinates count from 1; ``step`` is there where each step is its own.
        """
        rows = self.gain.reshape(-1, self.gain.shape[-1])
        n_controls = self.gain.shape[-2]
        columns = {"control": np.tile(np.arange(1.0, n_controls + 1), len(rows) // n_controls)}
        if self.by_step:
            columns["step"] = np.repeat(np.arange(float(len(self.gain))), n_controls)
        columns["offset"] = self.offset.ravel()
        return columns | {f"gain_{number}": column for number, column in enumerate(rows.T, 1)}

    def __repr__(self) -> str:
        *steps, n_controls, dimension = self.gain.shape
        of_steps = f", {steps[0]} steps" if steps else ""
        noise = f", variance {self.variance:g}" if self.variance else ""
        return f"LinearPolicy({n_controls} control(s) of {dimension} coordinate(s){of_steps}{noise})"

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The variance, the gain and the offset."""
        return {"variance": self.variance}, {"gain": self.gain, "offset": self.offset}

    @classmethod
    def from_parts(cls, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The policy of :meth:`to_parts`."""
        return cls(arrays["gain"], arrays["offset"], values["variance"])
