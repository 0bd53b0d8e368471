"""Policies with parameters: what methods move in that learn by the gradient of the payoff.

A family of policies is a map from parameters theta, of a box of ``float64[p]``, to policies. A policy of it
knows its own theta and can be had with another. A game names the family that suits it by
:meth:`karma_envs.game.PopulationGame.policy_family`.
"""

from __future__ import annotations

from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class ParametricPolicy(Protocol):
    """A policy pi_theta of a family, which a game plays as any other policy.

    Besides what is said here it is what the game asks of a policy: ``act(observations, streams)``
    (:class:`karma_envs.game.Policy`), or the tables of a finite game
    (:class:`karma_envs.finite.SamplingPolicy`).
    """

    @property
    def parameters(self) -> NDArray[np.float64]:
        """theta, ``float64[p]``, within ``bounds``; a new array."""

    @property
    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The lowest and the highest value of each parameter, ``float64[p]`` each; may be infinite."""

    def with_parameters(self, parameters: NDArray[np.float64]) -> Self:
        """The policy of the family with other parameters, ``float64[p]`` within ``bounds``."""


@runtime_checkable
class DifferentiablePolicy(ParametricPolicy, Protocol):
    """A policy pi_theta(a | x) whose probability, or density, is a differentiable function of theta."""

    def score(self, observations: NDArray[Any], actions: NDArray[Any]) -> NDArray[np.float64]:
        """The gradient of log pi_theta(a | x) with respect to theta, for n pairs of x and a.

        Args:
            observations: ``float32[n, d]``; of a finite game ``int[n]``, row * X + x, where X is the number
                of observations and ``row`` the row of the policy's tables that an agent plays.
            actions: ``[n, ...]``, what was done.

        Returns:
            ``float64[n, p]``.
        """
