"""Gaussian policies: a network's mean, and a constant variance; played in NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from karma_envs.config import refusal
from karma_envs.game import PolicyError
from karma_envs.numerics.random import fill_normal
from karma_envs.saved_policy import SavedPolicy

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Weights ``float32[inputs, outputs]`` and biases ``float32[outputs]``."""


class GaussianPolicy(SavedPolicy):
    """Actions are normal: their mean is a network of what is observed, their variance a constant.

    The network is fully connected, with tanh after each layer but the last. The same network is played by
    all agents. An action that lies outside of the game's action space is clipped by the game.

    Args:
        layers: of the network, from observations ``[n, d]`` to means ``[n, k]``.
        variance: of each dimension of an action, ``float[k]`` or one number for all, >= 0; with 0 the mean
            is played.

    Raises:
        ConfigError: for layers that do not fit each other, a variance below 0, or numbers that are not
            finite.

    Attributes:
        layers: as given, ``float32``.
        variance: ``float64[k]``.

    Example:
        >>> identity = [(np.eye(2, dtype=np.float32), np.zeros(2, np.float32))]
        >>> GaussianPolicy(identity, 0.0).act(np.ones((1, 2), np.float32), np.zeros(1, np.uint64))
        array([[1., 1.]], dtype=float32)
    """

    FORMAT = "karma-envs Gaussian policy"

    def __init__(self, layers: Sequence[Layer], variance: ArrayLike) -> None:
        self.layers = tuple((np.asarray(w, np.float32), np.asarray(b, np.float32)) for w, b in layers)
        _check_layers(self.layers)
        k = len(self.layers[-1][1])
        given = np.asarray(variance, np.float64)
        if given.shape not in ((), (k,)) or not np.isfinite(given).all() or (given < 0).any():
            raise refusal("variance", variance, f"a number >= 0, or {k} of them")
        self.variance: NDArray[np.float64] = np.broadcast_to(given, k).copy()

    @property
    def n_inputs(self) -> int:
        """d, how many numbers an agent observes."""
        return len(self.layers[0][0])

    def mean(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """``float32[n, k]``: the means of actions for observations ``float32[n, d]``.

        Raises:
            PolicyError: when observations have another number of dimensions.
        """
        if observations.shape[1:] != (self.n_inputs,):
            raise PolicyError(
                f"the policy is for observations of {self.n_inputs} numbers; "
                f"these have {observations.shape[1:]}"
            )
        values = observations
        for weights, biases in self.layers[:-1]:
            values = np.tanh(values @ weights + biases)
        weights, biases = self.layers[-1]
        return np.asarray(values @ weights + biases, np.float32)

    def act(self, observations: NDArray[np.float32], streams: NDArray[np.uint64]) -> NDArray[np.float32]:
        """See :class:`karma_envs.game.Policy`; nothing is drawn where the variance is 0."""
        means = self.mean(observations)
        if not self.variance.any():
            return means
        noise = np.empty(means.size)
        fill_normal(streams, 0, noise)
        return means + (np.sqrt(self.variance) * noise.reshape(means.shape)).astype(np.float32)

    def with_variance(self, variance: ArrayLike) -> Self:
        """The same means with another variance."""
        return type(self)(self.layers, variance)

    def greedy(self) -> Self:
        """The means alone."""
        return self.with_variance(0.0)

    def __repr__(self) -> str:
        widths = " × ".join(str(len(weights)) for weights, _ in self.layers)
        return f"GaussianPolicy({widths} × {len(self.variance)}, variance {self.variance.tolist()})"

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """How many layers, and their arrays with the variance."""
        arrays: dict[str, NDArray[Any]] = {"variance": self.variance}
        for number, (weights, biases) in enumerate(self.layers):
            arrays |= {f"weights_{number}": weights, f"biases_{number}": biases}
        return {"layers": len(self.layers)}, arrays

    @classmethod
    def from_parts(cls, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The policy of :meth:`to_parts`."""
        layers = [(arrays[f"weights_{n}"], arrays[f"biases_{n}"]) for n in range(values["layers"])]
        return cls(layers, arrays["variance"])


def _check_layers(layers: Sequence[Layer]) -> None:
    """Refuse layers that make no network.

    Raises:
        ConfigError: saying what they are.
    """
    shapes = [(weights.shape, biases.shape) for weights, biases in layers]
    fit = bool(layers) and all(
        weights.ndim == 2 and weights.size and biases.shape == weights.shape[1:] for weights, biases in layers
    )
    if not (fit and all(one[0][1] == next_[0][0] for one, next_ in pairwise(shapes))):
        raise refusal("layers", shapes, "weights [inputs, outputs] and biases [outputs], each layer's to fit")
    if not all(np.isfinite(part).all() for layer in layers for part in layer):
        raise refusal("layers", shapes, "finite weights and biases")


POLICY = GaussianPolicy
