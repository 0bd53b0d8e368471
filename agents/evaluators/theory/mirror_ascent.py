"""Whether policy mirror ascent contracts, and whether the game is monotone in the generalised sense.

Source: Thesis, section 5.1.1 "Computational proofs" (Figure 5.1) and section 5.1.2 (eq. 5.10, Figure 5.2),
with U = {1, 5}, k_max = 20, 10000 random policies of which those count whose entropy is at least that of
the equilibrium, and T = 20 updates.

The update. The Thesis names the softmax of Q with temperature 1/beta. We read it as pi' = softmax(beta
Q^pi) in the stationary mean field of pi, with rewards as they are and no entropy in the value; its fixed
points are logit equilibria. That fits what the Thesis says of beta = 1: the equilibrium is nearly random
(mean entropy 2.06 nats, uniform 2.16; with entropy in the value 1.62, because karma then pays by the freedom
it gives), and about a fifth of the random policies have more entropy. ``entropy_in_value=True`` gives the
regularised game of its [18] instead, V = sum over a of pi Q + entropy(pi) / beta.

Choices the Thesis leaves open (ours): random policies are drawn per state from a symmetric Dirichlet
distribution over the legal actions, its concentration log-uniform in .1 ... 100 per policy; a policy's
entropy is the mean over states; the distance to the equilibrium is the greatest L1 distance over states,
as in its [18].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agents.evaluators.exploitability.q_tables import entropy
from agents.mean_field.units import greatest_reward
from karma_envs.config import real, whole
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import policy_value, q_values, uniform_policy
from karma_envs.mean_field.stationary import advance
from karma_envs.numerics.sampling import softmax

_NEGLIGIBLE = 1e-7  # distances below it are rounding
_AWAY = 1 + 1e-9  # a ratio of distances that is no rounding
_BETTER = 2e-7  # a gain in payoff that is no rounding, near the equilibrium; of the greatest reward
_FIELD_TOLERANCE = 1e-11
_MOST_ITERATIONS = 5000


@dataclass(frozen=True)
class RegularisedEquilibrium:
    """The fixed point of policy mirror ascent.

    Attributes:
        policy: ``float64[types, X, A]``.
        mean_field: mu, ``float64[types, X]``.
        residual: greatest change of a probability in one more update.
        converged: whether that is within the tolerance.
    """

    policy: NDArray[np.float64]
    mean_field: NDArray[np.float64]
    residual: float
    converged: bool


@dataclass(frozen=True)
class Violations:
    """How often a condition fails over random policies.

    Attributes:
        condition: which.
        fraction: violations over tested policies.
        standard_error: of ``fraction``, binomial.
        n_tested: policies with entropy at least the equilibrium's.
        n_drawn: policies drawn.
        worst: for contractivity the greatest ratio of distances, up to each policy's first violation; for
            generalised monotonicity the greatest gain of the policy over the equilibrium's in the policy's
            own mean field, up to each policy's first violation.
        equilibrium: the one that policies were compared with.
    """

    condition: str
    fraction: float
    standard_error: float
    n_tested: int
    n_drawn: int
    worst: float
    equilibrium: RegularisedEquilibrium


class MirrorAscent:
    """Policy mirror ascent on a mean-field model: its update, value and fixed point; see the module.

    Args:
        model: the mean-field model.
        rationality: beta > 0.
        entropy_in_value: whether values count the regulariser.
        population_steps: steps of the population per update, from where it is; None: to its stationary
            mean field, as in the Thesis' equation 5.10.
    """

    def __init__(
        self,
        model: FiniteMeanFieldModel,
        rationality: float = 1.0,
        *,
        entropy_in_value: bool = False,
        population_steps: int | None = None,
    ) -> None:
        self.model = model
        self.rationality = real("rationality", rationality, 0, open_low=True)
        self._entropy_in_value = entropy_in_value
        self._population_steps = population_steps
        if population_steps is not None:
            whole("population_steps", population_steps, 1)

    def value(self, problem: DecisionProblem, policy: NDArray[np.float64]) -> NDArray[np.float64]:
        """V of a policy where agents face a problem, ``float64[types, X]``; with entropy if that counts."""
        if self._entropy_in_value:
            bonus = entropy(policy)[..., None] / self.rationality
            problem = replace(problem, reward=problem.reward + bonus)
        return policy_value(self.model, problem, policy)

    def update(
        self, policy: NDArray[np.float64], start: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The next policy, and the mean field that the present one leads to from ``start``."""
        mean_field = self.model.initial_mean_field if start is None else start
        if self._population_steps is None:
            mean_field = self.model.population_at_rest(policy, mean_field, _FIELD_TOLERANCE).mean_field
        else:
            for _ in range(self._population_steps):
                mean_field = advance(self.model, mean_field, policy)
        problem = self.model.decision_problem(self.model.statistic(mean_field, policy))
        return self.improved(policy, problem), mean_field

    def improved(self, policy: NDArray[np.float64], problem: DecisionProblem) -> NDArray[np.float64]:
        """The next policy where agents face a problem."""
        q = q_values(self.model, problem, self.value(problem, policy))
        return softmax(self.rationality * (q - q.max(axis=2, keepdims=True)))

    def equilibrium(
        self, start: NDArray[np.float64] | None = None, tolerance: float = 1e-9
    ) -> RegularisedEquilibrium:
        """The fixed point, by averaged updates whose step is halved when the residual stops falling.

        Reliable where the equilibrium is far from pure; else begin with one found by a solver.

        Args:
            start: a policy to begin with; the uniform one if None.
            tolerance: of the residual.
        """
        policy, mean_field = self.uniform() if start is None else start, None
        step, best, since = 1.0, np.inf, 0
        residual = np.inf
        for _ in range(_MOST_ITERATIONS):
            following, mean_field = self.update(policy, mean_field)
            residual = float(np.abs(following - policy).max())
            if residual <= tolerance:
                break
            best, since = (residual, 0) if residual < best else (best, since + 1)
            if since > 20:
                step, since, best = max(step / 2, 1e-3), 0, residual
            policy = policy + step * (following - policy)
        assert mean_field is not None
        return RegularisedEquilibrium(policy, mean_field, residual, residual <= tolerance)

    def uniform(self) -> NDArray[np.float64]:
        """The policy that takes every legal action alike."""
        return uniform_policy(self.model)

    def random_policy(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """A random policy, ``float64[types, X, A]``."""
        legal = self.model.legal_actions
        concentration = 10 ** rng.uniform(-1, 2)
        weights = rng.standard_gamma(concentration, (self.model.n_types, *legal.shape)) + 1e-300
        weights = weights * legal
        return np.asarray(weights / weights.sum(axis=2, keepdims=True))


def contractivity_violations(
    model: FiniteMeanFieldModel,
    rationality: float = 1.0,
    *,
    n_policies: int = 10_000,
    n_updates: int = 20,
    entropy_in_value: bool = False,
    population_steps: int | None = None,
    seed: int = 0,
    nash: NDArray[np.float64] | None = None,
) -> Violations:
    """How often an update of policy mirror ascent leads away from the equilibrium (Figure 5.1).

    A policy violates contractivity if any of its ``n_updates`` updates increases the distance to the
    equilibrium.

    Args:
        model: the mean-field model, with gamma.
        rationality: beta.
        n_policies: random policies to draw.
        n_updates: T.
        entropy_in_value: see the module.
        population_steps: see :class:`MirrorAscent`.
        seed: of the policies.
        nash: the equilibrium's policy, if known; None: :meth:`MirrorAscent.equilibrium`.
    """
    ascent = MirrorAscent(
        model, rationality, entropy_in_value=entropy_in_value, population_steps=population_steps
    )
    whole("n_updates", n_updates, 1)

    def worst_ratio(policy: NDArray[np.float64], equilibrium: RegularisedEquilibrium) -> float:
        distance, worst, mean_field = policy_gap(policy, equilibrium.policy), 0.0, None
        for _ in range(n_updates):
            if distance < _NEGLIGIBLE:
                break
            policy, mean_field = ascent.update(policy, mean_field)
            after = policy_gap(policy, equilibrium.policy)
            worst, distance = max(worst, after / distance), after
            if worst > _AWAY:
                break
        return worst

    return _violations("contractivity", ascent, worst_ratio, _AWAY, n_policies, seed, nash)


def monotonicity_violations(
    model: FiniteMeanFieldModel,
    rationality: float = 1.0,
    *,
    n_policies: int = 10_000,
    n_updates: int = 0,
    entropy_in_value: bool = False,
    seed: int = 0,
    nash: NDArray[np.float64] | None = None,
) -> Violations:
    """How often a policy beats the equilibrium's in its own mean field (equation 5.10, Figure 5.2).

    J is the mean over the policy's stationary distribution of V, and of h where that counts. With
    ``n_updates`` a random policy also counts as a violation where one of those does that so many updates
    of policy mirror ascent make of it.

    Args:
        model: the mean-field model, with gamma.
        rationality: beta.
        n_policies: random policies to draw.
        n_updates: T, how many updates of each are asked as well.
        entropy_in_value: see the module.
        seed: of the policies.
        nash: the equilibrium's policy, if known; None: :meth:`MirrorAscent.equilibrium`.
    """
    ascent = MirrorAscent(model, rationality, entropy_in_value=entropy_in_value)
    n_updates = whole("n_updates", n_updates, 0)
    better = _BETTER * greatest_reward(model)

    def advantage(policy: NDArray[np.float64], equilibrium: RegularisedEquilibrium) -> float:
        worst, start = -np.inf, None
        for _ in range(n_updates + 1):
            field = model.population_at_rest(policy, start, _FIELD_TOLERANCE)
            gain = ascent.value(field.problem, policy) - ascent.value(field.problem, equilibrium.policy)
            worst = max(worst, float(model.masses @ (field.mean_field * gain).sum(axis=1)))
            if worst > better:
                break
            start = field.mean_field
            policy = ascent.improved(policy, field.problem)
        return worst

    return _violations("generalised monotonicity", ascent, advantage, better, n_policies, seed, nash)


def policy_gap(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Greatest L1 distance of two policies ``[types, X, A]`` over types and states, 0 ... 2."""
    return float(np.abs(first - second).sum(axis=2).max())


def _violations(
    condition: str,
    ascent: MirrorAscent,
    measure: Callable[[NDArray[np.float64], RegularisedEquilibrium], float],
    limit: float,
    n_policies: int,
    seed: int,
    nash: NDArray[np.float64] | None,
) -> Violations:
    """Draw policies, measure those of enough entropy, and count measures beyond the limit."""
    n_policies = whole("n_policies", n_policies, 1)
    equilibrium = ascent.equilibrium(nash)
    least = entropy(equilibrium.policy).mean()
    rng = np.random.default_rng(seed)
    drawn = (ascent.random_policy(rng) for _ in range(n_policies))
    values = np.array([measure(policy, equilibrium) for policy in drawn if entropy(policy).mean() >= least])
    fraction = float((values > limit).mean()) if len(values) else float("nan")
    return Violations(
        condition=condition,
        fraction=fraction,
        standard_error=float(np.sqrt(fraction * (1 - fraction) / len(values)))
        if len(values)
        else float("nan"),
        n_tested=len(values),
        n_drawn=n_policies,
        worst=float(values.max()) if len(values) else float("nan"),
        equilibrium=equilibrium,
    )
