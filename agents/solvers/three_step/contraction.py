"""Whether the three-step map contracts, as far as samples can tell: d1 d2 + d3 of the slides' theorem.

With D(pi, pi') the greatest distance over states of what policies do, and W1 the distance of populations,

    D(Gamma_1(L), Gamma_1(L')) <= d1 W1(L, L'),
    W1(Gamma_2(pi, L), Gamma_2(pi', L)) <= d2 D(pi, pi'),
    W1(Gamma_2(pi, L), Gamma_2(pi, L')) <= d3 W1(L, L').

If d1 d2 + d3 < 1, then Gamma_2 . Gamma_1 is a contraction: it has one fixed point, to which the iteration
comes from anywhere. The constants are suprema. What is estimated here is the greatest ratio over pairs of
sampled populations and policies, far from each other and near, which is a *lower bound* of each constant: 1
or more proves that the condition fails; less does not prove that it holds. The condition is sufficient, not
necessary: the ratio of the whole map, L -> Gamma_2(Gamma_1(L), L), is measured as well.

Where Gamma_2 is a step of time d3 is 1 or more in all games in which agents in two states can have no next
state in common: so it is in the auction, whose iteration converges nevertheless. With Gamma_2 at rest d3 is 0
where the population forgets its start, and the condition is about d1 d2 alone.

Distances of states, and of actions, are discrete (0 or 1), as for the constants of the Thesis in
:mod:`agents.evaluators.theory.lipschitz`, so that W1 is half of l_1. Several types count by their shares in
populations, and by the greatest of them in policies.

Source: R. Xu, *Multi-agent RL from a mean-field perspective*, RLChina 2020, "Small parameter condition"
(Assumptions 1 and 2) and Theorem 1; Guo, Hu, Xu, Zhang 2019, *Learning Mean-Field Games*, Theorem 1.

Differences from the source: populations and policies do not change with time, so that its suprema over time
are one term.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.solvers.three_step.inner import Exact
from agents.solvers.three_step.smoothing import SMOOTHINGS
from agents.solvers.three_step.three_step import FOLLOWING, TabularMap
from karma_envs.config import choice, real, whole
from karma_envs.display import Said
from karma_envs.mean_field import FiniteMeanFieldModel

_NEARNESS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)
"""How far towards another sample the second of a pair lies."""

_CONCENTRATIONS = (-3.0, 2.0)  # of the Dirichlet distributions that are drawn from, as powers of 10
_LEAST_WEIGHT = 1e-300  # so that some is left where all weights are 0 but for rounding


@dataclass(frozen=True, repr=False)
class Contraction(Said):
    """Lower bounds of Lipschitz constants of a three-step map, over sampled pairs.

    Attributes:
        response: d1, of Gamma_1.
        policy: d2, of Gamma_2 in the policy.
        population: d3, of Gamma_2 in the population.
        whole_map: of L -> Gamma_2(Gamma_1(L), L), in W1.
        n_pairs: for each of them.
    """

    response: float
    policy: float
    population: float
    whole_map: float
    n_pairs: int

    @property
    def bound(self) -> float:
        """d1 d2 + d3."""
        return self.response * self.policy + self.population

    @property
    def excluded(self) -> bool:
        """Whether the condition d1 d2 + d3 < 1 is proven to fail, but for rounding."""
        return self.bound >= 1

    @property
    def is_no_contraction(self) -> bool:
        """Whether the map itself is proven to be no contraction, whatever the condition says."""
        return self.whole_map >= 1

    def _said(self) -> dict[str, str]:
        verdict = "at least 1: the condition fails" if self.excluded else "below 1: no pair violates it"
        contracts = "at least 1: no contraction" if self.is_no_contraction else "below 1 for all pairs"
        return {
            "d1": f"{self.response:.4g}",
            "d2": f"{self.policy:.4g}",
            "d3": f"{self.population:.4g}",
            "d1 d2 + d3": f"{self.bound:.4g}, {verdict}",
            "Gamma_2 . Gamma_1": f"{self.whole_map:.4g}, {contracts}",
            "pairs": str(self.n_pairs),
        }


def contraction_estimate(
    model: FiniteMeanFieldModel,
    *,
    smoothing: str = "boltzmann",
    rationality: float = 1.0,
    population: str = "step",
    n_samples: int = 100,
    seed: int = 0,
) -> Contraction:
    """Estimate d1, d2, d3 of a three-step map with an exact inner solver.

    The assumptions are about all populations, whether or not any play leads to them, and so are the samples:
    from agents who are all alike to an even distribution. The second of a pair lies on the way from the first
    to another sample, at 5 distances.

    Args:
        model: the mean-field model.
        smoothing: argmax_e, boltzmann or mellowmax. Of argmax_e d1 is unbounded, and what is found the
            greater the more is looked at.
        rationality: c > 0 of the smoothing, per unit of payoff.
        population: Gamma_2: step, own_step or rest.
        n_samples: how many pairs of samples, each at 5 distances.
        seed: of all draws.

    Raises:
        ConfigError: for an option out of range.

    Example:
        >>> import karma_envs
        >>> from agents.solvers.three_step.contraction import contraction_estimate
        >>> model = karma_envs.make("auction").mean_field()
        >>> contraction_estimate(model, rationality=4.0, n_samples=20).excluded
        True
    """
    rationality = real("rationality", rationality, 0, open_low=True)
    world = TabularMap(
        model,
        Exact().start(),
        SMOOTHINGS[choice("smoothing", smoothing, SMOOTHINGS)],
        rationality,
        FOLLOWING[choice("population", population, FOLLOWING)],
    )
    rng = np.random.default_rng(whole("seed", seed, 0))
    n_samples = whole("n_samples", n_samples, 1)
    legal = np.broadcast_to(model.legal_actions, (model.n_types, *model.legal_actions.shape))
    ratios = np.zeros(4)
    for _ in range(n_samples):
        first, others = _pairs(_population(legal, rng), _population(legal, rng))
        policy, policies = _pairs(_policy(legal, rng), _policy(legal, rng))
        response, made = world.respond(first), world.follow(policy, first)
        mapped = world.follow(response, first)
        for other, another in zip(others, policies):
            apart, differ = _apart(world, first, other), _policy_distance(policy, another)
            other_response = world.respond(other)
            seen = (
                _policy_distance(response, other_response) / apart,
                _apart(world, made, world.follow(another, first)) / differ,
                _apart(world, made, world.follow(policy, other)) / apart,
                _apart(world, mapped, world.follow(other_response, other)) / apart,
            )
            ratios = np.maximum(ratios, seen)
    d1, d2, d3, whole_map = ratios.tolist()
    return Contraction(d1, d2, d3, whole_map, n_samples * len(_NEARNESS))


def _pairs(
    first: NDArray[np.float64], last: NDArray[np.float64]
) -> tuple[NDArray[np.float64], Iterator[NDArray[np.float64]]]:
    """A point, and points on the way from it to another."""
    return first, (first + share * (last - first) for share in _NEARNESS)


def _apart(world: TabularMap, one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """W1 of two populations."""
    return world.distance(one, other) / 2


def _policy_distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """D: the greatest W1 over types and states."""
    return float(np.abs(one - other).sum(axis=2).max()) / 2


def _random(legal: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float64]:
    """Weights of a random distribution, from one that is nearly in a single place to a nearly even one."""
    concentration = 10 ** rng.uniform(*_CONCENTRATIONS)
    return np.asarray((rng.standard_gamma(concentration, legal.shape) + _LEAST_WEIGHT) * legal)


def _policy(legal: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float64]:
    """A random policy."""
    weights = _random(legal, rng)
    return np.asarray(weights / weights.sum(axis=2, keepdims=True))


def _population(legal: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float64]:
    """A random L, whether or not any play leads to it."""
    weights = _random(legal, rng)
    return np.asarray(weights / weights.sum(axis=(1, 2), keepdims=True))
